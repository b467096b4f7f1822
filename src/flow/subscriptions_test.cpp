// Goal: wishes and the broker's acknowledgements meet, at every connection, in small packets.
// Method: scripted calls on virtual time; each request is looked at and answered by hand.
#include "flow/subscriptions.h"

#include <gtest/gtest.h>

#include <set>

#include "base/limits.h"
#include "sim/seeded_random.h"

namespace holdfast::flow {
namespace {

using std::chrono::seconds;

class Bench {
 public:
  std::optional<Subscriptions::Request> next() { return subs.next(now); }
  std::vector<Subscriptions::Notice> answer(const Subscriptions::Request& request,
                                            std::vector<std::uint8_t> codes) {
    return subs.answered(now, request.token, codes);
  }
  /// Grants everything that is asked for; the filters in the order they were asked for.
  std::vector<std::string> grant_all() {
    std::vector<std::string> asked;
    while (auto request = next()) {
      for (const auto& filter : request->subscribe) asked.push_back(filter.filter);
      for (const auto& filter : request->unsubscribe) asked.push_back("-" + filter);
      const std::size_t count = request->subscribe.size() + request->unsubscribe.size();
      EXPECT_TRUE(answer(*request, std::vector<std::uint8_t>(count, 0)).empty());
    }
    return asked;
  }

  /// Lets time pass until a request is due; its kind in front of its filters.
  std::vector<std::string> wait_for_request() {
    now = subs.next_wake();
    if (now == kNever) return {};
    const auto request = next();
    if (!request) return {};
    last = *request;
    std::vector<std::string> asked;
    for (const auto& filter : request->subscribe) {
      asked.push_back((filter.verify ? "?" : "+") + filter.filter);
    }
    return asked;
  }

