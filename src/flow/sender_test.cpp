// Goal: window, lanes, pacing, order, retries and memory are kept, and every message ends once.
// Method: scripted calls on virtual time; Bench plays the outbox (answers fetches from a queue per
//         lane) and keeps what was sent and settled.
#include "flow/sender.h"

#include <gtest/gtest.h>

#include <set>

#include "flow/reason.h"

namespace holdfast::flow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Config make_config() {
  Config config;
  config.messages_per_second = 0;
  config.bytes_per_second = 0;
  config.max_in_flight = 10;
  return config;
}

constexpr BootTime kStart{std::chrono::hours(1)};

MessagePtr make(MessageId id, LaneIndex lane = 1, std::size_t payload = 100,
                std::optional<std::uint32_t> expiry = {}) {
  auto message = std::make_shared<StoredMessage>();
  message->id = id;
  message->lane = lane;
  message->topic = "t";
  message->payload.resize(payload);
  message->expiry_seconds = expiry;
  if (expiry) message->expires = message->give_up = kStart + std::chrono::seconds(*expiry);
  return message;
}

MessagePtr make_volatile(MessageId n, LaneIndex lane = 1, std::size_t payload = 100,
                         std::optional<std::uint32_t> expiry = {}) {
  return make(kVolatileBit | n, lane, payload, expiry);
}

class Bench {
 public:
  explicit Bench(const Config& config = make_config()) : sender(config) {}

  void store(MessageId id, LaneIndex lane = 1, std::size_t payload = 100) {
    stored[lane].push_back(make(id, lane, payload));
    sender.set_stored(lane, true);
  }
  /// Fetches and sends until nothing moves.
  void pump() {
    for (bool moved = true; moved;) {
      sender.fetch(work);
      sender.send(now, work);
      moved = !work.sends.empty() || !work.fetches.empty();
      drain();
    }
  }
  void drain() {
    for (auto& send : work.sends) sent.push_back(send.token);
    for (auto& end : work.settled) settled.push_back(end);
    const auto fetches = work.fetches;
    work = {};
    for (const auto& fetch : fetches) {
      if (hold_fetches) continue;
      auto& queue = stored[fetch.lane];
      std::vector<MessagePtr> found;
      std::size_t bytes = 0;
      while (!queue.empty() && found.size() < fetch.max_count && bytes < fetch.max_bytes) {
        bytes += queue.front()->cost();
        found.push_back(queue.front());
        queue.pop_front();
      }
      sender.fetched(now, fetch.lane, std::move(found), !queue.empty());
    }
  }
  void ack(env::Token token, std::uint8_t code = 0) {
    sender.published(now, token, code, work);
    drain();
  }
  std::vector<env::Token> take_sent() { return std::exchange(sent, {}); }

  BootTime now = kStart;
  Sender sender;
  Work work;
  std::map<LaneIndex, std::deque<MessagePtr>> stored;
  std::vector<env::Token> sent;
  std::vector<Settlement> settled;
  bool hold_fetches = false;
};

using Tokens = std::vector<env::Token>;

TEST(Sender, SendsInOrderWithinTheWindowAndRefillsIt) {
  Bench bench;
  for (MessageId id = 1; id <= 30; ++id) bench.store(id);
  bench.pump();
  EXPECT_TRUE(bench.sent.empty()) << "not connected";
  bench.sender.connected(100);
  bench.pump();
  EXPECT_EQ(bench.sender.in_flight(), 10U);
  for (MessageId id = 1; id <= 30; ++id) {
    bench.ack(id);
    bench.pump();
    EXPECT_LE(bench.sender.in_flight(), 10U);
  }
  Tokens expected;
  for (MessageId id = 1; id <= 30; ++id) expected.push_back(id);
  EXPECT_EQ(bench.sent, expected);
  ASSERT_EQ(bench.settled.size(), 30U);
  for (const Settlement& end : bench.settled) EXPECT_TRUE(end.delivered);
  EXPECT_EQ(bench.sender.durable_held(), 0U);
  EXPECT_EQ(bench.sender.durable_bytes(), 0U);
  EXPECT_EQ(bench.sender.oldest_sent(), kNever);
}

