// Goal: the rooms work together: a message's whole life, watchdogs, birth, stop in every state,
//       reload, subscriptions and dispatch, with a ledger that balances after every step.
// Method: scripted events on virtual time; Bench checks the balance at each step and keeps the
//         actions by kind. The randomised counterpart is model_test.cpp.
#include "device/core.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "device/test_bench.h"
#include "flow/sender.h"
#include "sim/seeded_random.h"

namespace holdfast::device {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

using sim::SeededRandom;

using test::Bench;
using test::make;
using test::make_config;
using test::share;

TEST(Core, ADurableMessageFromPublishToReceipt) {
  Bench bench;
  bench.start();
  bench.up();
  bench.publish(7);
  const auto append = bench.take_all<StoreAppend>();
  ASSERT_EQ(append.size(), 1U);
  EXPECT_EQ(append[0].items.at(0).ticket, 7U);
  EXPECT_EQ(bench.state().ledger.accepted, 0U) << "not yet on disk";
  EXPECT_EQ(bench.count<GiveReceipt>(), 0U);
  bench.store(7, 1);
  EXPECT_EQ(bench.state().ledger.accepted, 1U);
  EXPECT_EQ(bench.state().ledger.pending, 1U);
  ASSERT_EQ(bench.count<StoreFetch>(), 1U);
  bench.fetched(1);
  const auto sent = bench.take_all<EnginePublish>();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].token, 1U);
  EXPECT_EQ(bench.state().in_flight, 1U);
  bench.published(1, 0x10);
  const auto settle = bench.take_all<StoreSettle>();
  ASSERT_EQ(settle.size(), 1U);
  EXPECT_EQ(settle[0].id, 1U);
  EXPECT_TRUE(settle[0].delivered);
  const auto receipts = bench.take_all<GiveReceipt>();
  ASSERT_EQ(receipts.size(), 2U);
  EXPECT_EQ(receipts[0].receipt.kind, ReceiptKind::accepted);
  EXPECT_EQ(receipts[0].receipt.id, 1U);
  EXPECT_EQ(receipts[1].ticket, 7U);
  EXPECT_EQ(receipts[1].receipt.kind, ReceiptKind::delivered);
  EXPECT_EQ(receipts[1].receipt.reason_code, 0x10);
  EXPECT_EQ(bench.state().ledger.delivered, 1U);
  EXPECT_EQ(bench.state().ledger.pending, 0U);
}

TEST(Core, HistoryOfEarlierRunsIsInTheLedgerAndIsSent) {
  Bench bench;
  bench.take(bench.core.start(bench.now));
  StoreReport report;
  report.ledger.accepted = 10;
  report.ledger.delivered = 8;
  report.ledger.pending = 1;
  report.ledger.dropped[static_cast<std::size_t>(DropReason::corrupt)] = 1;
  report.unfetched = {0, 1, 0};
  bench.step(report);
  EXPECT_EQ(bench.state().ledger.accepted, 10U);
  ASSERT_EQ(bench.count<StoreFetch>(), 1U) << "read ahead while connecting";
  bench.up();
  bench.fetched(9);
  bench.published(9);
  EXPECT_EQ(bench.state().ledger.delivered, 9U);
  EXPECT_EQ(bench.count<GiveReceipt>(), 0U) << "nobody of this run waits for it";
  report.ledger.dropped[static_cast<std::size_t>(DropReason::corrupt)] = 1;
  bench.step(report);
  EXPECT_EQ(bench.state().ledger.delivered, 9U) << "an older view of the store changes nothing";
}

TEST(Core, DamageThatTheStoreFindsIsTakenOver) {
  Bench bench;
  bench.start();
  bench.up();
  bench.send_durable(1, 1);
  bench.publish(2);
  bench.store(2, 2);
  bench.step(StoreNews{{{2, DropReason::corrupt}}, {}, {}});
  EXPECT_EQ(bench.state().ledger.dropped_total(), 1U) << "the one in flight is not lost";
  EXPECT_EQ(bench.state().ledger.pending, 1U);
  bench.published(1);
  EXPECT_EQ(bench.state().ledger.delivered, 1U);
  EXPECT_EQ(bench.state().ledger.pending, 0U);
}

