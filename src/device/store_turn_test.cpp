// Goal: a turn commits before it fetches, answers in order, and never says accepted for what the
//       disk refused; settlements wait for company, everything else makes the turn due at once.
// Method: the real outbox on a simulated disk, on a clock turned by hand.
#include "device/store_turn.h"

#include <gtest/gtest.h>

#include "outbox/test_world.h"

namespace holdfast::device {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kLanes = 3;

class StoreTurnTest : public ::testing::Test {
 protected:
  void SetUp() override {
    outbox::RecoveryReport report;
    auto opened =
        outbox::Outbox::open(disk_, clock_, random_, outbox::test::small_options(), report);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    box_ = std::move(opened).value();
  }

  static StoreAppend append(Ticket ticket) {
    StoreAppend append;
    auto message = std::make_shared<StoredMessage>(outbox::test::make_message(1, "t", 10));
    append.items.push_back({ticket, std::move(message), true});
    return append;
  }
  StoreTurn turn(std::vector<StoreCommand> commands) {
    return take_store_turn(*box_, kLanes, std::move(commands));
  }

  sim::SeededRandom random_{1};
  outbox::test::HandClock clock_;
  sim::PowerCutDisk disk_{random_};
  std::unique_ptr<outbox::Outbox> box_;
};

TEST_F(StoreTurnTest, WhatATurnAppendsItCanFetch) {
  const StoreTurn done = turn({StoreFetch{1, 8, 65536}, append(7)});
  ASSERT_EQ(done.events.size(), 3U);
  const auto& appended = std::get<StoreAppended>(done.events[0]);
  ASSERT_EQ(appended.items.size(), 1U);
  EXPECT_EQ(appended.items[0].ticket, 7U);
  EXPECT_TRUE(appended.items[0].gated);
  const auto& fetched = std::get<StoreFetched>(done.events[1]);
  ASSERT_EQ(fetched.messages.size(), 1U);
  EXPECT_EQ(fetched.messages[0]->id, appended.items[0].id);
  EXPECT_EQ(std::get<StoreReport>(done.events[2]).ledger.pending, 1U);
  EXPECT_FALSE(done.closed);
}

TEST_F(StoreTurnTest, WhatTheDiskRefusesIsNotAccepted) {
  disk_.faults.io_errors = true;
  const StoreTurn done = turn({append(7)});
  const auto& appended = std::get<StoreAppended>(done.events.at(0));
  EXPECT_EQ(appended.items.at(0).id, 0U);
  EXPECT_EQ(appended.items.at(0).rejected, RejectReason::storage_failed);
  EXPECT_EQ(std::get<StoreReport>(done.events.back()).ledger.accepted, 0U);
}

TEST_F(StoreTurnTest, ClosingTakesAllAlongAndSaysSoLast) {
  const StoreTurn first = turn({append(1), append(2)});
  const auto& items = std::get<StoreAppended>(first.events.at(0)).items;
  static_cast<void>(turn({StoreFetch{1, 8, 65536}}));
  const StoreTurn last = turn({StoreSettle{items[0].id, true}, append(3), StoreClose{},
                               StoreSettle{items[1].id, false, DropReason::refused}});
  EXPECT_TRUE(last.closed);
  EXPECT_TRUE(std::holds_alternative<StoreAppended>(last.events.front()));
  EXPECT_TRUE(std::holds_alternative<StoreClosed>(last.events.back()));
  const auto& report = std::get<StoreReport>(last.events.at(last.events.size() - 2));
  EXPECT_EQ(report.ledger.accepted, 3U);
  EXPECT_EQ(report.ledger.delivered, 1U);
  EXPECT_EQ(report.ledger.pending, 1U);
}

TEST_F(StoreTurnTest, EvictedMessagesAreNews) {
  static_cast<void>(turn({append(1), append(2)}));
  const StoreTurn done = turn({StoreEvict{1, 1}});
  const auto& news = std::get<StoreNews>(done.events.at(0));
  ASSERT_EQ(news.dropped.size(), 1U);
  EXPECT_EQ(news.dropped[0].second, DropReason::evicted);
}

TEST(StoreQueue, SettlementsWaitForCompanyAndTheRestDoesNot) {
  const BootTime last{std::chrono::seconds(1)};
  StoreQueue queue;
  EXPECT_EQ(queue.due(last, kNever), kNever);
  EXPECT_TRUE(queue.push(StoreSettle{1}));
  EXPECT_EQ(queue.due(last, kNever), last + kSettlePause);
  EXPECT_EQ(queue.due(last, last + milliseconds(1)), last + milliseconds(1));
  EXPECT_FALSE(queue.push(StoreSettle{2})) << "due as before";
  EXPECT_TRUE(queue.push(StoreFetch{}));
  EXPECT_FALSE(queue.push(StoreFetch{}));
  EXPECT_EQ(queue.due(last, kNever), BootTime::min());
  EXPECT_EQ(queue.take().size(), 4U);
  EXPECT_EQ(queue.due(last, kNever), kNever);
}

TEST(StoreQueue, ManySettlementsAreCompanyEnough) {
  StoreQueue queue;
  for (std::size_t i = 0; i + 1 < kSettleGroup; ++i) static_cast<void>(queue.push(StoreSettle{}));
  EXPECT_NE(queue.due(BootTime::min(), kNever), BootTime::min());
  EXPECT_TRUE(queue.push(StoreSettle{}));
  EXPECT_EQ(queue.due(BootTime::min(), kNever), BootTime::min());
}

}  // namespace
}  // namespace holdfast::device
