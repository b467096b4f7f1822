// Goal: who makes the server hang up is found within few connections, and nobody else is blamed.
// Method: ends of connections are told one by one; time is a number.
#include "flow/suspicion.h"

#include <gtest/gtest.h>

namespace holdfast::flow {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using End = Suspicion::End;

Operation topic(const char* name) { return {Operation::Kind::publish, name}; }
Operation filter(const char* name) { return {Operation::Kind::subscribe, name}; }

struct Bench {
  BootTime now{std::chrono::hours(5)};
  Suspicion suspicion;

  std::optional<Operation> end(std::initializer_list<Operation> open, End how = End::hang_up) {
    std::vector<OpenOperation> all;
    for (const Operation& o : open) all.push_back({o, now - milliseconds(50)});
    const auto blamed = suspicion.ended(now, how, all);
    now += seconds(5);
    return blamed;
  }
  void connect() { suspicion.connected(now); }
  std::optional<Operation> connect_and_end(std::initializer_list<Operation> open,
                                           End how = End::hang_up) {
    connect();
    return end(open, how);
  }
  /// A connection that lasts; what is due is then tried, alone.
  std::optional<Operation> connect_and_try() {
    connect();
    now += kControl;
    return suspicion.next_trial(now);
  }
  bool aside(const Operation& operation) const { return suspicion.find(operation) != nullptr; }
  bool denied(const Operation& operation) const {
    return aside(operation) && suspicion.find(operation)->denied;
  }
  /// Until "t" is set aside and has one strike.
  void suspect_t() {
    EXPECT_FALSE(connect_and_end({topic("t"), topic("a")}));
    EXPECT_FALSE(connect_and_end({topic("t"), topic("b")}));
    EXPECT_TRUE(suspicion.careful());
    EXPECT_FALSE(connect_and_end({topic("t")}));
    EXPECT_TRUE(aside(topic("t")));
    EXPECT_FALSE(denied(topic("t")));
    EXPECT_FALSE(suspicion.careful()) << "nobody else is left";
  }
  void deny_t() {
    suspect_t();
    for (std::uint32_t strike = 2; strike <= kStrikes; ++strike) {
      ASSERT_EQ(connect_and_try(), topic("t"));
      const auto blamed = end({topic("t")});
      ASSERT_EQ(blamed.has_value(), strike == kStrikes);
    }
    ASSERT_TRUE(denied(topic("t")));
  }
};

TEST(Suspicion, FindsTheForbiddenTopicWithinItsBound) {
  Bench bench;
  bench.deny_t();
  EXPECT_EQ(bench.suspicion.find(topic("t"))->strikes, kStrikes);
  EXPECT_EQ(bench.suspicion.names(Operation::Kind::publish), Names{"t"});
  EXPECT_EQ(bench.suspicion.find(topic("t"))->operation.verdict(), Verdict::publish_denied);
}

TEST(Suspicion, WhatIsAnsweredIsInnocent) {
  Bench bench;
  EXPECT_FALSE(bench.connect_and_end({topic("t"), topic("a")}));
  EXPECT_FALSE(bench.connect_and_end({topic("t"), topic("a")}));
  bench.connect();
  bench.suspicion.answered(topic("a"));
  EXPECT_TRUE(bench.suspicion.careful()) << "t is not";
  bench.suspicion.answered(topic("t"));
  EXPECT_FALSE(bench.suspicion.careful());
  EXPECT_TRUE(bench.suspicion.idle());
}

TEST(Suspicion, RestartsOfABrokerUnderLoadBlameNobody) {
  Bench bench;
  for (int i = 0; i < 50; ++i) {
    // Each time something is unanswered, and then delivered by the next connection.
    EXPECT_FALSE(bench.connect_and_end({topic("t"), topic("a")}));
    bench.connect();
    bench.suspicion.answered(topic("t"));
    bench.suspicion.answered(topic("a"));
    EXPECT_FALSE(bench.end({}));
    EXPECT_TRUE(bench.suspicion.idle());
  }
}

TEST(Suspicion, AnEndWithNothingUnansweredForgives) {
  Bench bench;
  bench.suspect_t();
  EXPECT_FALSE(bench.connect_and_end({}));
  EXPECT_TRUE(bench.suspicion.idle()) << "the server ends connections without it as well";
}

TEST(Suspicion, AnEndLongAfterTheLastSendForgives) {
  Bench bench;
  bench.suspect_t();
  bench.connect();
  const OpenOperation old{topic("a"), bench.now};
  bench.now += kSoon + seconds(1);
  EXPECT_FALSE(bench.suspicion.ended(bench.now, End::hang_up, std::span(&old, 1)));
  EXPECT_TRUE(bench.suspicion.idle());
}

TEST(Suspicion, AReasonThatWasToldForgives) {
  Bench bench;
  bench.suspect_t();
  EXPECT_FALSE(bench.connect_and_end({topic("a")}, End::told));
  EXPECT_TRUE(bench.suspicion.idle());
}

TEST(Suspicion, ALostNetworkProvesNothing) {
  Bench bench;
  bench.suspect_t();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(bench.connect_and_try(), topic("t"));
    EXPECT_FALSE(bench.end({topic("t")}, End::elsewhere));
  }
  EXPECT_EQ(bench.suspicion.find(topic("t"))->strikes, 1U);
}

