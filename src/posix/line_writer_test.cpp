// Goal:   writing a line never waits, whoever does not read; what is lost are whole lines, counted.
// Method: real pipes, sockets and files; a pipe is filled until it takes no more.
#include "posix/line_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace holdfast::posix {
namespace {

std::string drained(int fd) {
  std::string all;
  char block[4096];
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  for (ssize_t got = 0; (got = ::read(fd, block, sizeof block)) > 0;) {
    all.append(block, static_cast<std::size_t>(got));
  }
  return all;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// Writes until it takes no more, and a few lines beyond; how many were taken.
std::size_t fill(LineWriter& writer, const std::string& line) {
  std::size_t taken = 0;
  while (writer.put(line + std::to_string(taken))) ++taken;
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(writer.put("lost"));
  return taken;
}

TEST(LineWriter, LosesWholeLinesToAPipeThatNobodyReadsAndGoesOnOnceSomebodyDoes) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd out(ends[0]);
  const UniqueFd in(ends[1]);
  LineWriter writer(in.get());
  EXPECT_EQ(::fcntl(in.get(), F_GETFL) & O_NONBLOCK, 0) << "whoever shares it is not concerned";
  const std::string longer(5000, 'x');  // more than PIPE_BUF: taken in parts
  std::size_t taken = fill(writer, longer);
  EXPECT_EQ(writer.lost(), 6U);
  std::string text = drained(out.get());
  EXPECT_TRUE(writer.put("on again"));
  text += drained(out.get());
  const auto lines = lines_of(text);
  ASSERT_EQ(lines.size(), taken + 1);
  for (std::size_t i = 0; i < taken; ++i) EXPECT_EQ(lines[i], longer + std::to_string(i));
  EXPECT_EQ(lines.back(), "on again");
  EXPECT_EQ(writer.lost(), 6U);
}

TEST(LineWriter, ASocketThatNobodyReadsIsNotWaitedFor) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd out(ends[0]);
  const UniqueFd in(ends[1]);
  LineWriter writer(in.get());
  const std::size_t taken = fill(writer, std::string(3000, 'y'));
  EXPECT_GT(taken, 1U);
  std::string text = drained(out.get());
  EXPECT_TRUE(writer.flush());
  text += drained(out.get());
  EXPECT_EQ(lines_of(text).size(), taken);
}

TEST(LineWriter, AReaderThatHasGoneCostsLinesOnly) {
  ::signal(SIGPIPE, SIG_IGN);
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd in(ends[1]);
  LineWriter writer(in.get());
  ::close(ends[0]);
  EXPECT_FALSE(writer.put("a"));
  EXPECT_FALSE(writer.put("b"));
  EXPECT_EQ(writer.lost(), 2U);
  EXPECT_TRUE(writer.flush()) << "nothing is left over";
}

TEST(LineWriter, AFileIsWrittenWhereItsDescriptorStands) {
  const std::string path = ::testing::TempDir() + "line_writer_" + std::to_string(::getpid());
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  ASSERT_TRUE(file);
  ASSERT_EQ(::write(file.get(), "before\n", 7), 7);
  LineWriter writer(file.get());
  EXPECT_TRUE(writer.put("after"));
  std::ifstream stream(path);
  std::stringstream text;
  text << stream.rdbuf();
  EXPECT_EQ(text.str(), "before\nafter\n");
  std::filesystem::remove(path);
}

TEST(LineWriter, AFullDiskCostsLinesOnly) {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full);
  LineWriter writer(full.get());
  EXPECT_FALSE(writer.put("a"));
  EXPECT_EQ(writer.lost(), 1U);
}

TEST(JournalStream, IsTheOneThatTheEnvironmentNames) {
  const UniqueFd file(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  struct stat what {};
  ASSERT_EQ(::fstat(file.get(), &what), 0);
  ::unsetenv("JOURNAL_STREAM");
  EXPECT_FALSE(is_journal_stream(file.get()));
  ::setenv("JOURNAL_STREAM", "8:1", 1);
  EXPECT_FALSE(is_journal_stream(file.get())) << "inherited from a service, but redirected";
  const std::string named = std::to_string(what.st_dev) + ":" + std::to_string(what.st_ino);
  ::setenv("JOURNAL_STREAM", named.c_str(), 1);
  EXPECT_TRUE(is_journal_stream(file.get()));
  ::unsetenv("JOURNAL_STREAM");
}

}  // namespace
}  // namespace holdfast::posix