TEST(Sender, WindowStaysBelowTheServersReceiveMaximum) {
  struct Row {
    std::uint16_t server;
    std::size_t window;
  };
  for (const Row row : {Row{5, 5}, Row{1, 1}, Row{0, 1}, Row{10, 10}, Row{65535, 10}}) {
    Bench bench;
    for (MessageId id = 1; id <= 30; ++id) bench.store(id);
    bench.sender.connected(row.server);
    bench.sender.send_birth(bench.now, make(kBirthToken, 0), bench.work);
    bench.pump();
    EXPECT_EQ(bench.sender.in_flight(), row.window) << "the birth message counts, too";
  }
}

TEST(Sender, HigherLanesGoFirstAlways) {
  Config config = make_config();
  config.max_in_flight = 1;
  Bench bench(config);
  for (MessageId id = 1; id <= 3; ++id) bench.store(id, 2);
  for (MessageId id = 4; id <= 6; ++id) bench.store(id, 1);
  bench.sender.connected(100);
  bench.pump();
  bench.store(7, 0);
  bench.store(8, 0);
  bench.pump();  // read ahead while the window is full
  Tokens order;
  while (!bench.sent.empty()) {
    const env::Token token = bench.take_sent().at(0);
    order.push_back(token);
    bench.ack(token);
    bench.pump();
  }
  EXPECT_EQ(order, (Tokens{4, 7, 8, 5, 6, 1, 2, 3}));
}

TEST(Sender, AHeldLaneWaitsWhileTheOthersGoOnAndThenKeepsItsOrder) {
  Bench bench;
  bench.sender.connected(100);
  bench.sender.hold_lanes(0b100);
  for (MessageId id = 1; id <= 3; ++id) bench.store(id, 2);
  ASSERT_TRUE(bench.sender.add_volatile(bench.now, make_volatile(1, 2), bench.work));
  bench.store(4, 1);
  bench.pump();
  EXPECT_EQ(bench.take_sent(), (Tokens{4}));
  EXPECT_EQ(bench.stored[2].size(), 3U) << "nothing is read ahead for a lane that waits";
  EXPECT_EQ(bench.sender.next_wake(), kNever) << "only an event helps: a wake-up would spin";
  bench.sender.hold_lanes({});
  bench.pump();
  EXPECT_EQ(bench.take_sent(), (Tokens{kVolatileBit | 1, 1, 2, 3}));
}

TEST(Sender, WhatIsInFlightWhenItsLaneIsHeldEndsAndWhatComesBackWaits) {
  Bench bench;
  bench.sender.connected(100);
  for (MessageId id = 1; id <= 2; ++id) bench.store(id, 2);
  bench.pump();
  ASSERT_EQ(bench.take_sent(), (Tokens{1, 2}));
  bench.sender.hold_lanes(0b100);
  bench.ack(1);
  ASSERT_EQ(bench.settled.size(), 1U);
  bench.sender.disconnected();
  bench.sender.connected(100);
  bench.pump();
  EXPECT_TRUE(bench.take_sent().empty());
  EXPECT_EQ(bench.sender.durable_held(), 1U) << "it is kept";
  bench.sender.hold_lanes({});
  bench.pump();
  EXPECT_EQ(bench.take_sent(), (Tokens{2}));
}

TEST(Sender, DurableAndVolatileOfALaneTakeTurns) {
  Config config = make_config();
  config.max_in_flight = 6;
  Bench bench(config);
  for (MessageId id = 1; id <= 3; ++id) bench.store(id);
  for (MessageId n = 1; n <= 3; ++n) {
    ASSERT_TRUE(bench.sender.add_volatile(bench.now, make_volatile(n), bench.work));
  }
  bench.sender.fetch(bench.work);
  bench.drain();
  bench.sender.connected(100);
  bench.pump();
  const env::Token v = kVolatileBit;
  EXPECT_EQ(bench.sent, (Tokens{1, v | 1, 2, v | 2, 3, v | 3}));
}

TEST(Sender, ALostConnectionPutsEverythingBackInOrder) {
  Bench bench;
  for (MessageId id = 1; id <= 20; ++id) bench.store(id);
  bench.sender.connected(100);
  bench.pump();
  for (const MessageId id : {2U, 5U, 9U}) bench.ack(id);
  bench.sender.disconnected();
  EXPECT_EQ(bench.sender.in_flight(), 0U);
  EXPECT_EQ(bench.sender.sends_repeated(), 0U);
  bench.take_sent();
  bench.sender.connected(100);
  bench.pump();
  EXPECT_EQ(bench.sent, (Tokens{1, 3, 4, 6, 7, 8, 10, 11, 12, 13}));
  EXPECT_EQ(bench.sender.sends_repeated(), 7U);
  bench.ack(2);  // an answer from the connection before
  EXPECT_EQ(bench.settled.size(), 3U);
}