  BootTime now{std::chrono::hours(1)};
  sim::SeededRandom random{1};
  Subscriptions subs{100, random};
  Subscriptions::Request last;
};

using Names = std::vector<std::string>;

// Field lesson 33.
TEST(Subscriptions, SubscribedOncePerProcessThenTrustedWhileTheSessionLasts) {
  Bench bench;
  bench.subs.add(1, "a", Qos::at_least_once);
  bench.subs.add(2, "b/#", Qos::at_most_once);
  EXPECT_FALSE(bench.next()) << "not connected";
  bench.subs.connected(true);
  EXPECT_EQ(bench.grant_all(), (Names{"a", "b/#"})) << "the session may be an earlier run's";
  EXPECT_EQ(bench.subs.acknowledged(), 2U);
  bench.subs.disconnected();
  bench.subs.connected(true);
  EXPECT_EQ(bench.grant_all(), Names{});
  bench.subs.disconnected();
  bench.subs.connected(false);
  EXPECT_EQ(bench.grant_all(), (Names{"a", "b/#"}));
}

// Each Region has sessions of its own, and one that is present there says nothing of what another
// one has acknowledged.
TEST(Subscriptions, AnotherEndpointIsAskedForEverythingWhateverItsSessionHas) {
  Bench bench;
  bench.subs.add(1, "a", Qos::at_least_once);
  bench.subs.add(2, "b", Qos::at_least_once);
  bench.subs.connected(false, "west");
  EXPECT_EQ(bench.grant_all(), (Names{"a", "b"}));
  bench.subs.disconnected();
  bench.subs.connected(true, "west");
  EXPECT_EQ(bench.grant_all(), Names{}) << "the same one is trusted";
  bench.subs.disconnected();
  bench.subs.connected(true, "central");
  EXPECT_EQ(bench.subs.acknowledged(), 0U);
  EXPECT_EQ(bench.grant_all(), (Names{"a", "b"}));
  bench.subs.remove(1);
  bench.subs.add(3, "c", Qos::at_least_once);
  EXPECT_EQ(bench.grant_all(), (Names{"-a", "c"}));
  bench.subs.disconnected();
  bench.subs.connected(true, "west");
  const Names asked = bench.grant_all();
  EXPECT_EQ(std::set(asked.begin(), asked.end()), (std::set<std::string>{"-a", "b", "c"}))
      << "what was left in its session goes, what has come since is asked for";
  bench.subs.disconnected();
  bench.subs.connected(false, "central");
  EXPECT_EQ(bench.grant_all(), (Names{"b", "c"})) << "a session that is gone has nothing left";
}

TEST(Subscriptions, WhatOneEndpointRefusesIsAskedOfAnotherAtOnce) {
  Bench bench;
  bench.subs.add(1, "a", Qos::at_least_once);
  bench.subs.connected(false, "west");
  const auto request = bench.next();
  ASSERT_TRUE(request);
  EXPECT_EQ(bench.answer(*request, {0x87}).size(), 1U);
  EXPECT_FALSE(bench.next());
  bench.subs.disconnected();
  bench.subs.connected(false, "central");
  EXPECT_EQ(bench.grant_all(), Names{"a"});
}

TEST(Subscriptions, AtMostEightFiltersAPacketOneAtATime) {
  Bench bench;
  for (SubId id = 1; id <= 20; ++id) {
    bench.subs.add(id, "f/" + std::to_string(id), Qos::at_least_once);
  }
  bench.subs.connected(false);
  std::set<std::string> seen;
  for (const std::size_t expected : {8U, 8U, 4U}) {
    const auto request = bench.next();
    ASSERT_TRUE(request);
    EXPECT_EQ(request->subscribe.size(), expected);
    EXPECT_LE(request->subscribe.size(), limits::kFiltersPerSubscribe);
    EXPECT_FALSE(bench.next()) << "one request at a time";
    EXPECT_EQ(bench.subs.answer_due(), bench.now + seconds(10));
    for (const auto& filter : request->subscribe) seen.insert(filter.filter);
    EXPECT_TRUE(bench.answer(*request, std::vector<std::uint8_t>(expected, 1)).empty());
  }
  EXPECT_FALSE(bench.next());
  EXPECT_EQ(seen.size(), 20U);
  EXPECT_EQ(bench.subs.answer_due(), kNever);
}

TEST(Subscriptions, OneFilterManySubscriptionsHighestQos) {
  Bench bench;
  bench.subs.connected(false);
  bench.subs.add(1, "x", Qos::at_most_once);
  auto request = bench.next();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->subscribe[0].qos, Qos::at_most_once);
  EXPECT_TRUE(bench.answer(*request, {0}).empty());
  bench.subs.add(2, "x", Qos::at_least_once);
  request = bench.next();
  ASSERT_TRUE(request) << "a higher QoS is asked for";
  EXPECT_EQ(request->subscribe[0].qos, Qos::at_least_once);
  EXPECT_TRUE(bench.answer(*request, {1}).empty());
  bench.subs.add(3, "x", Qos::at_least_once);
  EXPECT_FALSE(bench.next()) << "nothing new for the broker";
  EXPECT_EQ(bench.subs.match("x"), (std::vector<SubId>{1, 2, 3}));
  bench.subs.remove(1);
  bench.subs.remove(3);
  EXPECT_FALSE(bench.next());
  bench.subs.remove(2);
  EXPECT_EQ(bench.grant_all(), Names{"-x"});
  EXPECT_EQ(bench.subs.size(), 0U);
  EXPECT_TRUE(bench.subs.match("x").empty());
}

// Lesson C-5.32: the result of a re-subscribe was not checked.
// Field lesson 32.
TEST(Subscriptions, RefusedFiltersAreAskedForAgainSlowly) {
  Bench bench;
  bench.subs.add(1, "bad", Qos::at_least_once);
  bench.subs.add(2, "good", Qos::at_least_once);
  bench.subs.connected(false);
  auto request = bench.next();
  ASSERT_TRUE(request);
  auto notices = bench.answer(*request, {0x87, 1});
  for (const int delay : {5, 10, 20, 40, 80, 160, 300, 300}) {
    ASSERT_EQ(notices.size(), 1U);
    EXPECT_EQ(notices[0].filter, "bad");
    EXPECT_EQ(notices[0].code, 0x87);
    EXPECT_EQ(notices[0].retry_in, seconds(delay));
    EXPECT_FALSE(bench.next());
    EXPECT_EQ(bench.subs.next_wake(), bench.now + seconds(delay));
    bench.now += seconds(delay);
    request = bench.next();
    ASSERT_TRUE(request);
    ASSERT_EQ(request->subscribe.size(), 1U);
    notices = bench.answer(*request, {0x87});
  }
  bench.now = bench.subs.next_wake();
  EXPECT_EQ(bench.grant_all(), Names{"bad"});
  EXPECT_EQ(bench.subs.acknowledged(), 2U);
  EXPECT_EQ(bench.subs.next_wake(), kNever);
}

// Field lesson 32.
TEST(Subscriptions, AShortSubackCountsAsRefusedAShortUnsubackAsDone) {
  Bench bench;
  bench.subs.add(1, "a", Qos::at_least_once);
  bench.subs.add(2, "b", Qos::at_least_once);
  bench.subs.connected(false);
  auto request = bench.next();
  ASSERT_TRUE(request);
  EXPECT_EQ(bench.answer(*request, {1}).size(), 1U);
  bench.subs.remove(1);
  request = bench.next();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->unsubscribe, Names{"a"});
  EXPECT_TRUE(bench.answer(*request, {}).empty());
  EXPECT_EQ(bench.subs.acknowledged(), 0U);
}