TEST(Core, WhatTheStoreDropsIsCounted) {
  Bench bench;
  bench.start();
  bench.up();
  bench.publish(1);
  bench.publish(2);
  bench.store(1, 1);
  bench.store(2, 2);
  bench.step(StoreNews{{{1, DropReason::expired}, {2, DropReason::corrupt}}, {}, {}});
  EXPECT_EQ(bench.state().ledger.dropped_total(), 2U);
  EXPECT_EQ(bench.count<StoreSettle>(), 0U) << "the store has settled them itself";
  const auto receipts = bench.take_all<GiveReceipt>();
  ASSERT_EQ(receipts.size(), 4U);
  EXPECT_EQ(receipts[3].receipt.kind, ReceiptKind::dropped);
  EXPECT_EQ(receipts[3].receipt.dropped, DropReason::corrupt);
}

TEST(Core, RejectionsAreReceiptsAndCountedBesideTheBalance) {
  Bench bench;
  bench.start();
  bench.publish(1);
  bench.step(StoreAppended{{{1, 0, 1, RejectReason::outbox_full, true, share(make(1))}}});
  const auto receipts = bench.take_all<GiveReceipt>();
  ASSERT_EQ(receipts.size(), 1U);
  EXPECT_EQ(receipts[0].receipt.kind, ReceiptKind::rejected);
  EXPECT_EQ(receipts[0].receipt.rejected, RejectReason::outbox_full);
  const Ledger ledger = bench.state().ledger;
  EXPECT_EQ(ledger.accepted, 0U);
  EXPECT_EQ(ledger.rejected.at(static_cast<std::size_t>(RejectReason::outbox_full)), 1U);
}

TEST(Core, AVolatileMessageIsAcceptedAtOnceAndBounded) {
  Config config = make_config();
  config.limits.memory = 4096;
  Bench bench(config);
  bench.start();
  for (Ticket ticket = 1; ticket <= 50; ++ticket) bench.publish(ticket, Durability::memory);
  const DeviceState state = bench.state();
  EXPECT_GT(state.ledger.accepted, 0U);
  const auto full = state.ledger.rejected.at(static_cast<std::size_t>(RejectReason::queue_full));
  EXPECT_EQ(state.ledger.accepted + full, 50U);
  EXPECT_GT(full, 0U);
  EXPECT_EQ(bench.count<StoreAppend>(), 0U);
  bench.up();
  const auto sent = bench.take_all<EnginePublish>();
  ASSERT_EQ(sent.size(), state.ledger.accepted);
  for (const EnginePublish& send : sent) {
    EXPECT_TRUE(is_volatile(send.token));
    bench.published(send.token);
  }
  EXPECT_EQ(bench.state().ledger.delivered, state.ledger.accepted);
  EXPECT_EQ(bench.count<StoreSettle>(), 0U);
}

TEST(Core, VolatileIdsOfTwoRunsDiffer) {
  SeededRandom random{1};
  MessageId ids[2] = {};
  for (MessageId& id : ids) {
    Core core(make_config(), random);
    static_cast<void>(core.start(BootTime{hours(1)}));
    Publish publish;
    publish.items.push_back({1, Durability::memory, make()});
    const Actions actions = core.step(BootTime{hours(1)}, std::move(publish));
    ASSERT_FALSE(actions.empty());
    id = std::get<GiveReceipt>(actions.at(0)).receipt.id;
  }
  EXPECT_NE(ids[0], ids[1]);
}

TEST(Core, BirthGoesFirstAndIsNotInTheLedger) {
  Config config = make_config();
  config.birth = StatusMessage{"status", "here", Qos::at_least_once, true};
  Bench bench(config);
  bench.start();
  bench.publish(1, Durability::memory);
  bench.up();
  const auto sent = bench.take_all<EnginePublish>();
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].token, flow::kBirthToken);
  EXPECT_EQ(sent[0].message->topic, "status");
  EXPECT_EQ(sent[0].message->payload.size(), 4U);
  EXPECT_TRUE(sent[0].message->retain);
  bench.published(flow::kBirthToken);
  EXPECT_EQ(bench.state().ledger.accepted, 1U);
  EXPECT_EQ(bench.state().ledger.delivered, 0U);
  bench.down(Verdict::server_gone);
  bench.run_for(seconds(15));
  bench.up();
  EXPECT_EQ(bench.take_all<EnginePublish>().at(0).token, flow::kBirthToken) << "at each connect";
}