TEST(Sender, MeaningOfEveryCode) {
  for (unsigned code = 0; code < 256; ++code) {
    const auto byte = static_cast<std::uint8_t>(code);
    AckMeaning expected = code < 0x80 ? AckMeaning::delivered : AckMeaning::refused;
    if (code == 0x87) expected = AckMeaning::denied;
    if (code == 0x80 || code == 0x83 || code == 0x91 || code == 0x97) expected = AckMeaning::retry;
    EXPECT_EQ(meaning_of(byte), expected) << code;
  }
}

TEST(Sender, QuotaMeansLaterWithoutHoldingUpTheLane) {
  Bench bench;
  bench.store(1);
  bench.store(2);
  bench.sender.connected(100);
  bench.pump();
  bench.take_sent();
  const int delays[] = {1, 2, 4, 8, 16, 32, 60, 60};
  for (const int delay : delays) {
    bench.ack(1, 0x97);
    bench.pump();
    EXPECT_TRUE(bench.take_sent().empty());
    EXPECT_EQ(bench.sender.next_wake(), bench.now + seconds(delay));
    bench.now += seconds(delay) - milliseconds(1);
    bench.pump();
    EXPECT_TRUE(bench.take_sent().empty());
    bench.now += milliseconds(1);
    bench.pump();
    EXPECT_EQ(bench.take_sent(), Tokens{1});
  }
  bench.ack(2);
  bench.ack(1);
  EXPECT_EQ(bench.settled.size(), 2U);
  EXPECT_EQ(bench.sender.sends_repeated(), std::size(delays));
  EXPECT_EQ(bench.sender.next_wake(), kNever);
}

TEST(Sender, RefusalsEndAMessageAndAreNamed) {
  Bench bench;
  const std::uint8_t codes[] = {0x8F, 0x90, 0x99, 0x9B, 0xFF};
  for (MessageId id = 1; id <= 5; ++id) bench.store(id);
  bench.sender.connected(100);
  bench.pump();
  for (MessageId id = 1; id <= 5; ++id) bench.ack(id, codes[id - 1]);
  ASSERT_EQ(bench.settled.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_FALSE(bench.settled[i].delivered);
    EXPECT_EQ(bench.settled[i].reason, DropReason::refused);
    EXPECT_EQ(bench.settled[i].code, codes[i]);
  }
}

TEST(Sender, WhatTheEngineRefusesIsDroppedOnlyIfTheMessageIsToBlame) {
  Bench bench;
  for (MessageId id = 1; id <= 3; ++id) bench.store(id);
  bench.sender.connected(100);
  bench.pump();
  bench.take_sent();
  bench.sender.refused(bench.now, 1, Errc::too_large, bench.work);
  bench.sender.refused(bench.now, 2, Errc::unsupported, bench.work);
  bench.sender.refused(bench.now, 3, Errc::closed, bench.work);
  bench.drain();
  ASSERT_EQ(bench.settled.size(), 2U);
  EXPECT_EQ(bench.settled[0].reason, DropReason::too_large);
  EXPECT_EQ(bench.settled[1].reason, DropReason::refused);
  EXPECT_EQ(bench.sender.durable_held(), 1U);
  bench.now = bench.sender.next_wake();
  bench.pump();
  EXPECT_EQ(bench.sent, Tokens{3});
}

TEST(Sender, PacingLimitsMessagesPerSecond) {
  Config config = make_config();
  config.messages_per_second = 80;
  config.max_in_flight = 1000;
  Bench bench(config);
  for (MessageId id = 1; id <= 2000; ++id) bench.store(id);
  bench.sender.connected(1000);
  bench.pump();
  EXPECT_EQ(bench.sent.size(), 8U) << "a tenth of a second's worth at once";
  const BootTime end = bench.now + seconds(10);
  while (bench.sender.next_wake() <= end) {
    ASSERT_GT(bench.sender.next_wake(), bench.now);
    bench.now = bench.sender.next_wake();
    bench.pump();
  }
  EXPECT_LE(bench.sent.size(), 10U * 80U + 8U);
  EXPECT_GE(bench.sent.size(), 10U * 80U);
}

