// Goal:   lines are kept in order, in files of bounded size and number; trouble is said and over
//         when it is over.
// Method: real files in a directory of the test's own.
#include "posix/rotating_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace holdfast::posix {
namespace {

namespace fs = std::filesystem;

class RotatingFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::path(::testing::TempDir()) / ("rotating_" + std::to_string(::getpid()));
    fs::remove_all(directory_);
    fs::create_directory(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  [[nodiscard]] std::string text(const std::string& name) const {
    std::ifstream stream(directory_ / name);
    std::stringstream all;
    all << stream.rdbuf();
    return all.str();
  }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory_), fs::directory_iterator()));
  }

  fs::path directory_;
};

TEST_F(RotatingFileTest, MakesRoomAndForgetsTheOldest) {
  RotatingFile file(directory_ / "log", 30, 2);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(file.append("line number " + std::to_string(i) + "\n").ok());
  }
  EXPECT_EQ(text("log"), "line number 8\nline number 9\n");
  EXPECT_EQ(text("log.1"), "line number 6\nline number 7\n");
  EXPECT_EQ(text("log.2"), "line number 4\nline number 5\n");
  EXPECT_EQ(files(), 3U);
}

TEST_F(RotatingFileTest, GoesOnWhereAnEarlierRunEnded) {
  ASSERT_TRUE(RotatingFile(directory_ / "log", 30, 1).append("of the run before 1234\n").ok());
  RotatingFile file(directory_ / "log", 30, 1);
  ASSERT_TRUE(file.append("of this run\n").ok());
  EXPECT_EQ(text("log"), "of this run\n");
  EXPECT_EQ(text("log.1"), "of the run before 1234\n");
}

TEST_F(RotatingFileTest, KeepsNoOlderOneIfNoneIsWanted) {
  RotatingFile file(directory_ / "log", 10, 0);
  ASSERT_TRUE(file.append("12345678\n").ok());
  ASSERT_TRUE(file.append("abcdefgh\n").ok());
  EXPECT_EQ(text("log"), "abcdefgh\n");
  EXPECT_EQ(files(), 1U);
}

TEST_F(RotatingFileTest, ABlockBeyondTheSizeHasAFileOfItsOwn) {
  RotatingFile file(directory_ / "log", 10, 1);
  ASSERT_TRUE(file.append("short\n").ok());
  ASSERT_TRUE(file.append("longer than the size\n").ok());
  EXPECT_EQ(text("log"), "longer than the size\n");
  EXPECT_EQ(text("log.1"), "short\n");
}

TEST_F(RotatingFileTest, AFileThatWasMovedAwayIsMadeAnew) {
  RotatingFile file(directory_ / "log", 1000, 1);
  ASSERT_TRUE(file.append("a\n").ok());
  fs::rename(directory_ / "log", directory_ / "taken");  // logrotate
  ASSERT_TRUE(file.append("b\n").ok());
  EXPECT_EQ(text("taken"), "a\n");
  EXPECT_EQ(text("log"), "b\n");
  struct stat made {};
  ASSERT_EQ(::stat((directory_ / "log").c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0007U, 0U) << "not for everybody";
}

TEST_F(RotatingFileTest, SaysWhatIsWrongAndGoesOnWhenItIsMended) {
  RotatingFile file(directory_ / "away" / "log", 1000, 1);
  const Status lost = file.append("a\n");
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, Errc::not_found);
  EXPECT_NE(lost.error().message.find((directory_ / "away" / "log").string()), std::string::npos);
  fs::create_directory(directory_ / "away");
  EXPECT_TRUE(file.append("b\n").ok());
  EXPECT_EQ(text("away/log"), "b\n");
}

TEST_F(RotatingFileTest, WritesIntoFilesOnly) {
  EXPECT_FALSE(RotatingFile("/dev/full", 1000, 1).append("a\n").ok());
  ASSERT_EQ(::mkfifo((directory_ / "fifo").c_str(), 0600), 0);
  EXPECT_FALSE(RotatingFile(directory_ / "fifo", 1000, 1).append("a\n").ok())
      << "and does not wait for a reader";
}

}  // namespace
}  // namespace holdfast::posix
