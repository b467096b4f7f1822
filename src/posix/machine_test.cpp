// Goal:   what is told of this machine is so.
// Method: real files, this process itself, real small programs, the loopback interface.
#include "posix/machine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>

#include "posix/route.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

namespace {

namespace fs = std::filesystem;

class MachineTest : public testing::Test {
 protected:
  MachineTest() {
    std::string name = (fs::temp_directory_path() / "machine-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~MachineTest() override { fs::remove_all(directory_); }

  fs::path directory_;
};

TEST_F(MachineTest, TellsTheModeOfAFileAndWhyItCannotBeRead) {
  const fs::path file = directory_ / "key";
  std::ofstream(file) << "x";
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  EXPECT_EQ(look_at_file(file).mode, 0644u);
  EXPECT_EQ(look_at_file(file).problem, "");
  EXPECT_EQ(look_at_file(directory_ / "none").problem, "No such file or directory");
  EXPECT_EQ(look_at_file(directory_).problem, "is a directory");
}

TEST_F(MachineTest, FindsTheLatestFile) {
  EXPECT_FALSE(latest_written(directory_));
  std::ofstream(directory_ / "one") << "x";
  const auto found = latest_written(directory_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->file, directory_ / "one");
  EXPECT_GT(found->at.ms, 1'600'000'000'000);
}

TEST_F(MachineTest, SeesItselfRunning) {
  std::ifstream comm("/proc/self/comm");
  std::string self;
  std::getline(comm, self);
  const std::array<std::string_view, 2> wanted{"no-such-program", self};
  EXPECT_EQ(running(wanted), std::vector<std::string>{self});
}

TEST_F(MachineTest, TellsOfADirectoryAndOfOneThatIsNotThereYet) {
  std::ofstream(directory_ / "file") << std::string(10000, 'x');
  const DirectoryLook there = look_at_directory(directory_);
  EXPECT_TRUE(there.exists);
  EXPECT_EQ(there.problem, "");
  EXPECT_GE(there.total_bytes, there.free_bytes);
  EXPECT_GT(there.free_bytes, 0u);
  EXPECT_NE(there.file_system, "");
  const DirectoryLook later = look_at_directory(directory_ / "a" / "b");
  EXPECT_FALSE(later.exists);
  EXPECT_EQ(later.problem, "");
  const DirectoryLook below_a_file = look_at_directory(directory_ / "file" / "outbox");
  EXPECT_NE(below_a_file.problem.find("is not a directory"), std::string::npos);
  ASSERT_EQ(::chmod(directory_.c_str(), 0777), 0);
  EXPECT_EQ(look_at_directory(directory_).problem, "others may write to it");
}

TEST_F(MachineTest, SeesALockWithoutTakingIt) {
  const fs::path file = directory_ / "LOCK";
  std::ofstream(file) << "x";
  EXPECT_FALSE(is_locked(file));
  EXPECT_FALSE(is_locked(directory_ / "none"));
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(fd.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_TRUE(is_locked(file));
}

TEST_F(MachineTest, SyncedWritesAreTimedAndLeaveNothing) {
  const auto taken = time_synced_writes(directory_, 3);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(taken->size(), 3u);
  for (const double ms : *taken) EXPECT_GT(ms, 0);
  EXPECT_TRUE(fs::is_empty(directory_));
  EXPECT_FALSE(time_synced_writes(directory_ / "none", 3));
}

TEST_F(MachineTest, AProgramIsBoundedInTimeAndItsFailureIsTold) {
  const auto said = output_of({"echo", "hello"}, std::chrono::seconds(20));
  ASSERT_TRUE(said) << said.error().message;
  EXPECT_EQ(*said, "hello\n");
  EXPECT_EQ(output_of({"no-such-program"}, std::chrono::seconds(20)).error().code, Errc::not_found);
  EXPECT_EQ(output_of({"false"}, std::chrono::seconds(20)).error().message, "false ended with 1");
  EXPECT_EQ(output_of({"sleep", "600"}, std::chrono::milliseconds(50)).error().code, Errc::timeout);
}

TEST(Route, TheWayToLoopbackIsItself) {
  const Route route = route_to({"127.0.0.1", false});
  EXPECT_EQ(route.problem, "");
  EXPECT_EQ(route.interface, "lo");
  EXPECT_EQ(route.source, "127.0.0.1");
  EXPECT_EQ(route.gateway, "");
  EXPECT_TRUE(route.carrier);
}

}  // namespace

}  // namespace holdfast::posix