// Field lesson 33.
TEST(Core, ASessionThatSomebodyElseMayHaveBegunIsNotTrusted) {
  Bench bench;
  bench.start();
  bench.step(Subscribe{1, "a", Qos::at_least_once});
  const auto connect = [&] {
    while (bench.state().connection.state != LinkState::connecting) bench.run_for(seconds(1));
    env::UpInfo resumed;
    resumed.session_present = true;
    bench.up(resumed);
    const auto asked = bench.take_all<EngineSubscribe>();
    for (const auto& ask : asked) {
      bench.step(EngineSubscribed{bench.attempt(), ask.token, {1}});
    }
    return asked.size();
  };
  EXPECT_EQ(connect(), 1U);
  bench.down(Verdict::server_gone);
  EXPECT_EQ(connect(), 0U) << "our own session";
  bench.down(Verdict::id_taken_over);
  EXPECT_EQ(connect(), 1U);
  bench.down(Verdict::server_gone);
  EXPECT_EQ(connect(), 1U) << "it may have come back while we were away";
}

TEST(Core, ABirthMessageThatIsPutOffGoesAgainAndARefusedOneIsSaid) {
  Config config = make_config();
  config.birth = StatusMessage{"status", "here", Qos::at_least_once, true};
  Bench bench(config);
  bench.start();
  bench.up();
  bench.take_all<EnginePublish>();
  bench.published(flow::kBirthToken, 0x97);
  bench.run_for(seconds(2));
  EXPECT_EQ(bench.take_all<EnginePublish>().at(0).token, flow::kBirthToken);
  bench.lines();
  bench.published(flow::kBirthToken, 0x90);
  EXPECT_EQ(bench.lines(), std::vector<std::string>{"birth message refused (0x90)"});
  bench.run_for(seconds(5));
  EXPECT_EQ(bench.count<EnginePublish>(), 0U);
}

// Field lesson 3.
TEST(Core, AnUnansweredMessageEndsTheConnectionInTime) {
  Bench bench;
  bench.start();
  bench.up();
  bench.run_for(seconds(15));
  bench.send_durable(1, 1);
  const BootTime sent = bench.now;
  bench.run_for(seconds(30));
  EXPECT_EQ(bench.count<EngineAbort>(), 1U);
  EXPECT_EQ(bench.state().verdicts.at(static_cast<std::size_t>(Verdict::silent_peer)), 1U);
  EXPECT_LE(bench.now - sent, seconds(30));
  bench.run_for(seconds(5));
  bench.take_all<EnginePublish>();
  bench.up();
  EXPECT_EQ(bench.take_all<EnginePublish>().size(), 1U) << "sent again";
  EXPECT_EQ(bench.state().sends_repeated, 1U);
}

TEST(Core, OneForgottenMessageAmongAnsweredOnesIsNoticedToo) {
  Bench bench;
  bench.start();
  bench.up();
  bench.send_durable(1, 1);
  for (MessageId id = 2; id < 100 && bench.count<EngineAbort>() == 0; ++id) {
    bench.send_durable(id, id);
    bench.published(id);
    bench.run_for(seconds(1));
  }
  EXPECT_EQ(bench.count<EngineAbort>(), 1U);
  EXPECT_LE(bench.now - BootTime{hours(3)}, seconds(61));
}

// A broker that is slow with a full window, and answers.
TEST(Core, AnAnswerToOneGivesTheOthersTime) {
  Bench bench;
  bench.start();
  bench.up();
  bench.send_durable(1, 1);
  bench.send_durable(2, 2);
  bench.run_for(seconds(15));
  bench.published(2);
  bench.run_for(seconds(15));
  EXPECT_EQ(bench.count<EngineAbort>(), 0U) << "something was heard 15 s ago";
  bench.run_for(seconds(10));
  EXPECT_EQ(bench.count<EngineAbort>(), 1U);
}

TEST(Core, AnIdleConnectionIsLeftAlone) {
  Bench bench;
  bench.start();
  bench.up();
  bench.run_for(hours(1));
  EXPECT_EQ(bench.count<EngineAbort>(), 0U);
  EXPECT_EQ(bench.state().connection.state, LinkState::connected);
}

TEST(Core, AnEngineThatHangsWhileConnectingIsRebuilt) {
  Bench bench;
  bench.start();
  bench.run_for(minutes(1));
  EXPECT_EQ(bench.count<EngineAbort>(), 1U);
  EXPECT_GE(bench.count<EngineConnect>(), 2U);
}

