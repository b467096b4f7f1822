// Goal:   messages in RAM that may move to disk, what the core does while the disk is in trouble,
//         and what it does with the store's own decisions.
// Method: scripted events on virtual time; the store's answers are given by hand.
#include <gtest/gtest.h>

#include "device/test_bench.h"

namespace holdfast::device {
namespace {

using std::chrono::seconds;
using test::Bench;
using test::make;
using test::make_config;

constexpr auto kSpill = Durability::spill;

/// The store takes what it was given, with ids from `first` on.
void take_over(Bench& bench, MessageId first, RejectReason rejected = RejectReason::none) {
  for (StoreAppend& append : bench.take_all<StoreAppend>()) {
    StoreAppended answer;
    for (auto& item : append.items) {
      const MessageId id = rejected == RejectReason::none ? first++ : 0;
      const LaneIndex lane = item.message->lane;
      answer.items.push_back({item.ticket, id, lane, rejected, item.gated, item.message});
    }
    bench.step(std::move(answer));
  }
}

std::vector<Receipt> receipts(Bench& bench) {
  std::vector<Receipt> found;
  for (const GiveReceipt& given : bench.take_all<GiveReceipt>()) found.push_back(given.receipt);
  return found;
}

TEST(Spill, WhileConnectedItNeverReachesTheDisk) {
  Bench bench;
  bench.start();
  bench.up();
  bench.publish(1, kSpill);
  const auto sent = bench.take_all<EnginePublish>();
  ASSERT_EQ(sent.size(), 1U);
  bench.published(sent[0].token);
  bench.run_for(seconds(120));
  EXPECT_EQ(bench.count<StoreAppend>(), 0U);
  const auto got = receipts(bench);
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[0].kept, Durability::spill);
  EXPECT_EQ(got[1].kind, ReceiptKind::delivered);
}

TEST(Spill, OfflineItMovesToDiskInOneGroupAndKeepsItsReceipt) {
  Bench bench;
  bench.start();
  bench.publish(1, kSpill);
  bench.run_for(seconds(20));
  bench.publish(2, kSpill);
  EXPECT_EQ(bench.count<StoreAppend>(), 0U);
  bench.run_for(seconds(11));
  ASSERT_EQ(bench.count<StoreAppend>(), 1U) << "the first has waited 30 s; the second goes along";
  EXPECT_EQ(bench.state().ledger.pending, 2U);
  take_over(bench, 1);
  EXPECT_EQ(bench.state().ledger.accepted, 2U) << "moved, not accepted again";
  const MessageId known = receipts(bench).at(0).id;
  EXPECT_TRUE(is_volatile(known));
  bench.publish(3, kSpill);
  ASSERT_EQ(bench.count<StoreAppend>(), 1U) << "not ahead of what waits on disk";
  take_over(bench, 3);
  receipts(bench);
  bench.step(StoreNews{{{1, DropReason::expired}}, {}, {}});
  const auto end = receipts(bench);
  ASSERT_EQ(end.size(), 1U);
  EXPECT_EQ(end[0].id, known) << "by the id that the application knows";
  EXPECT_EQ(end[0].dropped, DropReason::expired);
}

TEST(Spill, StoppingMovesItToDisk) {
  Bench bench;
  bench.start();
  bench.publish(1, kSpill);
  bench.publish(2, Durability::memory);
  bench.step(Stop{seconds(5)});
  const std::uint64_t pending = bench.state().ledger.pending;
  EXPECT_EQ(pending, 2U);
  take_over(bench, 1);
  EXPECT_EQ(bench.count<StoreClose>(), 1U);
  EXPECT_EQ(bench.state().ledger.pending, 1U) << "the spill message";
  EXPECT_EQ(bench.state().ledger.dropped.at(static_cast<std::size_t>(DropReason::volatile_lost)),
            1U);
}

TEST(Spill, WhatWasOnTheWayAtTheStopMovesToDiskToo) {
  Bench bench;
  bench.start();
  bench.up();
  bench.publish(1, kSpill);
  ASSERT_EQ(bench.count<EnginePublish>(), 1U);
  bench.step(Stop{seconds(5)});
  bench.run_for(seconds(1));
  bench.step(EngineDown{bench.attempt(), {Verdict::none, 0, "left"}});
  ASSERT_EQ(bench.count<StoreAppend>(), 1U);
  take_over(bench, 1);
  EXPECT_EQ(bench.state().ledger.pending, 1U);
  EXPECT_EQ(bench.state().ledger.dropped_total(), 0U);
}

// Found by device_sim --scenario flapping --seed 3: while stopping, a message that the disk refused
// was tried again at once, hundreds of times; and when its last refusal came behind the order to
// close, it stayed pending in a process that was over, counted nowhere.
TEST(Spill, StoppingAsksARefusingDiskAgainAtIntervals) {
  Bench bench;
  bench.start();
  bench.publish(1, kSpill);
  bench.step(Stop{seconds(5)});
  std::size_t tries = 0;
  for (int i = 0; i < 1000 && bench.count<StoreClose>() == 0; ++i) {
    tries += bench.count<StoreAppend>();
    take_over(bench, 0, RejectReason::storage_failed);
    bench.run_for(std::chrono::milliseconds(10));
  }
  EXPECT_GT(tries, 1U);
  EXPECT_LT(tries, 10U);
  EXPECT_EQ(bench.state().ledger.pending, 0U);
  EXPECT_EQ(bench.state().ledger.dropped.at(static_cast<std::size_t>(DropReason::volatile_lost)),
            1U);
}

TEST(Spill, ARefusalBehindTheOrderToCloseIsCounted) {
  Bench bench;
  bench.start();
  bench.publish(1, kSpill);
  bench.step(Stop{seconds(5)});
  ASSERT_EQ(bench.count<StoreAppend>(), 1U);
  bench.run_for(seconds(4));
  ASSERT_EQ(bench.count<StoreClose>(), 1U) << "the disk hangs";
  take_over(bench, 0, RejectReason::storage_failed);
  EXPECT_EQ(bench.count<StoreAppend>(), 0U);
  EXPECT_EQ(bench.state().ledger.pending, 0U);
  EXPECT_EQ(bench.state().ledger.dropped.at(static_cast<std::size_t>(DropReason::volatile_lost)),
            1U);
}

// Found by reading, after an alarm of device_sim: what was on its way from RAM to disk
// stood in no budget, so that more than half of limits.memory was taken while the disk was slow.
TEST(Spill, WhatIsOnItsWayToDiskStillTakesRam) {
  Config config = make_config();
  config.limits.memory = 64 * 1024;
  Bench bench(config);
  bench.start();
  for (Ticket ticket = 1; ticket <= 200; ++ticket) {
    bench.publish(ticket, ticket % 2 == 0 ? kSpill : Durability::memory);
  }
  ASSERT_GT(bench.count<StoreAppend>(), 0U);
  std::size_t held = 0;
  for (const Receipt& receipt : receipts(bench)) {
    if (receipt.kind == ReceiptKind::accepted) held += make().cost();
  }
  EXPECT_LE(held, config.limits.memory / 2);
}

// Found by core_fuzz: what the disk had just refused, on its way back into RAM, stood in no budget
// while the rest of the same answer was looked at, and RAM took twice its limit.
TEST(Spill, WhatTheDiskRefusesStillTakesRamForTheRestOfTheAnswer) {
  Config config = make_config();
  config.limits.memory = 64 * 1024;  // half of it is for messages like these
  config.outbox.on_fault = OnFault::memory;
  Bench bench(config);
  bench.start();
  Publish both;
  both.items.push_back({1, kSpill, make()});
  both.items.push_back({2, Durability::durable, make()});
  for (Publish::Item& item : both.items) item.message.payload.resize(20 * 1024);
  bench.step(std::move(both));
  StoreAppended refused;
  for (const StoreAppend& append : bench.take_all<StoreAppend>()) {
    for (const auto& item : append.items) {
      refused.items.push_back(
          {item.ticket, 0, 1, RejectReason::storage_failed, item.gated, item.message});
    }
  }
  ASSERT_EQ(refused.items.size(), 2U);
  std::swap(refused.items[0], refused.items[1]);  // the one from RAM first
  ASSERT_NE(refused.items[0].message->alias, 0U);
  receipts(bench);
  bench.step(std::move(refused));
  EXPECT_EQ(receipts(bench).at(0).rejected, RejectReason::storage_failed);
  EXPECT_EQ(bench.state().ledger.pending, 1U);
}

TEST(Spill, RamRunningOutMovesItToDiskAtOnce) {
  Config config = make_config();
  config.limits.memory = 64 * 1024;
  Bench bench(config);
  bench.start();
  for (Ticket ticket = 1; ticket <= 200; ++ticket) bench.publish(ticket, kSpill);
  EXPECT_GT(bench.count<StoreAppend>(), 0U);
  take_over(bench, 1);
  EXPECT_EQ(bench.state().ledger.accepted, 200U);
  EXPECT_EQ(bench.state().ledger.rejected.at(static_cast<std::size_t>(RejectReason::queue_full)),
            0U);
}

// Found by device_sim --scenario field --seed 22: while an older one was still in RAM, a message of
// a lane in which something waited on disk went there directly, and the older one moved in behind
// it.
TEST(Spill, OneWaitsInRamBehindAnOlderOne) {
  Bench bench;
  bench.start();
  bench.publish(1, kSpill);
  bench.publish(2, Durability::durable);
  take_over(bench, 1);
  bench.run_for(seconds(20));
  bench.publish(3, kSpill);
  EXPECT_EQ(bench.count<StoreAppend>(), 0U) << "on disk it would stand before the first";
  bench.run_for(seconds(11));
  const auto append = bench.take_all<StoreAppend>();
  ASSERT_EQ(append.size(), 1U);
  ASSERT_EQ(append[0].items.size(), 2U) << "both, in their order";
  EXPECT_LT(append[0].items[0].message->alias, append[0].items[1].message->alias);
}

// Found by device_sim --scenario field --seed 1: a message that had been on the way for longer than
// spill_after came back from a lost connection, and its move was left to a wake-up due at once.
TEST(Spill, WhatCameBackTooLateForRamMovesAtOnce) {
  Config config = make_config();
  config.outbox.spill_after = seconds(5);
  Bench bench(config);
  bench.start();
  bench.up();
  bench.publish(1, kSpill);
  bench.run_for(seconds(6));
  ASSERT_EQ(bench.count<StoreAppend>(), 0U) << "it is on the way";
  bench.down(Verdict::server_gone);  // the bench checks the next wake-up
  EXPECT_EQ(bench.count<StoreAppend>(), 1U);
}

// Found by reading: a message that RAM had no room for kept the id it would have had there, and was
// taken for one that had been accepted in RAM.
TEST(Spill, OneThatRamHasNoRoomForGoesToDiskAsItCame) {
  Config config = make_config();
  config.limits.memory = 64 * 1024;
  Bench bench(config);
  bench.start();
  Publish both;  // half of the memory is for messages like these
  both.items.push_back({1, kSpill, make()});
  both.items.push_back({2, kSpill, make()});
  both.items[0].message.payload.resize(4 * 1024);
  both.items[1].message.payload.resize(30 * 1024);
  both.items[1].message.expiry_seconds = 60;
  bench.step(std::move(both));
  const auto append = bench.take_all<StoreAppend>();
  ASSERT_EQ(append.size(), 1U);
  const auto& item = append[0].items.at(0);
  EXPECT_EQ(item.message->id, 0U);
  EXPECT_EQ(item.message->alias, 0U);
  EXPECT_FALSE(item.message->spill);
  EXPECT_EQ(item.message->expires, kNever);
  bench.step(StoreAppended{{{2, 1, 1, RejectReason::none, item.gated, item.message}}});
  EXPECT_EQ(bench.state().ledger.accepted, 2U);
  EXPECT_EQ(bench.state().ledger.pending, 2U);
}

/// As read from the store.
StoreFetched fetched(std::initializer_list<MessageId> ids) {
  StoreFetched answer{1, {}, false};
  for (const MessageId id : ids) {
    auto message = std::make_shared<StoredMessage>(make());
    message->id = id;
    answer.messages.push_back(std::move(message));
  }
  return answer;
}

std::vector<MessageId> tokens(Bench& bench) {
  std::vector<MessageId> sent;
  for (const auto& publish : bench.take_all<EnginePublish>()) sent.push_back(publish.token);
  return sent;
}

// Found by device_sim --scenario offline-weeks --seed 28 and 57: of a group that its lane took in
// part, the younger ones, back in RAM, were sent before the older ones on disk. never-acks 45: and
// those in the middle behind younger ones, when a second move failed.
TEST(Spill, WhatMovedInPartIsSentInItsOrder) {
  for (const bool twice : {false, true}) {
    Bench bench;
    bench.start();
    for (Ticket ticket = 1; ticket <= 3; ++ticket) bench.publish(ticket, kSpill);
    bench.run_for(seconds(31));
    const auto append = bench.take_all<StoreAppend>();
    ASSERT_EQ(append.size(), 1U);
    ASSERT_EQ(append[0].items.size(), 3U);
    const auto& items = append[0].items;
    bench.step(StoreAppended{{{0, 1, 1, RejectReason::none, false, items[0].message},
                              {0, 0, 1, RejectReason::lane_full, false, items[1].message},
                              {0, 2, 1, RejectReason::none, false, items[2].message}}});
    bench.publish(4, kSpill);
    if (twice) {
      bench.run_for(seconds(31));
      take_over(bench, 0, RejectReason::lane_full);
    }
    const auto known = receipts(bench);
    ASSERT_EQ(known.size(), 4U);
    bench.up();
    EXPECT_EQ(bench.count<EnginePublish>(), 0U) << "the first is on disk, and not read yet";
    ASSERT_EQ(bench.count<StoreFetch>(), 1U);
    bench.step(fetched({1, 2}));
    EXPECT_EQ(tokens(bench), (std::vector<MessageId>{1, known[1].id, 2, known[3].id}));
  }
}

// Found by device_sim --scenario flapping --seed 1342: back from a lost connection, one in RAM was
// sent again before an older one from disk.
TEST(Spill, WhatWasOnTheWayIsSentAgainInItsOrder) {
  Config config = make_config();
  config.outbox.on_fault = OnFault::memory;
  Bench bench(config, {.epoch = 0, .last_id = 900});
  bench.start({0, 1, 0});
  bench.publish(1);
  take_over(bench, 0, RejectReason::storage_failed);
  bench.up();
  bench.step(fetched({900}));
  const auto first = tokens(bench);
  ASSERT_EQ(first.size(), 2U);
  bench.down(Verdict::server_gone);
  bench.run_for(seconds(15));
  bench.up();
  EXPECT_EQ(tokens(bench), first);
}

// Found by device_sim --scenario flapping --seed 30: what the disk had refused and RAM kept was
// sent before what waited on disk since an earlier run of the process.
TEST(Spill, WhatTheDiskRefusedGoesBehindWhatIsThereFromEarlier) {
  Config config = make_config();
  config.outbox.on_fault = OnFault::memory;
  for (const std::size_t found : {0U, 1U}) {
    Bench bench(config, {.epoch = 0, .last_id = 900});
    bench.start({0, 1, 0});
    bench.publish(1);
    take_over(bench, 0, RejectReason::storage_failed);
    EXPECT_EQ(receipts(bench).at(0).kept, kSpill);
    bench.up();
    EXPECT_EQ(bench.count<EnginePublish>(), 0U);
    ASSERT_EQ(bench.count<StoreFetch>(), 1U);
    bench.step(found > 0 ? fetched({900}) : fetched({}));
    const auto sent = tokens(bench);
    ASSERT_EQ(sent.size(), found + 1) << "nothing is waited for for ever";
    EXPECT_EQ(sent.front() == 900, found > 0);
    EXPECT_TRUE(is_volatile(sent.back()));
  }
}

// Found by device_sim --scenario offline-weeks --seed 84: one that the broker wanted later came
// back into RAM too old for it, behind others on disk, and its move was left to a wake-up due at
// once.
TEST(Spill, WhatTheBrokerWantsLaterMovesWhenItCannotBeSent) {
  Config config = make_config();
  config.outbox.spill_after = seconds(1);
  config.max_in_flight = 1;
  Bench bench(config);
  bench.start();
  bench.up();
  bench.publish(1, kSpill);
  const auto sent = bench.take_all<EnginePublish>();
  ASSERT_EQ(sent.size(), 1U);
  bench.published(sent[0].token, 0x97);
  bench.publish(2, Durability::memory);  // takes the window
  bench.run_for(seconds(2));             // the bench checks the next wake-up
  EXPECT_EQ(bench.count<StoreAppend>(), 1U);
}

TEST(Spill, WhatCannotBeMovedStaysAndIsTriedAgain) {
  Bench bench;
  bench.start();
  bench.publish(1, kSpill);
  bench.run_for(seconds(31));
  take_over(bench, 0, RejectReason::storage_failed);
  EXPECT_EQ(bench.state().ledger.pending, 1U);
  EXPECT_EQ(bench.count<StoreAppend>(), 0U) << "not at once";
  bench.run_for(seconds(40));
  ASSERT_EQ(bench.count<StoreAppend>(), 1U);
  take_over(bench, 1);
  EXPECT_EQ(bench.state().ledger.pending, 1U);
}

TEST(Disk, OnFaultMemoryKeepsDurableMessagesInRam) {
  Config config = make_config();
  config.outbox.on_fault = OnFault::memory;
  Bench bench(config);
  bench.start();
  bench.publish(1);
  take_over(bench, 0, RejectReason::storage_failed);
  auto got = receipts(bench);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].kind, ReceiptKind::accepted);
  EXPECT_EQ(got[0].kept, Durability::spill);
  bench.run_for(seconds(40));
  take_over(bench, 1);
  EXPECT_EQ(bench.state().ledger.accepted, 1U) << "on disk as soon as that works again";
  EXPECT_EQ(bench.state().ledger.pending, 1U);
}

