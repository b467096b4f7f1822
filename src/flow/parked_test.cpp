// Goal: messages of parked topics stand aside without cost to others, and come back in order.
// Method: the sender alone; the test is the outbox that answers it.
#include <gtest/gtest.h>

#include "flow/sender.h"

namespace holdfast::flow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Tokens = std::vector<env::Token>;
using Ids = std::vector<MessageId>;

class Bench {
 public:
  Bench() : sender(config()) {
    sender.connected(100);
    sender.fetch(work);
  }
  static Config config() {
    Config config;
    config.messages_per_second = config.bytes_per_second = 0;
    config.max_in_flight = 10;
    return config;
  }
  static MessagePtr make(MessageId id, const char* topic, Qos qos = Qos::at_least_once,
                         bool retain = false) {
    auto message = std::make_shared<StoredMessage>();
    message->id = id;
    message->lane = 1;
    message->topic = topic;
    message->qos = qos;
    message->retain = retain;
    return message;
  }
  void fetched(std::vector<MessagePtr> messages) {
    sender.set_stored(1, true);
    sender.fetch(work);
    work.fetches.clear();
    sender.fetched(now, 1, std::move(messages), false);
  }
  Tokens send() {
    sender.send(now, work);
    Tokens tokens;
    for (const Work::Send& s : std::exchange(work.sends, {})) tokens.push_back(s.token);
    return tokens;
  }
  Ids given_back() { return std::exchange(work.given_back, {}); }

  BootTime now{std::chrono::hours(1)};
  Work work;
  Sender sender;
};

TEST(Parked, GoesBackToTheOutboxAndOthersGoOn) {
  Bench bench;
  bench.sender.park({"a"}, bench.work);
  bench.fetched({Bench::make(1, "a"), Bench::make(2, "b"), Bench::make(3, "a")});
  EXPECT_EQ(bench.send(), Tokens{2});
  EXPECT_EQ(bench.given_back(), (Ids{1, 3}));
  EXPECT_EQ(bench.sender.durable_held(), 1U);
  EXPECT_EQ(bench.sender.next_wake(), kNever);
}

TEST(Parked, WhatIsReleasedGoesAheadOfWhatIsNewer) {
  Bench bench;
  bench.sender.park({"a"}, bench.work);
  bench.fetched({Bench::make(1, "a"), Bench::make(2, "b")});
  EXPECT_EQ(bench.send(), Tokens{2});
  bench.sender.disconnected();
  bench.fetched({Bench::make(4, "b")});
  bench.sender.park({}, bench.work);
  bench.fetched({Bench::make(1, "a"), Bench::make(3, "a")});
  bench.sender.connected(100);
  EXPECT_EQ(bench.send(), (Tokens{2, 1, 3, 4})) << "a repeat, then by age";
}

TEST(Parked, ADeniedMessageIsARepeatWhenItGoesAgain) {
  Bench bench;
  bench.fetched({Bench::make(1, "a")});
  EXPECT_EQ(bench.send(), Tokens{1});
  bench.sender.park({"a"}, bench.work);
  bench.sender.published(bench.now, 1, 0x87, bench.work);
  EXPECT_TRUE(bench.work.settled.empty());
  EXPECT_EQ(bench.given_back(), Ids{1});
  bench.sender.park({}, bench.work);
  bench.fetched({Bench::make(1, "a")});
  EXPECT_EQ(bench.send(), Tokens{1});
  EXPECT_EQ(bench.sender.sends_repeated(), 1U);
}

TEST(Parked, ADeniedMessageIsDroppedWhereNoneIsKept) {
  Bench bench;
  Config config = Bench::config();
  config.denied_for = Seconds(0);
  bench.sender.reconfigure(config);
  bench.fetched({Bench::make(1, "a")});
  EXPECT_EQ(bench.send(), Tokens{1});
  bench.sender.published(bench.now, 1, 0x87, bench.work);
  ASSERT_EQ(bench.work.settled.size(), 1U);
  EXPECT_EQ(bench.work.settled[0].reason, DropReason::refused);
  EXPECT_EQ(bench.work.settled[0].code, 0x87);
}

TEST(Parked, ARetainedOneThatWasDeniedNeverTakesThePlaceOfALaterOne) {
  Bench bench;
  const auto retained = [](MessageId id) { return Bench::make(id, "a", Qos::at_least_once, true); };
  bench.fetched({retained(1), retained(2)});
  EXPECT_EQ(bench.send(), (Tokens{1, 2}));
  bench.sender.park({"a"}, bench.work);
  bench.sender.published(bench.now, 1, 0x87, bench.work);
  bench.sender.published(bench.now, 2, 0, bench.work);
  bench.sender.park({}, bench.work);
  bench.fetched({retained(1)});
  bench.sender.send(bench.now, bench.work);
  ASSERT_EQ(bench.work.sends.size(), 1U);
  EXPECT_FALSE(bench.work.sends[0].message->retain);
}