TEST(Core, LateEventsOfAnOldAttemptChangeNothing) {
  Bench bench;
  bench.start();
  bench.up();
  bench.send_durable(1, 1);
  const env::AttemptId old = bench.attempt();
  bench.down(Verdict::server_gone);
  bench.run_for(seconds(15));
  bench.step(EnginePublished{old, 1, 0});
  bench.step(EngineRefused{old, 1, Errc::too_large});
  bench.step(EngineMessage{old, {}});
  EXPECT_EQ(bench.state().ledger.pending, 1U);
  EXPECT_EQ(bench.state().inbound, 0U);
  bench.up();
  bench.step(EnginePublished{old, 1, 0});
  EXPECT_EQ(bench.state().ledger.pending, 1U);
  bench.published(1);
  EXPECT_EQ(bench.state().ledger.delivered, 1U);
}

TEST(Core, AMessageIsAcknowledgedWhenTheApplicationIsDoneWithIt) {
  Bench bench;
  bench.start();
  bench.step(Subscribe{1, "cmd/go", Qos::at_least_once});
  bench.up();
  env::Arrival arrival;
  arrival.message.topic = "cmd/go";
  arrival.ticket = 7;
  bench.step(EngineMessage{bench.attempt(), arrival});
  const auto given = bench.take_all<GiveMessage>();
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(bench.count<EngineTaken>(), 0U);
  bench.step(MessageTaken{given[0].delivery});
  const auto taken = bench.take_all<EngineTaken>();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].attempt, bench.attempt());
  EXPECT_EQ(taken[0].ticket, 7U);
  bench.step(MessageTaken{given[0].delivery});
  EXPECT_EQ(bench.count<EngineTaken>(), 0U) << "once";

  // What its connection has not acknowledged the next one brings again.
  bench.step(EngineMessage{bench.attempt(), arrival});
  const auto again = bench.take_all<GiveMessage>();
  bench.down(Verdict::server_gone);
  bench.run_for(seconds(15));
  bench.up();
  bench.step(MessageTaken{again.at(0).delivery});
  EXPECT_EQ(bench.count<EngineTaken>(), 0U) << "no ticket of another connection";
}

TEST(Core, SubscriptionsAndDispatch) {
  Bench bench;
  bench.start();
  bench.step(Subscribe{1, "cmd/+", Qos::at_least_once});
  bench.step(Subscribe{2, "cmd/go", Qos::at_least_once});
  EXPECT_EQ(bench.count<EngineSubscribe>(), 0U);
  bench.up();
  const auto asked = bench.take_all<EngineSubscribe>();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].filters.size(), 2U);
  bench.step(EngineSubscribed{bench.attempt(), asked[0].token, {0x87, 1}});
  const auto lines = bench.lines();
  EXPECT_EQ(lines.back(), "subscription 'cmd/+' refused (0x87); asked for again in 5 s");
  InboundMessage message;
  message.topic = "cmd/go";
  bench.step(EngineMessage{bench.attempt(), {message, {}}});
  message.topic = "other";
  bench.step(EngineMessage{bench.attempt(), {message, {}}});
  const auto given = bench.take_all<GiveMessage>();
  ASSERT_EQ(given.size(), 2U);
  EXPECT_EQ(given[0].to, (std::vector<SubscriptionId>{1, 2}));
  EXPECT_TRUE(given[1].to.empty()) << "for whoever wants what belongs to no subscription";
  EXPECT_EQ(bench.state().inbound, 2U);
  EXPECT_EQ(bench.state().inbound_unmatched, 1U);
  bench.run_for(seconds(5));
  const auto again = bench.take_all<EngineSubscribe>();
  ASSERT_EQ(again.size(), 1U);
  // The engine could not even send it.
  bench.step(EngineRefused{bench.attempt(), again[0].token, Errc::unsupported});
  bench.run_for(seconds(10));
  EXPECT_EQ(bench.count<EngineSubscribe>(), 1U);
  bench.step(Unsubscribe{2});
  EXPECT_EQ(bench.state().connection.state, LinkState::connected);
}

