// Goal: settlements that come alone, one by one, reach the outbox without anything that pushes
// them; what must not wait takes its turn at once and takes the waiting ones along, in order.
// Method: a real outbox in a directory of its own, a storage thread, the events it delivers.
#include "runtime/storage.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "env/disk.h"
#include "posix/system.h"

namespace holdfast::runtime {
namespace {

struct Parts {
  std::unique_ptr<env::Clock> clock = posix::make_clock();
  std::unique_ptr<env::Random> random = posix::make_random();
  std::unique_ptr<env::Disk> disk;
};

class StorageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "hf-storage-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    auto parts = std::make_shared<Parts>();
    auto disk = posix::open_disk(directory_ / "outbox");
    ASSERT_TRUE(disk.ok()) << disk.error().message;
    parts->disk = std::move(disk).value();
    outbox::Options options;
    options.lanes = {"only"};
    options.ack_flush = Duration::zero();  // no flush of its own: only turns bring settlements in
    outbox::RecoveryReport report;
    auto outbox =
        outbox::Outbox::open(*parts->disk, *parts->clock, *parts->random, options, report);
    ASSERT_TRUE(outbox.ok()) << outbox.error().message;
    storage_ = std::make_unique<Storage>(
        std::move(outbox).value(), parts, clock_, 1,
        [this](std::vector<device::Event> events) { take(std::move(events)); });
  }
  void TearDown() override {
    storage_->submit({device::StoreClose{}});
    EXPECT_TRUE(storage_->join(clock_->now() + std::chrono::seconds(60)));
    storage_.reset();
    std::filesystem::remove_all(directory_);
  }

  void take(std::vector<device::Event> events) {
    const std::lock_guard lock(mutex_);
    for (device::Event& event : events) {
      if (auto* appended = std::get_if<device::StoreAppended>(&event)) {
        for (const auto& item : appended->items) accepted_.push_back(item.id);
      } else if (auto* fetched = std::get_if<device::StoreFetched>(&event)) {
        fetched_ += fetched->messages.size();
      } else if (auto* report = std::get_if<device::StoreReport>(&event)) {
        ledger_ = report->ledger;
      } else if (std::holds_alternative<device::StoreClosed>(event)) {
        closed_ = true;
      }
    }
    changed_.notify_all();
  }
  void wait(const std::function<bool()>& reached) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, reached);
  }

  /// Puts `count` messages on disk and fetches them, as the core does before it sends them.
  std::vector<MessageId> store(std::size_t count) {
    device::StoreAppend append;
    for (std::size_t i = 0; i < count; ++i) {
      auto message = std::make_shared<StoredMessage>();
      message->topic = "a/b";
      append.items.push_back({0, std::move(message), false});
    }
    std::vector<device::StoreCommand> commands;
    commands.emplace_back(std::move(append));
    commands.emplace_back(device::StoreFetch{0, count, std::size_t{1} << 30});
    storage_->submit(std::move(commands));
    wait([&] { return accepted_.size() == count && fetched_ == count; });
    return accepted_;
  }

  std::filesystem::path directory_;
  std::shared_ptr<const env::Clock> clock_ = posix::make_clock();
  std::unique_ptr<Storage> storage_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<MessageId> accepted_;
  std::size_t fetched_ = 0;
  Ledger ledger_;
  bool closed_ = false;
};

TEST_F(StorageTest, ASettlementAloneArrivesByItself) {
  for (const MessageId id : store(3)) {
    const std::uint64_t before = ledger_.delivered;  // only this loop makes it grow
    storage_->submit({device::StoreSettle{id, true}});
    wait([&] { return ledger_.delivered == before + 1; });
  }
  EXPECT_EQ(ledger_.pending, 0U);
}

TEST_F(StorageTest, ManySettlementsOneByOneAllArrive) {
  constexpr std::size_t kMany = 3000;
  for (const MessageId id : store(kMany)) storage_->submit({device::StoreSettle{id, true}});
  wait([&] { return ledger_.delivered == kMany; });
  EXPECT_EQ(ledger_.pending, 0U);
}

TEST_F(StorageTest, ClosingTakesTheWaitingSettlementsAlong) {
  const std::vector<MessageId> ids = store(2);
  storage_->submit({device::StoreSettle{ids[0], true}});
  storage_->submit({device::StoreSettle{ids[1], false, DropReason::expired}});
  storage_->submit({device::StoreClose{}});
  wait([&] { return closed_; });
  EXPECT_EQ(ledger_.delivered, 1U);
  EXPECT_EQ(ledger_.pending, 0U);
}

TEST_F(StorageTest, TheProofGrowsWithNothingToDoAndStandsStillWhileTheDiskDoes) {
  const auto wait_for_more = [this](std::uint64_t than) {
    while (storage_->prove() <= than) std::this_thread::yield();
  };
  wait_for_more(storage_->prove());
  std::promise<void> entered;
  std::promise<void> release;
  storage_->look([&](outbox::Outbox&) {
    entered.set_value();
    release.get_future().wait();
    return true;
  });
  entered.get_future().wait();
  const std::uint64_t stuck = storage_->prove();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(storage_->prove(), stuck);
  release.set_value();
  wait_for_more(stuck + 1);
}

TEST_F(StorageTest, AClosedStoreIsAskedForNothing) {
  storage_->submit({device::StoreClose{}});
  EXPECT_TRUE(storage_->join(clock_->now() + std::chrono::seconds(60)));
  const std::uint64_t last = storage_->prove();
  EXPECT_EQ(storage_->prove(), last);
}

}  // namespace
}  // namespace holdfast::runtime