TEST(Sender, PacingLimitsBytesPerSecond) {
  Config config = make_config();
  config.bytes_per_second = 100 * 1024;
  config.max_in_flight = 1000;
  Bench bench(config);
  for (MessageId id = 1; id <= 200; ++id) bench.store(id, 1, 10 * 1024);
  bench.sender.connected(1000);
  const BootTime end = bench.now + seconds(5);
  for (bench.pump(); bench.sender.next_wake() <= end; bench.pump()) {
    bench.now = bench.sender.next_wake();
    for (const env::Token token : bench.take_sent()) bench.ack(token);
  }
  EXPECT_GE(bench.settled.size(), 45U);
  EXPECT_LE(bench.settled.size(), 53U);
}

TEST(Sender, NoTimerWhenNothingWaits) {
  Config config = make_config();
  config.messages_per_second = 10;
  Bench bench(config);
  bench.sender.connected(100);
  bench.store(1);
  bench.pump();
  EXPECT_EQ(bench.sender.next_wake(), kNever) << "all sent: only a PUBACK can change anything";
  bench.store(2);
  bench.pump();
  EXPECT_NE(bench.sender.next_wake(), kNever);
  bench.sender.disconnected();
  EXPECT_EQ(bench.sender.next_wake(), kNever);
}

// Field lesson 26.
TEST(Sender, VolatileMessagesAreBoundedAndExpire) {
  Config config = make_config();
  config.limits.memory = 64 * 1024;
  Bench bench(config);
  MessageId n = 0;
  while (bench.sender.add_volatile(bench.now, make_volatile(n + 1, 1, 1000, 5), bench.work)) ++n;
  EXPECT_GT(n, 20U);
  EXPECT_LE(bench.sender.volatile_bytes(), config.limits.memory / 2);
  EXPECT_EQ(bench.sender.volatile_held(), n);
  bench.now += seconds(5);
  ASSERT_TRUE(bench.sender.add_volatile(bench.now, make_volatile(n + 1, 1, 1000, 5), bench.work));
  bench.drain();
  EXPECT_EQ(bench.settled.size(), n) << "the expired made room";
  bench.now += seconds(5);
  bench.sender.connected(100);
  bench.pump();
  EXPECT_TRUE(bench.sent.empty());
  ASSERT_EQ(bench.settled.size(), n + 1);
  EXPECT_EQ(bench.settled.back().reason, DropReason::expired);
  EXPECT_EQ(bench.sender.volatile_held(), 0U);
}

TEST(Sender, ADurableMessageHeldLongerThanItsLifeIsNotSent) {
  Bench bench;
  bench.stored[1].push_back(make(1, 1, 100, 60));
  bench.stored[1].push_back(make(2, 1, 100));
  bench.sender.set_stored(1, true);
  bench.sender.fetch(bench.work);
  bench.drain();
  bench.now += seconds(60);
  bench.sender.connected(100);
  bench.pump();
  EXPECT_EQ(bench.sent, Tokens{2});
  ASSERT_EQ(bench.settled.size(), 1U);
  EXPECT_EQ(bench.settled[0].reason, DropReason::expired);
}

TEST(Sender, WhatMayHaveArrivedIsNeverCalledExpired) {
  Bench bench;
  bench.stored[1].push_back(make(1, 1, 100, 60));
  bench.sender.set_stored(1, true);
  ASSERT_TRUE(bench.sender.add_volatile(bench.now, make_volatile(2, 1, 100, 60), bench.work));
  bench.sender.connected(100);
  bench.pump();
  const Tokens first = bench.take_sent();
  ASSERT_EQ(first.size(), 2U);
  bench.sender.disconnected();
  bench.now += seconds(61);
  bench.sender.connected(100);
  bench.pump();
  EXPECT_EQ(bench.sent.size(), 2U) << "both again: nobody knows what became of the first";
  EXPECT_TRUE(bench.settled.empty());
}

// Field lesson 26.
TEST(Sender, ReadAheadStaysWithinItsMemoryWhateverTheSizes) {
  for (const std::size_t payload : {10U, 1000U, 20000U, 131072U}) {
    Config config = make_config();
    config.max_in_flight = 100;
    Bench bench(config);
    const MessageId count = payload > 10000 ? 60 : 600;
    for (MessageId id = 1; id <= count; ++id) {
      bench.store(id, static_cast<LaneIndex>(id % 3), payload);
    }
    bench.sender.connected(100);
    std::size_t most = 0;
    std::set<env::Token> done;
    for (bench.pump(); !bench.sent.empty(); bench.pump()) {
      most = std::max(most, bench.sender.durable_bytes());
      for (const env::Token token : bench.take_sent()) {
        done.insert(token);
        bench.ack(token);
      }
    }
    EXPECT_EQ(done.size(), count) << payload;
    // A fetch may overshoot by one message, in each lane.
    EXPECT_LE(most, config.limits.memory / 2 + 3 * (payload + 1000)) << payload;
  }
}