TEST(Core, ARepeatByItsStampIsCountedAndLeftOutIfSoConfigured) {
  for (const bool filter : {true, false}) {
    Config config = make_config();
    config.filter_duplicates = filter;
    Bench bench(config);
    bench.start();
    bench.up();
    InboundMessage message;
    message.topic = "t";
    message.user_properties = {{config.id_property, "0000abcd-0000000800000001"}};
    for (int i = 0; i < 2; ++i) bench.step(EngineMessage{bench.attempt(), {message, {}}});
    EXPECT_EQ(bench.count<GiveMessage>(), filter ? 1U : 2U);
    EXPECT_EQ(bench.state().inbound, 2U);
    EXPECT_EQ(bench.state().inbound_duplicates, filter ? 1U : 0U);
  }
}

// Field lesson 32.
TEST(Core, AMissingSubackEndsTheConnection) {
  Bench bench;
  bench.start();
  bench.step(Subscribe{1, "a", Qos::at_least_once});
  bench.up();
  bench.run_for(seconds(10));
  EXPECT_EQ(bench.count<EngineAbort>(), 1U);
  EXPECT_EQ(bench.state().connection.verdict, Verdict::silent_peer);
}

// Field lesson 34.
TEST(Core, EveryChangeOfTheConnectionIsGiven) {
  Bench bench;
  bench.start();
  bench.up();
  bench.run_for(minutes(1));
  bench.down(Verdict::server_gone);
  const auto given = bench.take_all<GiveConnection>();
  ASSERT_EQ(given.size(), 3U);
  EXPECT_EQ(given[0].state.state, LinkState::connecting);
  EXPECT_EQ(given[1].state.state, LinkState::connected);
  EXPECT_EQ(given[2].state.state, LinkState::waiting);
  EXPECT_EQ(given[2].state.verdict, Verdict::server_gone);
}

TEST(Core, ReloadRenewsTheConnectionOnlyWhenItMust) {
  Bench bench;
  bench.start();
  bench.up();
  bench.run_for(minutes(1));
  Config config = make_config();
  config.max_in_flight = 1;
  bench.step(Reload{std::make_shared<const Config>(config)});
  EXPECT_EQ(bench.count<EngineDisconnect>(), 0U);
  bench.publish(1, Durability::memory);
  bench.publish(2, Durability::memory);
  EXPECT_EQ(bench.state().in_flight, 1U) << "the new window holds";
  config.host = "other.example";
  bench.step(Reload{std::make_shared<const Config>(config)});
  EXPECT_EQ(bench.count<EngineDisconnect>(), 1U);
  const auto sent = bench.take_all<EnginePublish>();
  bench.published(sent.at(0).token);
  EXPECT_EQ(bench.state().ledger.delivered, 1U) << "answers count while leaving";
  bench.take_all<EngineConnect>();
  bench.down(Verdict::none);
  const auto connect = bench.take_all<EngineConnect>();
  ASSERT_EQ(connect.size(), 1U);
  EXPECT_EQ(connect[0].request->host, "other.example");
}

TEST(Core, AReloadKeepsTheSubscriptions) {
  for (const bool online : {false, true}) {
    Bench bench;
    bench.start();
    if (online) bench.up();
    bench.step(Subscribe{1, "cmd", Qos::at_least_once});
    Config config = make_config();
    config.host = "other.example";
    bench.step(Reload{std::make_shared<const Config>(config)});
    if (online) bench.down(Verdict::none);
    bench.run_for(seconds(2));
    bench.take_all<EngineSubscribe>();
    bench.up();
    const auto asked = bench.take_all<EngineSubscribe>();
    ASSERT_EQ(asked.size(), 1U) << "online: " << online;
    EXPECT_EQ(asked[0].filters.at(0).filter, "cmd");
  }
}

TEST(Core, StorageTroubleIsSaidOnce) {
  Bench bench;
  bench.start();
  bench.lines();
  bench.step(StoreReport{{}, StorageHealth::full, {0, 0, 0}});
  bench.step(StoreReport{{}, StorageHealth::full, {0, 0, 0}});
  EXPECT_EQ(bench.lines().size(), 1U);
  EXPECT_EQ(bench.state().storage, StorageHealth::full);
}

// ---- stop ---------------------------------------------------------------------------------------