TEST(Disk, ByDefaultWhatCannotBeStoredIsRejected) {
  Bench bench;
  bench.start();
  bench.publish(1);
  take_over(bench, 0, RejectReason::storage_failed);
  EXPECT_EQ(receipts(bench).at(0).rejected, RejectReason::storage_failed);
}

TEST(Disk, SlowIsSaidAndTakenBack) {
  Bench bench;
  bench.start();
  bench.publish(1);
  bench.run_for(seconds(1));
  EXPECT_EQ(bench.state().storage, StorageHealth::ok);
  bench.run_for(seconds(2));
  EXPECT_EQ(bench.state().storage, StorageHealth::slow);
  take_over(bench, 1);
  EXPECT_EQ(bench.state().storage, StorageHealth::ok);
}

TEST(News, OverTheLimitTheOldestReadAheadGoFirstThenThoseOnDisk) {
  Bench bench;
  bench.start();
  for (MessageId id = 1; id <= 3; ++id) {
    bench.publish(id);
    take_over(bench, id);
  }
  bench.fetched(1);
  bench.take_all<StoreFetch>();
  bench.step(StoreNews{{}, {}, {0, 2, 0}});
  const auto settled = bench.take_all<StoreSettle>();
  ASSERT_EQ(settled.size(), 1U);
  EXPECT_EQ(settled[0].id, 1U);
  EXPECT_EQ(settled[0].reason, DropReason::evicted);
  const auto evict = bench.take_all<StoreEvict>();
  ASSERT_EQ(evict.size(), 1U);
  EXPECT_EQ(evict[0].lane, 1);
  EXPECT_EQ(evict[0].count, 1U);
}