TEST(Suspicion, IsTriedOnlyOnAConnectionThatLastsWithoutIt) {
  Bench bench;
  bench.suspect_t();
  bench.connect();
  bench.now += kControl - milliseconds(1);
  EXPECT_FALSE(bench.suspicion.next_trial(bench.now));
  EXPECT_EQ(bench.suspicion.next_wake(), bench.now + milliseconds(1));
  bench.now += milliseconds(1);
  EXPECT_EQ(bench.suspicion.next_trial(bench.now), topic("t"));
  EXPECT_FALSE(bench.suspicion.next_trial(bench.now)) << "one at a time";
  bench.suspicion.answered(topic("t"));
  EXPECT_TRUE(bench.suspicion.idle());
}

TEST(Suspicion, IsLetGoWhenNoConnectionLastsForItsTrial) {
  Bench bench;
  bench.suspect_t();
  bench.now += kDoubtMost;
  bench.connect();
  EXPECT_TRUE(bench.suspicion.idle());
}

TEST(Suspicion, ATrialBesideSomethingElseProvesNothing) {
  Bench bench;
  bench.suspect_t();
  ASSERT_EQ(bench.connect_and_try(), topic("t"));
  EXPECT_FALSE(bench.end({topic("t"), topic("a")}));
  EXPECT_EQ(bench.suspicion.find(topic("t"))->strikes, 1U);
}

TEST(Suspicion, TwoForbiddenTopicsAreBothFound) {
  Bench bench;
  EXPECT_FALSE(bench.connect_and_end({topic("t"), topic("u"), topic("a")}));
  EXPECT_FALSE(bench.connect_and_end({topic("t"), topic("u"), topic("a")}));
  EXPECT_FALSE(bench.connect_and_end({topic("t")}));
  EXPECT_TRUE(bench.suspicion.careful());
  EXPECT_FALSE(bench.connect_and_end({topic("u")}));
  bench.connect();
  bench.suspicion.answered(topic("a"));
  EXPECT_FALSE(bench.suspicion.careful());
  EXPECT_EQ(bench.suspicion.cases().size(), 2U);
  EXPECT_FALSE(bench.end({}, End::elsewhere));
  for (int i = 0; i < 6; ++i) {
    const auto tried = bench.connect_and_try();
    ASSERT_TRUE(tried);
    static_cast<void>(bench.end({*tried}));
  }
  EXPECT_TRUE(bench.denied(topic("t")) && bench.denied(topic("u")));
}

TEST(Suspicion, IsTriedAtASlowDoublingPace) {
  Bench bench;
  bench.deny_t();
  Duration pace = kTrialFirst;
  for (int i = 0; i < 6; ++i) {
    const Suspicion::Case& found = *bench.suspicion.find(topic("t"));
    EXPECT_EQ(found.next, bench.now - seconds(5) + pace);
    bench.now = found.next;
    ASSERT_EQ(bench.connect_and_try(), topic("t"));
    EXPECT_EQ(bench.end({topic("t")}), topic("t")) << "each failed trial is shown";
    pace = std::min(pace * 2, kTrialCap);
  }
  bench.now = bench.suspicion.find(topic("t"))->next;
  ASSERT_EQ(bench.connect_and_try(), topic("t"));
  bench.suspicion.answered(topic("t"));
  EXPECT_FALSE(bench.aside(topic("t"))) << "the policy was mended";
}