TEST(Subscriptions, WhatWasOnItsWayWhenTheConnectionEndedIsAskedForAgain) {
  Bench bench;
  bench.subs.add(1, "a", Qos::at_least_once);
  bench.subs.connected(false);
  const auto lost = bench.next();
  ASSERT_TRUE(lost);
  bench.subs.disconnected();
  EXPECT_EQ(bench.subs.answer_due(), kNever);
  bench.subs.connected(true);
  EXPECT_TRUE(bench.answer(*lost, {1}).empty()) << "a late answer is nobody's";
  EXPECT_EQ(bench.grant_all(), Names{"a"});
  // The same for an UNSUBSCRIBE.
  bench.subs.remove(1);
  ASSERT_TRUE(bench.next());
  bench.subs.disconnected();
  bench.subs.connected(true);
  EXPECT_EQ(bench.grant_all(), Names{"-a"});
  // And a filter removed while its SUBSCRIBE was on its way, with a session that kept it.
  bench.subs.add(2, "b", Qos::at_least_once);
  ASSERT_TRUE(bench.next());
  bench.subs.remove(2);
  bench.subs.disconnected();
  bench.subs.connected(true);
  EXPECT_EQ(bench.grant_all(), Names{"-b"});
}

TEST(Subscriptions, ChangesWhileARequestIsOutstanding) {
  Bench bench;
  bench.subs.connected(false);
  bench.subs.add(1, "a", Qos::at_least_once);
  auto request = bench.next();
  ASSERT_TRUE(request);
  bench.subs.remove(1);
  bench.subs.add(2, "b", Qos::at_least_once);
  EXPECT_FALSE(bench.next());
  EXPECT_TRUE(bench.answer(*request, {1}).empty());
  EXPECT_EQ(bench.grant_all(), (Names{"-a", "b"}));
  // Removed, UNSUBSCRIBE on its way, wanted again.
  bench.subs.remove(2);
  request = bench.next();
  ASSERT_TRUE(request);
  bench.subs.add(3, "b", Qos::at_least_once);
  EXPECT_TRUE(bench.answer(*request, {0}).empty());
  EXPECT_EQ(bench.grant_all(), Names{"b"});
}

TEST(Subscriptions, RemovedWhileOfflineWithoutSessionNeedsNoRequest) {
  Bench bench;
  bench.subs.add(1, "a", Qos::at_least_once);
  bench.subs.connected(false);
  EXPECT_EQ(bench.grant_all(), Names{"a"});
  bench.subs.disconnected();
  bench.subs.remove(1);
  bench.subs.connected(false);
  EXPECT_EQ(bench.grant_all(), Names{});
}

