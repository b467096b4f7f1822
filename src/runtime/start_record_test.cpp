// Goal:   starts survive in a file; a damaged or unwritable one costs the record, never the start.
// Method: real files, and records of "programs" one after the other.
#include "runtime/start_record.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "runtime/store_aside.h"

namespace holdfast::runtime {
namespace {

namespace fs = std::filesystem;

class StartRecordTest : public testing::Test {
 protected:
  StartRecordTest() {
    std::string name = (fs::temp_directory_path() / "hf-starts-XXXXXX").string();
    config_.outbox.directory = ::mkdtemp(name.data());
    config_.safe_mode.crashes = 2;
  }
  ~StartRecordTest() override { fs::remove_all(config_.outbox.directory); }

  StartRecord program() {
    return StartRecord([this](const LogLine& line) { log_.push_back(line.text); });
  }
  std::string reason(StartRecord& record) {
    Config config = config_;
    record.started(config);
    return config.safe_mode_reason;
  }
  /// A program that crashes; why it was in safe mode.
  std::string crash() {
    StartRecord record = program();
    return reason(record);
  }
  [[nodiscard]] fs::path file() const { return config_.outbox.directory / "starts"; }

  Config config_;
  std::vector<std::string> log_;
};

TEST_F(StartRecordTest, CrashesLeadToSafeModeAndStopsDoNot) {
  for (int i = 0; i < 5; ++i) {
    StartRecord record = program();
    EXPECT_EQ(reason(record), "");
    record.stopped();
  }
  EXPECT_TRUE(log_.empty());
  EXPECT_EQ(crash(), "");
  EXPECT_EQ(crash(), "");
  EXPECT_EQ(crash(), "ended 2 times in 600 s without being stopped");
  ASSERT_EQ(log_.size(), 1U);
  EXPECT_TRUE(log_[0].starts_with("safe mode: this program ended 2 times in 600 s"));
}

TEST_F(StartRecordTest, AnOutboxThatCrashesWhoOpensItIsMovedAsideWholeAndKept) {
  const fs::path folder = config_.outbox.directory;
  for (const char* name : {"slot-0000.seg", "slot-0001.seg", "addresses"}) {
    std::ofstream(folder / name) << name;
  }
  for (int i = 0; i < 4; ++i) crash();
  EXPECT_TRUE(fs::exists(folder / "slot-0000.seg"));
  StartRecord record = program();
  EXPECT_EQ(
      reason(record),
      "ended 4 times in 600 s without being stopped, at last while it opened the outbox, which "
      "is now set-aside-1");
  EXPECT_FALSE(fs::exists(folder / "slot-0000.seg"));
  EXPECT_TRUE(fs::exists(folder / "addresses")) << "it belongs to no outbox";
  std::string content;
  std::ifstream(folder / "set-aside-1" / "slot-0001.seg") >> content;
  EXPECT_EQ(content, "slot-0001.seg");
  EXPECT_EQ(stores_aside(folder), 1U);
  record.opened();
  EXPECT_EQ(crash().find("while it opened"), std::string::npos);
}

TEST_F(StartRecordTest, AMoveThatWasCutShortGoesOn) {
  const fs::path folder = config_.outbox.directory;
  fs::create_directories(folder / "set-aside");
  fs::create_directories(folder / "set-aside-1");
  std::ofstream(folder / "set-aside" / "slot-0000.seg") << "0";
  std::ofstream(folder / "slot-0001.seg") << "1";
  const auto moved = move_store_aside(folder);
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(moved->folder, "set-aside-2");
  EXPECT_EQ(moved->files, 1U);
  EXPECT_TRUE(fs::exists(folder / "set-aside-2" / "slot-0000.seg"));
  EXPECT_TRUE(fs::exists(folder / "set-aside-2" / "slot-0001.seg"));
  EXPECT_FALSE(fs::exists(folder / "set-aside"));
}

TEST_F(StartRecordTest, WhoWantsSafeModeToEndWakesTheProgramOnce) {
  crash();
  crash();
  StartRecord record = program();
  EXPECT_NE(reason(record), "");
  EXPECT_FALSE(record.look());
  EXPECT_GT(record.patience_ms(), 1'000'000);
  pollfd ready{record.wake_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&ready, 1, 0), 0);
  record.leave();
  EXPECT_EQ(::poll(&ready, 1, 0), 1);
  EXPECT_TRUE(record.look());
  EXPECT_EQ(reason(record), "") << "the same program, begun anew";
  EXPECT_FALSE(record.look());
  EXPECT_EQ(::poll(&ready, 1, 0), 0);
  EXPECT_EQ(record.patience_ms(), -1);
}

TEST_F(StartRecordTest, ADamagedFileIsSaidAndReplaced) {
  crash();
  crash();
  std::ofstream(file(), std::ios::binary) << std::string("\0torn", 5);
  EXPECT_EQ(crash(), "");
  ASSERT_EQ(log_.size(), 1U);
  EXPECT_NE(log_[0].find("starts is damaged"), std::string::npos);
  crash();
  EXPECT_NE(crash(), "") << "two crashes since";
}

TEST_F(StartRecordTest, AFileThatCannotBeReadOrWrittenHoldsNothingUp) {
  fs::create_directory(file());
  std::ofstream(file() / "in-the-way") << "x";
  EXPECT_EQ(crash(), "");
  ASSERT_EQ(log_.size(), 2U);
  EXPECT_NE(log_[0].find("nothing is known of earlier starts"), std::string::npos);
  EXPECT_NE(log_[1].find("the record of starts was not written"), std::string::npos);
}

TEST_F(StartRecordTest, AStopBeforeTheStartKeepsNothing) {
  StartRecord record = program();
  record.stopped();
  EXPECT_FALSE(record.look());
  EXPECT_FALSE(fs::exists(file()));
}

}  // namespace
}  // namespace holdfast::runtime