TEST(Suspicion, NewCredentialsAskForATrialAtOnce) {
  Bench bench;
  bench.deny_t();
  bench.connect();
  bench.suspicion.try_now(bench.now);
  EXPECT_EQ(bench.suspicion.next_trial(bench.now), topic("t"));
}

TEST(Suspicion, AnAnswerNeedsNoProof) {
  Bench bench;
  bench.connect();
  EXPECT_TRUE(bench.suspicion.denied(bench.now, topic("t"), 0x87));
  EXPECT_FALSE(bench.suspicion.denied(bench.now, topic("t"), 0x87)) << "one behind it";
  EXPECT_TRUE(bench.denied(topic("t")));
  EXPECT_EQ(bench.suspicion.find(topic("t"))->next, bench.now + kTrialFirst);
  bench.now += kTrialFirst;
  ASSERT_EQ(bench.suspicion.next_trial(bench.now), topic("t"));
  EXPECT_FALSE(bench.suspicion.denied(bench.now, topic("t"), 0x87));
  EXPECT_EQ(bench.suspicion.find(topic("t"))->next, bench.now + 2 * kTrialFirst);
}

TEST(Suspicion, FiltersAreOperationsOfTheirOwn) {
  Bench bench;
  EXPECT_FALSE(bench.connect_and_end({filter("t"), topic("t")}));
  EXPECT_FALSE(bench.connect_and_end({filter("t"), topic("t")}));
  EXPECT_FALSE(bench.connect_and_end({filter("t")}));
  EXPECT_EQ(bench.suspicion.names(Operation::Kind::subscribe), Names{"t"});
  EXPECT_TRUE(bench.suspicion.names(Operation::Kind::publish).empty());
  EXPECT_EQ(bench.suspicion.cases().front().operation.verdict(), Verdict::subscribe_denied);
}

TEST(Suspicion, NothingToTryLetsASuspectGo) {
  Bench bench;
  bench.suspect_t();
  ASSERT_EQ(bench.connect_and_try(), topic("t"));
  bench.suspicion.give_up_trial(bench.now, true);
  EXPECT_TRUE(bench.suspicion.idle());
}

TEST(Suspicion, NothingToTryKeepsWhatIsDenied) {
  Bench bench;
  bench.deny_t();
  bench.now = bench.suspicion.find(topic("t"))->next;
  ASSERT_EQ(bench.connect_and_try(), topic("t"));
  bench.suspicion.give_up_trial(bench.now, true);
  EXPECT_TRUE(bench.denied(topic("t")));
  EXPECT_GT(bench.suspicion.next_wake(), bench.now);
}

TEST(Suspicion, WhatComesRarelyIsFoundAsWell) {
  Bench bench;
  EXPECT_FALSE(bench.connect_and_end({topic("t")}));
  for (int i = 0; i < 2; ++i) {
    bench.connect();
    bench.now += minutes(5);
    bench.suspicion.service(bench.now);
    EXPECT_FALSE(bench.suspicion.careful());
    EXPECT_FALSE(bench.end({topic("t")}));
  }
  EXPECT_TRUE(bench.aside(topic("t")));
}

TEST(Suspicion, CarefulnessEnds) {
  Bench bench;
  EXPECT_FALSE(bench.connect_and_end({topic("t")}));
  EXPECT_FALSE(bench.connect_and_end({topic("t")}));
  bench.connect();
  ASSERT_TRUE(bench.suspicion.careful());
  EXPECT_EQ(bench.suspicion.next_wake(), bench.now + kCarefulMost);
  bench.suspicion.service(bench.now + kCarefulMost);
  EXPECT_FALSE(bench.suspicion.careful());
}

TEST(Suspicion, TheOldestMakesRoom) {
  Bench bench;
  bench.connect();
  for (std::size_t i = 0; i <= limits::kQuarantineMax; ++i) {
    bench.suspicion.denied(bench.now, topic(("t" + std::to_string(i)).c_str()), 0x87);
  }
  EXPECT_EQ(bench.suspicion.cases().size(), limits::kQuarantineMax);
  EXPECT_FALSE(bench.aside(topic("t0")));
  EXPECT_TRUE(bench.aside(topic("t1")));
}

}  // namespace
}  // namespace holdfast::flow