/// Runs a stop to its end; the store answers StoreClose after `store_takes`, the engine answers a
/// DISCONNECT after `engine_takes` (kNever: not at all). Returns how long it took.
Duration stop(Bench& bench, Duration deadline, Duration store_takes, Duration engine_takes) {
  const BootTime began = bench.now;
  bench.step(Stop{deadline});
  BootTime close_at = kNever;
  BootTime down_at = kNever;
  while (bench.count<Stopped>() == 0) {
    if (!bench.take_all<StoreClose>().empty()) close_at = bench.now + store_takes;
    if (!bench.take_all<EngineDisconnect>().empty() && engine_takes != Duration::max()) {
      down_at = bench.now + engine_takes;
    }
    bench.now = std::min({bench.core.next_wake(), close_at, down_at});
    if (bench.now == kNever) {
      ADD_FAILURE() << "hangs";
      break;
    }
    if (bench.now == close_at) {
      close_at = kNever;
      bench.step(StoreClosed{});
    } else if (bench.now == down_at) {
      down_at = kNever;
      bench.down(Verdict::none);
    } else {
      bench.step(Tick{});
    }
    if (::testing::Test::HasFatalFailure()) break;
  }
  EXPECT_EQ(bench.core.next_wake(), kNever);
  EXPECT_EQ(bench.state().connection.state, LinkState::stopped);
  return bench.now - began;
}

// Whatever the reason, and however many reasons there are: the broker is away for a whole day, a
// message is published each minute, and half way the outbox is full.
TEST(Core, ADayWithoutABrokerLogsAtMost200Lines) {
  std::vector<std::vector<Verdict>> days{{Verdict::tcp_refused}, {Verdict::tcp_timeout}, {}};
  for (std::size_t i = 0; i < kVerdicts; ++i) days[2].push_back(static_cast<Verdict>(i));
  for (const std::vector<Verdict>& reasons : days) {
    Bench bench;
    SeededRandom random(7);
    bench.start();
    bench.up();
    bench.run_for(minutes(1));
    std::ignore = bench.lines();
    bench.down(Verdict::server_gone);
    std::size_t lines = 0;
    std::size_t attempts = 0;
    for (Ticket minute = 1; minute <= 24 * 60; ++minute) {
      if (minute == 12 * 60) bench.step(StoreReport{bench.state().ledger, StorageHealth::full, {}});
      for (int second = 0; second < 60; ++second) {
        bench.run_for(seconds(1));
        for (const auto& connect : bench.take_all<EngineConnect>()) {
          ++attempts;
          const auto reason = static_cast<std::size_t>(random.below(reasons.size()));
          bench.step(EngineFailed{connect.request->attempt, {reasons[reason], 0, "scripted"}});
        }
      }
      bench.publish(minute);
      if (minute < 12 * 60) {
        bench.store(minute, minute);
      } else {
        bench.step(StoreAppended{{{minute, 0, 1, RejectReason::outbox_full, true, share(make())}}});
      }
      for (const auto& log : bench.take_all<Log>())
        lines += log.line.level <= LogLevel::info ? 1U : 0U;
      bench.actions.clear();
      if (HasFatalFailure()) return;
    }
    EXPECT_GT(attempts, 100U);
    EXPECT_GT(lines, 24U) << "it says now and then that it is still offline";
    EXPECT_LE(lines, 200U) << reasons.size() << " reasons";
  }
}

// Field lesson 54.
TEST(CoreStop, InEveryStateWithinTheDeadline) {
  using Prepare = void (*)(Bench&);
  const std::pair<const char*, Prepare> states[] = {
      {"connecting", [](Bench& b) { b.start(); }},
      {"waiting",
       [](Bench& b) {
         b.start();
         b.step(EngineFailed{b.attempt(), {Verdict::dns_timeout, 0, ""}});
       }},
      {"connected", [](Bench& b) { b.start(), b.up(); }},
      {"unanswered", [](Bench& b) { b.start(), b.up(), b.send_durable(1, 1); }},
      {"appending", [](Bench& b) { b.start(), b.up(), b.publish(1); }},
      {"volatile waiting", [](Bench& b) { b.start(), b.publish(1, Durability::memory); }},
      {"volatile unanswered",
       [](Bench& b) { b.start(), b.up(), b.publish(1, Durability::memory); }},
      {"leaving for a reload",
       [](Bench& b) {
         b.start(), b.up();
         Config config = make_config();
         config.host = "other";
         b.step(Reload{std::make_shared<const Config>(config)});
       }},
  };
  const Duration deadlines[] = {Duration::zero(), milliseconds(10), seconds(1), seconds(5)};
  const Duration never = Duration::max();
  for (const auto& [name, prepare] : states) {
    for (const Duration deadline : deadlines) {
      for (const Duration store : {Duration(milliseconds(5)), Duration(hours(1))}) {
        for (const Duration engine : {Duration(milliseconds(1)), never}) {
          SCOPED_TRACE(std::string(name) + " " + std::to_string(deadline.count()));
          Bench bench;
          prepare(bench);
          EXPECT_LE(stop(bench, deadline, store, engine), deadline);
          EXPECT_EQ(bench.state().ledger.pending, bench.state().ledger.accepted -
                                                      bench.state().ledger.delivered -
                                                      bench.state().ledger.dropped_total());
        }
      }
    }
  }
}

