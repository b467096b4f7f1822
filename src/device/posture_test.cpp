// Goal:   a device that draws back since its power goes saves what it holds, leaves, and comes
// back. Method: scripted events on virtual time; the store's answers are given by hand.
#include <gtest/gtest.h>

#include "device/test_bench.h"

namespace holdfast::device {
namespace {

using std::chrono::seconds;
using test::Bench;
using test::make_config;

void take_over(Bench& bench, MessageId first) {
  for (StoreAppend& append : bench.take_all<StoreAppend>()) {
    StoreAppended answer;
    for (auto& item : append.items) {
      const LaneIndex lane = item.message->lane;
      answer.items.push_back(
          {item.ticket, first++, lane, RejectReason::none, item.gated, item.message});
    }
    bench.step(std::move(answer));
  }
}

TEST(Posture, SavingMovesWhatIsInRamToDiskAndIsSaidOnceItIsThere) {
  Bench bench;
  bench.start();
  bench.publish(1, Durability::spill);
  bench.publish(2, Durability::spill);
  bench.publish(3, Durability::durable);
  EXPECT_EQ(bench.count<StoreAppend>(), 1U);
  bench.step(Posture{true, false, 0});
  EXPECT_EQ(bench.count<Saved>(), 0U);
  EXPECT_EQ(bench.count<StoreAppend>(), 2U);
  take_over(bench, 1);
  EXPECT_EQ(bench.count<Saved>(), 1U);
  EXPECT_EQ(bench.count<StoreSync>(), 1U);
  bench.run_for(seconds(100));
  EXPECT_EQ(bench.count<Saved>(), 1U);
  EXPECT_EQ(bench.state().ledger.pending, 3U);
}

TEST(Posture, WithNothingToSaveItIsSaidAtOnce) {
  Bench bench;
  bench.start();
  bench.step(Posture{true, false, 0});
  EXPECT_EQ(bench.count<Saved>(), 1U);
}

TEST(Posture, WhatTheDiskRefusesIsTriedAgain) {
  Bench bench;
  bench.start();
  bench.publish(1, Durability::spill);
  bench.step(Posture{true, false, 0});
  auto append = bench.take_all<StoreAppend>();
  ASSERT_EQ(append.size(), 1U);
  const auto& item = append[0].items.at(0);
  bench.step(
      StoreAppended{{{item.ticket, 0, 1, RejectReason::storage_failed, item.gated, item.message}}});
  EXPECT_EQ(bench.count<Saved>(), 0U);
  bench.run_for(seconds(1));
  take_over(bench, 1);
  EXPECT_EQ(bench.count<Saved>(), 1U);
}

TEST(Posture, BeingAwayEndsTheConnectionInOrderAndMakesNoneUntilItIsOver) {
  Bench bench;
  bench.start();
  bench.up();
  bench.step(Posture{true, true, 0});
  EXPECT_EQ(bench.take_all<EngineDisconnect>().size(), 1U);
  EXPECT_EQ(bench.count<Away>(), 0U);
  bench.down(Verdict::none);
  EXPECT_EQ(bench.count<Away>(), 1U);
  bench.step(ReconnectNow{});
  bench.step(Changed{});
  bench.run_for(std::chrono::hours(2));
  EXPECT_EQ(bench.count<EngineConnect>(), 0U);
  EXPECT_EQ(bench.state().connection.state, LinkState::waiting);
  EXPECT_EQ(bench.state().connection.detail, "left on purpose, until the power is back");
  bench.publish(1);
  EXPECT_EQ(bench.count<StoreAppend>(), 1U) << "storing goes on";
  bench.step(Posture{});
  EXPECT_EQ(bench.count<EngineConnect>(), 1U);
  bench.up();
  EXPECT_EQ(bench.state().connection.state, LinkState::connected);
}

TEST(Posture, AnAttemptThatIsUnderWayIsGivenUp) {
  Bench bench;
  bench.start();
  bench.step(Posture{false, true, 0});
  EXPECT_EQ(bench.count<EngineAbort>(), 1U);
  EXPECT_EQ(bench.count<Away>(), 1U);
  bench.step(Posture{});
  bench.run_for(seconds(1));
  EXPECT_EQ(bench.count<EngineConnect>(), 2U);
}

TEST(Posture, AServerThatDoesNotHangUpIsLeftAllTheSame) {
  Bench bench;
  bench.start();
  bench.up();
  bench.step(Posture{false, true, 0});
  bench.run_for(seconds(1));
  EXPECT_EQ(bench.count<EngineAbort>(), 1U);
  EXPECT_EQ(bench.count<Away>(), 1U);
}

TEST(Posture, ADeviceThatIsAwayStopsAsAnyOther) {
  Bench bench;
  bench.start();
  bench.step(Posture{true, true, 0});
  bench.step(Stop{seconds(5)});
  ASSERT_EQ(bench.count<StoreClose>(), 1U);
  bench.step(StoreClosed{});
  EXPECT_EQ(bench.count<Stopped>(), 1U);
}

TEST(Posture, OfHeldLanesNothingIsSentUntilTheyAreReleased) {
  Bench bench;
  bench.start();
  bench.up();
  bench.step(Posture{false, false, 0b110});
  bench.publish(1, Durability::memory, 1);
  bench.publish(2, Durability::memory, 2);
  bench.publish(3, Durability::memory, 0);
  const auto sent = bench.take_all<EnginePublish>();
  ASSERT_EQ(sent.size(), 1U) << "only the first lane's";
  bench.published(sent[0].token);
  bench.run_for(seconds(60));
  EXPECT_EQ(bench.count<EnginePublish>(), 0U);
  bench.step(Posture{});
  EXPECT_EQ(bench.take_all<EnginePublish>().size(), 2U);
}

}  // namespace
}  // namespace holdfast::device