TEST(Sender, ALaneFullOfHistoryLeavesRoomForTheOthers) {
  Bench bench;
  for (MessageId id = 1; id <= 100; ++id) bench.store(id, 2, 100000);
  bench.pump();
  bench.store(1000, 0, 1000);
  bench.sender.connected(100);
  bench.pump();
  EXPECT_NE(std::find(bench.sent.begin(), bench.sent.end(), env::Token{1000}), bench.sent.end());
}

TEST(Sender, OneFetchPerLaneAtATime) {
  Bench bench;
  bench.hold_fetches = true;
  bench.store(1);
  bench.sender.fetch(bench.work);
  ASSERT_EQ(bench.work.fetches.size(), 1U);
  EXPECT_EQ(bench.work.fetches[0].lane, 1);
  EXPECT_GE(bench.work.fetches[0].max_count, kReadyMin);
  EXPECT_LE(bench.work.fetches[0].max_bytes, make_config().limits.memory / 2);
  bench.sender.fetch(bench.work);
  EXPECT_EQ(bench.work.fetches.size(), 1U);
  bench.sender.fetched(bench.now, 1, {}, false);
  bench.sender.fetch(bench.work);
  EXPECT_EQ(bench.work.fetches.size(), 1U) << "nothing more is stored";
}

TEST(Sender, StoppingSendsOnlyWhatWouldBeLost) {
  Bench bench;
  bench.store(1);
  bench.sender.fetch(bench.work);
  bench.drain();
  ASSERT_TRUE(bench.sender.add_volatile(bench.now, make_volatile(1), bench.work));
  ASSERT_TRUE(bench.sender.add_volatile(bench.now, make_volatile(2), bench.work));
  bench.sender.connected(1);
  bench.sender.volatile_only();
  bench.pump();
  EXPECT_EQ(bench.sent, Tokens{kVolatileBit | 1});
  bench.ack(kVolatileBit | 1, 0x97);  // the broker wants it later, but there is no later
  bench.sender.disconnected();
  bench.sender.drop_volatile(bench.work);
  bench.drain();
  ASSERT_EQ(bench.settled.size(), 2U);
  EXPECT_EQ(bench.settled[0].reason, DropReason::volatile_lost);
  EXPECT_EQ(bench.settled[1].reason, DropReason::volatile_lost);
  EXPECT_EQ(bench.sender.volatile_held(), 0U);
  EXPECT_EQ(bench.sender.durable_held(), 1U);
}

TEST(Sender, TheBirthMessageIsNoMessageOfTheLedger) {
  for (const std::uint8_t code : std::initializer_list<std::uint8_t>{0x00, 0x97, 0x87}) {
    Bench bench;
    bench.sender.connected(100);
    bench.sender.send_birth(bench.now, make(kBirthToken, 0), bench.work);
    bench.drain();
    EXPECT_EQ(bench.sent, Tokens{kBirthToken});
    EXPECT_EQ(bench.sender.oldest_sent(), bench.now);
    bench.ack(kBirthToken, code);
    EXPECT_TRUE(bench.settled.empty());
    EXPECT_EQ(bench.sender.in_flight(), 0U);
  }
  Bench bench;
  bench.sender.connected(100);
  bench.sender.send_birth(bench.now, make(kBirthToken, 0), bench.work);
  bench.sender.disconnected();
  bench.sender.connected(100);
  bench.pump();
  EXPECT_EQ(bench.sent, Tokens{kBirthToken}) << "not sent again by itself";
}

TEST(Sender, ABirthMessageThatWasPutOffGoesAgain) {
  Bench bench;
  bench.sender.connected(100);
  bench.sender.send_birth(bench.now, make(kBirthToken, 0), bench.work);
  bench.drain();
  bench.ack(kBirthToken, 0x97);
  EXPECT_EQ(bench.take_sent(), Tokens{kBirthToken});
  EXPECT_EQ(bench.sender.next_wake(), bench.now + kRetryFirst);
  bench.now += kRetryFirst;
  bench.pump();
  EXPECT_EQ(bench.take_sent(), Tokens{kBirthToken});
  bench.sender.refused(bench.now, kBirthToken, Errc::full, bench.work);
  EXPECT_EQ(bench.sender.next_wake(), bench.now + 2 * kRetryFirst);
  bench.sender.disconnected();
  bench.sender.connected(100);
  EXPECT_EQ(bench.sender.next_wake(), kNever) << "the next connection has its own";
}