TEST(Subscriptions, ARequestTheEngineCouldNotSendIsAskedForLater) {
  Bench bench;
  bench.subs.add(1, "a", Qos::at_least_once);
  bench.subs.connected(false);
  const auto request = bench.next();
  ASSERT_TRUE(request);
  EXPECT_EQ(bench.subs.refused(bench.now, request->token).size(), 1U);
  EXPECT_FALSE(bench.next());
  bench.now = bench.subs.next_wake();
  EXPECT_EQ(bench.grant_all(), Names{"a"});
}

using std::chrono::hours;
using std::chrono::minutes;

TEST(Subscriptions, AcknowledgedFiltersAreVerifiedSlowlyAndRoundAfterRound) {
  Bench bench;
  for (SubId id = 1; id <= 10; ++id) {
    bench.subs.add(id, "f/" + std::to_string(id + 10), Qos::at_least_once);
  }
  bench.subs.verify_every(hours(1));
  bench.subs.connected(false);
  const BootTime begin = bench.now;
  EXPECT_EQ(bench.grant_all().size(), 10U);
  for (int round = 1; round <= 3; ++round) {
    const Names first = bench.wait_for_request();
    ASSERT_EQ(first.size(), 8U);
    EXPECT_EQ(first[0], "?f/11");
    EXPECT_GE(bench.now - begin, round * minutes(30));
    EXPECT_LE(bench.now - begin, round * hours(1) + seconds(1));
    EXPECT_EQ(bench.subs.answer_due(), bench.now + kSubscribeAnswer);
    EXPECT_TRUE(bench.answer(bench.last, std::vector<std::uint8_t>(8, 1)).empty());
    EXPECT_FALSE(bench.next()) << "the next packet waits its turn";
    const BootTime paused = bench.now;
    EXPECT_EQ(bench.wait_for_request().size(), 2U);
    EXPECT_EQ(bench.now - paused, kVerifyPace);
    EXPECT_TRUE(bench.answer(bench.last, {1, 1}).empty());
    EXPECT_FALSE(bench.next());
  }
  EXPECT_EQ(bench.subs.acknowledged(), 10U);
  bench.subs.verify_every(Duration::zero());
  EXPECT_FALSE(bench.next());
  EXPECT_EQ(bench.subs.next_wake(), kNever);
}

// The point of it: nothing else would ever tell that the broker has let a subscription go.
TEST(Subscriptions, AVerificationThatIsRefusedIsTriedAgainAndShown) {
  Bench bench;
  bench.subs.add(1, "a", Qos::at_least_once);
  bench.subs.verify_every(hours(1));
  bench.subs.connected(true);
  EXPECT_EQ(bench.grant_all(), Names{"a"});
  EXPECT_EQ(bench.wait_for_request(), Names{"?a"});
  const auto notices = bench.answer(bench.last, {0x87});
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_EQ(notices[0].retry_in, kSubscribeRetryFirst);
  const FilterState state = bench.subs.states(bench.now).at(0);
  EXPECT_EQ(state.granted, std::nullopt);
  EXPECT_EQ(state.code, 0x87);
  EXPECT_EQ(state.next_in, seconds(5));
  EXPECT_EQ(bench.wait_for_request(), Names{"+a"}) << "as a new one, with its retained messages";
  EXPECT_TRUE(bench.answer(bench.last, {1}).empty());
  EXPECT_EQ(bench.subs.states(bench.now).at(0).granted, Qos::at_least_once);
  // And what is not wanted any more is unsubscribed, though the broker has refused it.
  EXPECT_EQ(bench.wait_for_request(), Names{"?a"});
  EXPECT_EQ(bench.answer(bench.last, {0x87}).size(), 1U);
  bench.subs.remove(1);
  EXPECT_EQ(bench.grant_all(), Names{"-a"});
}