TEST(Parked, ATrialIsAlone) {
  Bench bench;
  bench.sender.park({"a"}, bench.work);
  bench.fetched({Bench::make(2, "b"), Bench::make(3, "b")});
  EXPECT_EQ(bench.send(), (Tokens{2, 3}));
  bench.sender.begin_trial(bench.now, "a", {}, bench.work);
  ASSERT_TRUE(bench.work.fetch_parked);
  EXPECT_EQ(bench.work.fetch_parked->topic, "a");
  EXPECT_TRUE(bench.sender.fetched_parked(bench.now, "a", Bench::make(1, "a")));
  bench.fetched({Bench::make(4, "b")});
  EXPECT_TRUE(bench.send().empty()) << "two are not answered";
  bench.sender.published(bench.now, 2, 0, bench.work);
  bench.sender.published(bench.now, 3, 0, bench.work);
  EXPECT_EQ(bench.send(), Tokens{1});
  EXPECT_TRUE(bench.sender.trying());
  EXPECT_EQ(bench.sender.open(bench.now).size(), 1U);
  bench.sender.published(bench.now, 1, 0, bench.work);
  EXPECT_EQ(bench.send(), Tokens{4});
}

TEST(Parked, ATrialOfWhatIsNeverAnsweredWaitsUntilItHasSurvived) {
  Bench bench;
  bench.sender.park({"a"}, bench.work);
  bench.sender.begin_trial(bench.now, "a", {}, bench.work);
  EXPECT_TRUE(bench.sender.fetched_parked(bench.now, "a", Bench::make(1, "a", Qos::at_most_once)));
  EXPECT_EQ(bench.send(), Tokens{1});
  bench.sender.published(bench.now, 1, 0, bench.work);
  bench.fetched({Bench::make(2, "b")});
  EXPECT_TRUE(bench.send().empty());
  EXPECT_EQ(bench.sender.open(bench.now).size(), 1U) << "the server may still hang up on it";
  EXPECT_EQ(bench.sender.next_survival(), bench.now + kSoon);
  bench.now += kSoon;
  EXPECT_EQ(bench.sender.survived(bench.now), std::vector<std::string>{"a"});
  EXPECT_EQ(bench.send(), Tokens{2});
}

TEST(Parked, ATrialThatIsCutOffIsNoTrialOfTheNextConnection) {
  Bench bench;
  bench.sender.park({"a"}, bench.work);
  bench.sender.begin_trial(bench.now, "a", {}, bench.work);
  EXPECT_TRUE(bench.sender.fetched_parked(bench.now, "a", Bench::make(1, "a")));
  bench.sender.disconnected();
  EXPECT_FALSE(bench.sender.trying());
  bench.sender.connected(100);
  EXPECT_TRUE(bench.send().empty());
  EXPECT_EQ(bench.given_back(), Ids{1});
}

TEST(Parked, ATrialWithoutAMessageIsNone) {
  Bench bench;
  bench.sender.park({"a"}, bench.work);
  bench.sender.begin_trial(bench.now, "a", {}, bench.work);
  EXPECT_FALSE(bench.sender.fetched_parked(bench.now, "a", nullptr));
  EXPECT_FALSE(bench.sender.trying());
}

TEST(Parked, AMessageFetchedForATrialThatIsOverIsSentWhenItsTopicIsReleased) {
  Bench bench;
  bench.sender.park({"a"}, bench.work);
  bench.sender.begin_trial(bench.now, "a", {}, bench.work);
  bench.sender.park({}, bench.work);
  EXPECT_TRUE(bench.sender.fetched_parked(bench.now, "a", Bench::make(1, "a")));
  EXPECT_EQ(bench.send(), Tokens{1});
}

TEST(Parked, SpillMessagesMoveToTheDiskWithThoseThatAreNot) {
  Bench bench;
  bench.sender.park({"a"}, bench.work);
  const auto spill = [](MessageId n, const char* topic) {
    auto message = std::make_shared<StoredMessage>(*Bench::make(kVolatileBit | n, topic));
    message->spill = true;
    message->alias = message->id;
    return message;
  };
  ASSERT_TRUE(bench.sender.add_volatile(bench.now, spill(1, "a"), bench.work));
  EXPECT_TRUE(bench.send().empty());
  EXPECT_EQ(bench.sender.parked(), 1U);
  EXPECT_TRUE(bench.sender.take_spill(bench.now - milliseconds(1)).empty());
  EXPECT_EQ(bench.sender.parked(), 1U) << "too young: it stays where it is";
  EXPECT_EQ(bench.sender.next_wake(), kNever);
  ASSERT_TRUE(bench.sender.add_volatile(bench.now, spill(2, "b"), bench.work));
  EXPECT_EQ(bench.sender.oldest_spill(), bench.now);
  const auto taken = bench.sender.take_spill(bench.now);
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0]->topic, "a") << "in the order of acceptance";
}

TEST(Parked, MemoryMessagesStandAsideInOrder) {
  Bench bench;
  const auto memory = [](MessageId n, const char* topic) {
    return Bench::make(kVolatileBit | n, topic);
  };
  ASSERT_TRUE(bench.sender.add_volatile(bench.now, memory(1, "a"), bench.work));
  bench.sender.park({"a"}, bench.work);
  ASSERT_TRUE(bench.sender.add_volatile(bench.now, memory(2, "a"), bench.work));
  ASSERT_TRUE(bench.sender.add_volatile(bench.now, memory(3, "b"), bench.work));
  EXPECT_EQ(bench.send(), Tokens{kVolatileBit | 3});
  EXPECT_EQ(bench.sender.parked(), 2U);
  bench.sender.park({}, bench.work);
  EXPECT_EQ(bench.send(), (Tokens{kVolatileBit | 1, kVolatileBit | 2}));
  EXPECT_EQ(bench.sender.parked(), 0U);
}

}  // namespace
}  // namespace holdfast::flow