/// Retained, and all of one topic.
MessagePtr make_retained(MessageId id) {
  StoredMessage message = *make(id);
  message.retain = true;
  return std::make_shared<const StoredMessage>(std::move(message));
}

TEST(Sender, ARepeatDoesNotTakeThePlaceOfALaterRetainedOne) {
  Bench bench;
  for (MessageId id = 1; id <= 3; ++id) bench.stored[1].push_back(make_retained(id));
  bench.sender.set_stored(1, true);
  bench.sender.connected(100);
  bench.pump();
  bench.ack(2);
  bench.sender.disconnected();
  bench.sender.connected(100);
  bench.sender.send(bench.now, bench.work);
  ASSERT_EQ(bench.work.sends.size(), 2U);
  EXPECT_FALSE(bench.work.sends[0].message->retain) << "2 was delivered";
  EXPECT_TRUE(bench.work.sends[1].message->retain) << "3 is the newest";
  bench.drain();
  bench.ack(1);
  bench.ack(3);
  EXPECT_EQ(bench.settled.size(), 3U);
}

TEST(Sender, ARepeatYieldsToALaterRetainedOneOnItsWay) {
  Bench bench;
  for (MessageId id = 1; id <= 2; ++id) bench.stored[1].push_back(make_retained(id));
  bench.sender.set_stored(1, true);
  bench.sender.connected(100);
  bench.pump();
  bench.ack(1, 0x97);
  bench.now = bench.sender.next_wake();
  bench.sender.send(bench.now, bench.work);
  ASSERT_EQ(bench.work.sends.size(), 1U);
  EXPECT_FALSE(bench.work.sends[0].message->retain);
}

// Found by device_sim --scenario offline-weeks --seed 9.
TEST(Sender, ARepeatDoesNotTakeThePlaceOfALaterOneThatGaveWayToTheLast) {
  Bench bench;
  for (MessageId id = 1; id <= 3; ++id) bench.stored[1].push_back(make_retained(id));
  bench.sender.set_stored(1, true);
  bench.sender.connected(100);
  bench.pump();
  bench.sender.refused(bench.now, 2, Errc::full, bench.work);
  bench.now = bench.sender.next_wake();
  bench.sender.send(bench.now, bench.work);
  ASSERT_EQ(bench.work.sends.size(), 1U);
  EXPECT_FALSE(bench.work.sends[0].message->retain) << "3 is on its way";
  bench.drain();
  bench.ack(2);
  bench.sender.disconnected();
  bench.sender.connected(100);
  bench.sender.send(bench.now, bench.work);
  ASSERT_EQ(bench.work.sends.size(), 2U);
  EXPECT_FALSE(bench.work.sends[0].message->retain) << "2 was delivered";
  EXPECT_TRUE(bench.work.sends[1].message->retain) << "3 is the newest";
}

TEST(Sender, WhatWasPutOffWaitsBehindOlderOnesOfALostConnection) {
  Bench bench;
  for (MessageId id = 1; id <= 3; ++id) bench.store(id);
  bench.sender.connected(100);
  bench.pump();
  bench.take_sent();
  bench.sender.refused(bench.now, 2, Errc::full, bench.work);
  bench.sender.disconnected();
  bench.now += seconds(5);
  bench.sender.connected(100);
  bench.pump();
  EXPECT_EQ(bench.sent, (Tokens{1, 2, 3}));
}

TEST(Sender, OldestSentFollowsTheAnswers) {
  Bench bench;
  bench.sender.connected(100);
  bench.store(1);
  bench.pump();
  const BootTime first = bench.now;
  bench.now += seconds(1);
  bench.store(2);
  bench.pump();
  EXPECT_EQ(bench.sender.oldest_sent(), first);
  bench.ack(1);
  EXPECT_EQ(bench.sender.oldest_sent(), bench.now);
  bench.ack(2);
  EXPECT_EQ(bench.sender.oldest_sent(), kNever);
}

}  // namespace
}  // namespace holdfast::flow
