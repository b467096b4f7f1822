// Goal:   a program that falls silent is named once, when its time is over; one that ends in order
// is
//         not; what we ourselves slept through is nobody's fault.
// Method: pure; the test is the clock and the programs.
#include "health/heartbeats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/limits.h"

namespace holdfast::health {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

struct HeartbeatsTest : ::testing::Test {
  BootTime now{seconds(1000)};
  Heartbeats beats{{}, now};

  void begin(Heartbeats::Rules rules) { beats = Heartbeats(rules, now); }
  bool beat(std::string_view name, Milliseconds every = {}) {
    return beats.beat(name, every, now).ok();
  }
  /// Looks whenever it is due until so long from now; "name@seconds" of each that was missed.
  std::string run(Duration span) {
    const BootTime begin = now;
    const BootTime end = now + span;
    std::string missed;
    while (beats.next_look() <= end) {
      now = std::max(now, beats.next_look());
      for (const HeartbeatState& one : beats.look(now)) {
        missed += one.name + "@" +
                  std::to_string(std::chrono::duration_cast<seconds>(now - begin).count()) + " ";
      }
    }
    now = end;
    return missed;
  }
  HeartbeatState state(std::string_view name) {
    for (const HeartbeatState& one : beats.states(now)) {
      if (one.name == name) return one;
    }
    ADD_FAILURE() << "no heartbeat " << name;
    return {};
  }
};

TEST_F(HeartbeatsTest, OneThatFallsSilentIsMissedOnceWhenItsTimeIsOver) {
  ASSERT_TRUE(beat("pump", seconds(10)));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(run(seconds(8)), "");
    ASSERT_TRUE(beat("pump"));
  }
  EXPECT_EQ(run(hours(1)), "pump@10 ");
  const HeartbeatState missed = state("pump");
  EXPECT_EQ(missed.phase, HeartbeatPhase::missed);
  EXPECT_EQ(missed.silent, hours(1));
  EXPECT_EQ(missed.misses, 1U);
  EXPECT_EQ(beats.next_look(), kNever) << "an idle device sleeps";
}

TEST_F(HeartbeatsTest, TheNextBeatEndsAMissAndTellsHowLongItWas) {
  ASSERT_TRUE(beat("pump", seconds(10)));
  EXPECT_EQ(run(seconds(25)), "pump@10 ");
  const auto back = beats.beat("pump", seconds(10), now);
  ASSERT_TRUE(back.ok());
  ASSERT_TRUE(back->has_value());
  EXPECT_EQ((*back)->silent, seconds(25));
  EXPECT_EQ(state("pump").phase, HeartbeatPhase::beating);
  EXPECT_EQ(run(seconds(60)), "pump@10 ");
  EXPECT_EQ(state("pump").misses, 2U);
}

TEST_F(HeartbeatsTest, WhoEndsInOrderIsForgotten) {
  ASSERT_TRUE(beat("pump", seconds(10)));
  EXPECT_TRUE(beats.end("pump", now).ok());
  EXPECT_EQ(run(hours(1)), "");
  EXPECT_TRUE(beats.states(now).empty());
  EXPECT_EQ(beats.end("pump", now).error().code, Errc::not_found);
}

TEST_F(HeartbeatsTest, AConfiguredOneIsWaitedForFromTheStartAndStaysWhenItEnds) {
  begin({{"slow", {minutes(5), false}}, {"fast", {seconds(2), false}}});
  EXPECT_EQ(state("fast").phase, HeartbeatPhase::awaited);
  EXPECT_EQ(run(minutes(10)), "fast@60 slow@300 ");
  ASSERT_TRUE(beat("fast", hours(1))) << "its time is the configured one";
  EXPECT_EQ(state("fast").every, seconds(2));
  EXPECT_TRUE(beats.end("fast", now).ok());
  EXPECT_EQ(state("fast").phase, HeartbeatPhase::ended);
  EXPECT_EQ(run(hours(1)), "");
}

TEST_F(HeartbeatsTest, OnlyOneThatIsConfiguredForItAndHasBeatenHoldsTheWatchdog) {
  begin({{"vital", {seconds(10), true}}, {"other", {seconds(10), false}}});
  EXPECT_EQ(run(minutes(5)), "other@60 vital@60 ");
  EXPECT_FALSE(beats.hold_watchdog()) << "another restart would not bring it back either";
  ASSERT_TRUE(beat("vital"));
  ASSERT_TRUE(beat("other"));
  EXPECT_EQ(run(seconds(9)), "");
  EXPECT_FALSE(beats.hold_watchdog());
  EXPECT_EQ(run(seconds(9)), "other@1 vital@1 ");
  EXPECT_TRUE(beats.hold_watchdog());
  ASSERT_TRUE(beat("vital"));
  EXPECT_FALSE(beats.hold_watchdog());
  EXPECT_EQ(run(seconds(20)), "vital@10 ");
  EXPECT_TRUE(beats.end("vital", now).ok());
  EXPECT_FALSE(beats.hold_watchdog());
}

TEST_F(HeartbeatsTest, WhatWeSleptThroughIsNotTheirSilence) {
  ASSERT_TRUE(beat("pump", seconds(10)));
  now += hours(8);  // suspended
  EXPECT_TRUE(beats.look(now).empty());
  EXPECT_EQ(run(seconds(30)), "pump@10 ");
}

TEST_F(HeartbeatsTest, AShorterTimeBringsTheLookForward) {
  ASSERT_TRUE(beat("pump", hours(1)));
  ASSERT_TRUE(beat("pump", seconds(5)));
  EXPECT_EQ(run(minutes(1)), "pump@5 ");
}

TEST_F(HeartbeatsTest, NamesAndTimesHaveBounds) {
  EXPECT_TRUE(beat("A-z_0.9:x@host", seconds(1)));
  EXPECT_TRUE(beat(std::string(limits::kHeartbeatNameMax, 'n'), seconds(1)));
  for (const std::string& bad : {std::string(), std::string("a b"), std::string("a\n"),
                                 std::string(limits::kHeartbeatNameMax + 1, 'n')}) {
    EXPECT_EQ(beats.beat(bad, seconds(1), now).error().code, Errc::invalid_argument) << bad;
  }
  EXPECT_TRUE(beat("short", milliseconds(100)));
  EXPECT_TRUE(beat("long", hours(24)));
  EXPECT_FALSE(beat("short", milliseconds(99)));
  EXPECT_FALSE(beat("long", hours(24) + milliseconds(1)));
  EXPECT_FALSE(beat("new")) << "nobody knows how often";
  EXPECT_FALSE(beat("new", milliseconds(-1)));
}

TEST_F(HeartbeatsTest, OverTheirNumberANewOneIsRefusedAndTheOthersBeat) {
  for (std::size_t i = 0; i < limits::kHeartbeats; ++i) {
    ASSERT_TRUE(beat("n" + std::to_string(i), seconds(1)));
  }
  EXPECT_EQ(beats.beat("more", seconds(1), now).error().code, Errc::full);
  EXPECT_TRUE(beat("n0"));
  EXPECT_TRUE(beats.end("n0", now).ok());
  EXPECT_TRUE(beat("more", seconds(1)));
}

}  // namespace
}  // namespace holdfast::health