TEST(Subscriptions, VerificationLeavesANewConnectionAloneForAWhile) {
  Bench bench;
  bench.subs.add(1, "a", Qos::at_least_once);
  bench.subs.verify_every(hours(1));
  bench.subs.connected(false);
  EXPECT_EQ(bench.grant_all(), Names{"a"});
  bench.subs.disconnected();
  bench.now += hours(5);
  bench.subs.connected(true);
  EXPECT_FALSE(bench.next()) << "it was due long ago, but others have just come, too";
  const BootTime begin = bench.now;
  EXPECT_EQ(bench.wait_for_request(), Names{"?a"});
  EXPECT_GE(bench.now - begin, kVerifyCalm);
  EXPECT_LE(bench.now - begin, kVerifyCalm + minutes(8));
}

TEST(Subscriptions, ABrokerThatEndsTheConnectionForItIsNotAskedAnyMore) {
  Bench bench;
  bench.subs.add(1, "a", Qos::at_least_once);
  bench.subs.verify_every(hours(1));
  bench.subs.connected(false);
  EXPECT_EQ(bench.grant_all(), Names{"a"});
  for (unsigned i = 0; i < kVerifyLosses; ++i) {
    EXPECT_EQ(bench.wait_for_request(), Names{"?a"});
    bench.subs.disconnected();
    bench.subs.connected(true);
    EXPECT_FALSE(bench.next()) << "it is still trusted";
  }
  EXPECT_EQ(bench.subs.next_wake(), kNever);
  EXPECT_EQ(bench.subs.acknowledged(), 1U);
}

TEST(Subscriptions, StatesTellHowEachWantedFilterStands) {
  Bench bench;
  bench.subs.add(1, "a", Qos::at_most_once);
  bench.subs.add(2, "a", Qos::at_least_once);
  bench.subs.add(3, "b", Qos::at_most_once);
  std::uint64_t version = bench.subs.version();
  const auto changed = [&] { return std::exchange(version, bench.subs.version()) != version; };
  std::vector<FilterState> states = bench.subs.states(bench.now);
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].filter, "a");
  EXPECT_EQ(states[0].wanted, Qos::at_least_once);
  EXPECT_EQ(states[0].granted, std::nullopt);
  EXPECT_EQ(states[0].code, std::nullopt);
  bench.subs.connected(false);
  EXPECT_TRUE(changed());
  const auto request = bench.next();
  ASSERT_TRUE(request);
  EXPECT_EQ(bench.answer(*request, {0, 0x80}).size(), 1U);
  EXPECT_TRUE(changed());
  states = bench.subs.states(bench.now + seconds(2));
  EXPECT_EQ(states[0].granted, Qos::at_most_once) << "less than what was wanted";
  EXPECT_EQ(states[0].next_in, seconds(0));
  EXPECT_EQ(states[1].code, 0x80);
  EXPECT_EQ(states[1].next_in, seconds(3));
  EXPECT_FALSE(changed());
  bench.subs.disconnected();
  EXPECT_TRUE(changed());
  EXPECT_EQ(bench.subs.states(bench.now)[1].next_in, seconds(0)) << "the next connect decides";
  bench.subs.remove(3);
  EXPECT_TRUE(changed());
  EXPECT_EQ(bench.subs.states(bench.now).size(), 1U);
}

TEST(Subscriptions, MessagesFindTheirSubscriptions) {
  Bench bench;
  bench.subs.add(4, "a/b", Qos::at_least_once);
  bench.subs.add(3, "a/+", Qos::at_least_once);
  bench.subs.add(2, "#", Qos::at_least_once);
  bench.subs.add(1, "$share/g/a/b", Qos::at_least_once);
  bench.subs.add(5, "c", Qos::at_least_once);
  EXPECT_EQ(bench.subs.match("a/b"), (std::vector<SubId>{1, 2, 3, 4}));
  EXPECT_EQ(bench.subs.match("c"), (std::vector<SubId>{2, 5}));
  EXPECT_EQ(bench.subs.match("$SYS/x"), std::vector<SubId>{});
  bench.subs.remove(2);
  EXPECT_EQ(bench.subs.match("c"), std::vector<SubId>{5});
}

}  // namespace
}  // namespace holdfast::flow