TEST(News, ASupersededMessageIsNotSentUnlessItIsOnTheWay) {
  Bench bench;
  bench.start();
  StoreFetched both{1, {}, false};
  for (MessageId id = 1; id <= 2; ++id) {
    bench.publish(id);
    take_over(bench, id);
    auto message = std::make_shared<StoredMessage>(make());
    message->id = id;
    both.messages.push_back(std::move(message));
  }
  bench.step(std::move(both));
  bench.step(StoreNews{{}, {1}, {}});
  bench.up();
  const auto settled = bench.take_all<StoreSettle>();
  ASSERT_EQ(settled.size(), 1U);
  EXPECT_EQ(settled[0].id, 1U);
  EXPECT_EQ(settled[0].reason, DropReason::superseded);
  ASSERT_EQ(bench.count<EnginePublish>(), 1U);
  bench.step(StoreNews{{}, {2}, {}});
  bench.published(2);
  EXPECT_EQ(bench.state().ledger.delivered, 1U);
}

TEST(Ids, MessagesInRamAreNumberedByTheOpening) {
  sim::SeededRandom random{1};
  Core core(make_config(), random, {.epoch = 7});
  static_cast<void>(core.start(BootTime{seconds(1)}));
  Publish event;
  event.items.push_back({1, Durability::memory, make()});
  for (const Action& action : core.step(BootTime{seconds(1)}, std::move(event))) {
    if (const auto* given = std::get_if<GiveReceipt>(&action)) {
      EXPECT_EQ(given->receipt.id, kVolatileBit | MessageId{7} << 35 | 1);
    }
  }
  EXPECT_EQ(core.state(BootTime{seconds(1)}).ledger.accepted, 1U);
}

}  // namespace
}  // namespace holdfast::device