TEST(CoreStop, IdleAndConnectedLeavesAtOnce) {
  Bench bench;
  bench.start();
  bench.up();
  EXPECT_LE(stop(bench, seconds(5), milliseconds(5), milliseconds(1)), milliseconds(10));
  EXPECT_EQ(bench.count<EngineAbort>(), 0U);
}

TEST(CoreStop, NothingComesBehindStopped) {
  Bench bench;
  bench.start();
  bench.actions.clear();
  bench.step(Stop{Duration::zero()});  // one step goes from connecting to the end
  ASSERT_EQ(bench.count<GiveConnection>(), 1U);
  EXPECT_TRUE(std::holds_alternative<Stopped>(bench.actions.back()));
}

TEST(CoreStop, AnswersUnderWayAreStillCountedBeforeTheStoreCloses) {
  Bench bench;
  bench.start();
  bench.up();
  bench.send_durable(1, 1);
  bench.publish(2, Durability::memory);
  bench.step(Stop{seconds(5)});
  EXPECT_EQ(bench.count<EngineDisconnect>(), 0U) << "two answers are missing";
  bench.publish(3);
  EXPECT_EQ(bench.take_all<GiveReceipt>().back().receipt.rejected, RejectReason::stopping);
  bench.run_for(milliseconds(20));
  for (const auto& send : bench.take_all<EnginePublish>()) bench.published(send.token);
  EXPECT_EQ(bench.count<EngineDisconnect>(), 1U);
  EXPECT_EQ(bench.count<StoreSettle>(), 1U);
  EXPECT_EQ(bench.count<StoreClose>(), 0U);
  bench.down(Verdict::none);
  EXPECT_EQ(bench.count<StoreClose>(), 1U);
  bench.step(StoreClosed{});
  EXPECT_EQ(bench.count<Stopped>(), 1U);
  EXPECT_EQ(bench.state().ledger.delivered, 2U);
  bench.take_all<Stopped>();
  EXPECT_TRUE(bench.core.step(bench.now, Tick{}).empty());
}

TEST(CoreStop, VolatileMessagesThatCannotLeaveAreCounted) {
  Bench bench;
  bench.start();
  for (Ticket ticket = 1; ticket <= 5; ++ticket) bench.publish(ticket, Durability::memory);
  stop(bench, seconds(5), milliseconds(5), milliseconds(1));
  const Ledger ledger = bench.state().ledger;
  EXPECT_EQ(ledger.dropped.at(static_cast<std::size_t>(DropReason::volatile_lost)), 5U);
  EXPECT_EQ(ledger.pending, 0U);
}

TEST(CoreStop, AppendsUnderWayGetTheirReceiptsFirst) {
  Bench bench;
  bench.start();
  bench.publish(1);
  bench.step(Stop{seconds(5)});
  EXPECT_EQ(bench.count<StoreClose>(), 0U);
  bench.store(1, 1);
  EXPECT_EQ(bench.count<StoreClose>(), 1U);
  EXPECT_EQ(bench.take_all<GiveReceipt>().at(0).receipt.kind, ReceiptKind::accepted);
}

TEST(CoreStop, TheConnectionIsNotMadeAgain) {
  Bench bench;
  bench.start();
  bench.up();
  bench.send_durable(1, 1);
  bench.take_all<EngineConnect>();
  bench.step(Stop{seconds(5)});
  bench.down(Verdict::server_gone);
  bench.step(ReconnectNow{});
  bench.run_for(seconds(5));
  EXPECT_EQ(bench.count<EngineConnect>(), 0U);
}

}  // namespace
}  // namespace holdfast::device
