// Goal: what a clock showed when it was right is known after a restart, and a wrong clock, or a
//       damaged file, puts nothing into the future.
// Method: the file's text; a keeper on a clock by hand, with the real loop and storage thread.
#include "runtime/clock_keeper.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <future>
#include <memory>
#include <vector>

#include "outbox/outbox.h"
#include "posix/system.h"

namespace holdfast::runtime {
namespace {

TEST(ClockFile, IsReadAsItWasWritten) {
  for (const std::int64_t ms : {std::int64_t{0}, std::int64_t{1'795'000'000'123}}) {
    const Result<WallTime> read = parse_clock_file(clock_file_text(WallTime{ms}));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->ms, ms);
  }
}

TEST(ClockFile, DamageIsNamed) {
  const auto wrong = [](std::string_view text) {
    const Result<WallTime> read = parse_clock_file(text);
    EXPECT_FALSE(read.ok()) << text;
    return read.ok() ? std::string() : read.error().message;
  };
  EXPECT_EQ(wrong(""), "it has another first line");
  EXPECT_EQ(wrong("holdfast-clock 2\n1\n"), "it has another first line");
  EXPECT_EQ(wrong("holdfast-clock 1\n17950"), "it was cut");
  EXPECT_EQ(wrong("holdfast-clock 1\n"), "it was cut");
  EXPECT_EQ(wrong("holdfast-clock 1\n\n"), "it has no time in it");
  EXPECT_EQ(wrong("holdfast-clock 1\n-5\n"), "it has no time in it");
  EXPECT_EQ(wrong("holdfast-clock 1\n12x\n"), "it has no time in it");
  EXPECT_EQ(wrong("holdfast-clock 1\n99999999999999\n"), "it has no time in it");
}

class HandClock final : public env::Clock {
 public:
  [[nodiscard]] BootTime now() const override { return BootTime(std::chrono::hours(1)); }
  [[nodiscard]] WallTime wall() const override { return wall_now; }
  [[nodiscard]] bool wall_synchronized() const override { return synchronized; }
  [[nodiscard]] env::BootId boot_id() const override { return {}; }

  WallTime wall_now{1'795'000'000'000};
  bool synchronized = true;
};

struct Parts {
  std::unique_ptr<env::Clock> clock = posix::make_clock();
  std::unique_ptr<env::Random> random = posix::make_random();
  std::unique_ptr<env::Disk> disk;
};

class ClockKeeperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "hf-clock-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  /// A run of a device: the keeper, at the end everything is written.
  template <class Body>
  void run(Body body) {
    auto parts = std::make_shared<Parts>();
    auto disk = posix::open_disk(directory_);
    ASSERT_TRUE(disk.ok()) << disk.error().message;
    parts->disk = std::move(disk).value();
    outbox::Options options;
    options.lanes = {"only"};
    outbox::RecoveryReport report;
    auto outbox =
        outbox::Outbox::open(*parts->disk, *parts->clock, *parts->random, options, report);
    ASSERT_TRUE(outbox.ok()) << outbox.error().message;
    std::shared_ptr<env::Clock> real = posix::make_clock();
    Storage storage(std::move(outbox).value(), parts, real, 1, [](std::vector<device::Event>) {});
    {
      ClockKeeper keeper(loop_, clock_, storage, directory_,
                         [this](const LogLine& line) { lines_.push_back(line.text); });
      body(keeper);
      written(storage);
      storage.submit({device::StoreClose{}});
      ASSERT_TRUE(storage.join(real->now() + std::chrono::seconds(60)));
    }
  }

  /// What was posted before is done.
  static void written(Storage& storage) {
    std::promise<void> done;
    storage.look([&](outbox::Outbox&) {
      done.set_value();
      return true;
    });
    ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  }

  std::filesystem::path directory_;
  posix::EventLoop loop_;
  HandClock clock_;
  std::vector<std::string> lines_;
};

TEST_F(ClockKeeperTest, WhatARightClockShowedIsKnownToTheNextRun) {
  const WallTime right = clock_.wall_now;
  run([&](ClockKeeper& keeper) {
    EXPECT_EQ(keeper.floor().ms, 0);
    keeper.set();
    EXPECT_EQ(keeper.floor(), right);
    EXPECT_EQ(keeper.state().steps, 0U) << "it was not set, only looked at";
  });
  clock_.wall_now = WallTime{0};
  clock_.synchronized = false;
  run([&](ClockKeeper& keeper) {
    EXPECT_EQ(keeper.floor(), right);
    clock_.wall_now = WallTime{right.ms + 90'000};
    keeper.set();
    EXPECT_EQ(keeper.state().steps, 1U);
    EXPECT_EQ(keeper.state().last_step.count(), right.ms + 90'000);
    EXPECT_EQ(keeper.floor(), right) << "nobody says that this is the time";
    clock_.wall_now = WallTime{right.ms};
    keeper.set();
    EXPECT_EQ(keeper.state().last_step.count(), -90'000);
  });
  ASSERT_EQ(lines_.size(), 2U);
  EXPECT_EQ(lines_[1], "the clock was set back by 90 s");
}

TEST_F(ClockKeeperTest, AClockThatNobodyKeepsRightMovesNothing) {
  clock_.synchronized = false;
  clock_.wall_now = WallTime{9'000'000'000'000};
  run([](ClockKeeper& keeper) { keeper.set(); });
  clock_.wall_now = WallTime{1'795'000'000'000};
  run([](ClockKeeper& keeper) { EXPECT_EQ(keeper.floor().ms, 0); });
  EXPECT_TRUE(lines_.empty());
}

}  // namespace
}  // namespace holdfast::runtime
