// Goal:   whoever waits for a file or for the clock hears when it has changed, and of nothing else.
// Method: real files in a directory of the test's own; the clock set to the time it shows.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "posix/clock_watch.h"
#include "posix/file_watch.h"

namespace holdfast::posix {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() {
    std::string name = (fs::temp_directory_path() / "hf-watch-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    write("key.pem", "old");
    watch_.watch({folder_ / "key.pem", folder_ / "cert.pem", {}, folder_ / "absent" / "file"});
  }
  ~FileWatchTest() override { fs::remove_all(folder_); }

  void write(const char* name, const char* text) { std::ofstream(folder_ / name) << text; }

  /// How often it was told, until some time after the last.
  int told() {
    count_ = 0;
    Timer end(loop_);
    end.arm_after(2 * kFilesSettle + milliseconds(100), [this] { loop_.stop(); });
    loop_.run();
    return count_;
  }

  EventLoop loop_;
  int count_ = 0;
  FileWatch watch_{loop_, [this] { ++count_; }};
  fs::path folder_;
};

TEST_F(FileWatchTest, HearsOfWritingReplacingAndMaking) {
  write("key.pem", "new");
  EXPECT_EQ(told(), 1) << "written";
  write("key.new", "newer");
  fs::rename(folder_ / "key.new", folder_ / "key.pem");
  EXPECT_EQ(told(), 1) << "replaced";
  write("cert.pem", "first");
  EXPECT_EQ(told(), 1) << "made";
}

TEST_F(FileWatchTest, HearsWhenAFileBecomesReadable) {
  ::chmod((folder_ / "key.pem").c_str(), 0600);
  EXPECT_EQ(told(), 1);
}

TEST_F(FileWatchTest, HearsWhenAFileIsTakenAway) {
  fs::remove(folder_ / "key.pem");
  EXPECT_EQ(told(), 1);
}

TEST_F(FileWatchTest, FilesThatChangeTogetherAreToldOnce) {
  write("key.pem", "new");
  write("cert.pem", "new");
  EXPECT_EQ(told(), 1);
}

TEST_F(FileWatchTest, HearsOfTheLinkThatContainersReplace) {
  fs::create_symlink("elsewhere", folder_ / "..data");
  EXPECT_EQ(told(), 1);
}

TEST_F(FileWatchTest, OtherFilesAreNotItsBusiness) {
  write("other", "x");
  EXPECT_EQ(told(), 0);
  watch_.watch({folder_ / "other"});
  write("key.pem", "new");
  EXPECT_EQ(told(), 0) << "no longer watched";
  write("other", "y");
  EXPECT_EQ(told(), 1);
}

TEST(ClockWatch, HearsThatTheClockWasSet) {
  EventLoop loop;
  int count = 0;
  const ClockWatch watch(loop, [&] { ++count; });
  const auto set = [&] {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return ::clock_settime(CLOCK_REALTIME, &now) == 0;  // to what it shows
  };
  for (int steps = 1; steps <= 2; ++steps) {
    if (!set()) GTEST_SKIP() << "this user may not set the clock";
    Timer end(loop);
    end.arm_after(milliseconds(100), [&] { loop.stop(); });
    loop.run();
    EXPECT_EQ(count, steps);
  }
}

}  // namespace
}  // namespace holdfast::posix
