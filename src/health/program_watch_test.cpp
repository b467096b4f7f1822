// Goal:   a program is started again when it ends or falls silent, later each time, never for ever
// if
//         limited; it is asked to end before it is killed, and its exit code is kept.
// Method: pure; the test is the clock and the program.
#include "health/program_watch.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Deed = ProgramWatch::Deed;

class ProgramWatchTest : public ::testing::Test {
 protected:
  void begin(const ProgramRules& rules) {
    watch = ProgramWatch(rules);
    EXPECT_EQ(watch.step(now).deed, Deed::start);
    watch.started(now);
  }
  /// Waits until there is something to do, `most` at most; the deed.
  Deed next_deed(Duration most = minutes(60)) {
    const BootTime end = now + most;
    while (true) {
      now = std::max(now, std::min(end, watch.next_step()));
      const ProgramWatch::Step step = watch.step(now);
      if (!step.words.empty()) words.push_back(step.words);
      if (step.deed != Deed::nothing) return step.deed;
      if (now >= end) return Deed::nothing;
    }
  }
  /// The time from an end with `code` to the next start.
  Duration wait_after(int code) {
    const BootTime end = now;
    watch.ended(now, code);
    EXPECT_EQ(next_deed(), Deed::start);
    watch.started(now);
    return now - end;
  }

  BootTime now{seconds(1000)};
  ProgramWatch watch{ProgramRules{}};
  std::vector<std::string> words;
};

TEST_F(ProgramWatchTest, OneThatEndsIsStartedAgainLaterEachTimeUpToTheCap) {
  begin({});
  for (const int wait : {1, 2, 4, 8, 16, 32, 60, 60}) EXPECT_EQ(wait_after(1), seconds(wait));
  EXPECT_EQ(words.front(), "ended with 1; started again in 1 s");
}

TEST_F(ProgramWatchTest, AStableRunBeginsTheDelaysAnew) {
  begin({});
  wait_after(1);
  wait_after(1);
  now += seconds(59);
  EXPECT_EQ(wait_after(1), seconds(4));
  now += seconds(60);
  EXPECT_EQ(wait_after(1), seconds(1));
}

TEST_F(ProgramWatchTest, AnEndWithZeroIsAnEndLikeAnyOtherUnlessItIsWanted) {
  begin({});
  EXPECT_EQ(wait_after(0), seconds(1));
  ProgramRules rules;
  rules.ends_with_zero = true;
  begin(rules);
  EXPECT_EQ(wait_after(3), seconds(1));
  watch.ended(now, 0);
  EXPECT_EQ(next_deed(), Deed::finish);
  EXPECT_EQ(watch.exit_code(), 0);
}

TEST_F(ProgramWatchTest, OverItsLimitItIsGivenUpWithItsLastCode) {
  ProgramRules rules;
  rules.restarts = 2;
  rules.window = seconds(10);
  begin(rules);
  wait_after(5);
  wait_after(6);
  watch.ended(now, 7);
  EXPECT_EQ(next_deed(), Deed::finish);
  EXPECT_EQ(watch.exit_code(), 7);
  EXPECT_EQ(words.back(),
            "ended with 7; it was started again 2 times within 10 s, and is given up");
  begin(rules);
  for (int i = 0; i < 20; ++i) {
    now += seconds(8);  // two in ten seconds, never three
    EXPECT_NE(wait_after(1), Duration::zero());
  }
}

TEST_F(ProgramWatchTest, SilenceEndsItAndEachSignPutsThatOff) {
  ProgramRules rules;
  rules.within[0] = seconds(30);
  begin(rules);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(next_deed(seconds(29)), Deed::nothing);
    watch.sign(LifeSign::output, now);
    EXPECT_TRUE(watch.healthy());
  }
  const BootTime last = now;
  EXPECT_EQ(next_deed(), Deed::terminate);
  EXPECT_EQ(now - last, seconds(30));
  EXPECT_FALSE(watch.healthy());
  EXPECT_EQ(words.back(), "is stuck: no output for 30 s; it is told to end");
  EXPECT_EQ(wait_after(143), seconds(1));
}

TEST_F(ProgramWatchTest, TheFirstSignMayTakeLongerAndEachKindIsWatched) {
  ProgramRules rules;
  rules.within = {Duration::zero(), milliseconds(500), seconds(2)};
  rules.first_sign = seconds(20);
  begin(rules);
  EXPECT_EQ(next_deed(seconds(19)), Deed::nothing);
  watch.sign(LifeSign::heartbeat, now);
  watch.sign(LifeSign::port, now);
  EXPECT_EQ(next_deed(), Deed::terminate);
  EXPECT_EQ(words.back(), "is stuck: no heartbeat for 0.5 s; it is told to end");
  begin(rules);
  EXPECT_EQ(next_deed(), Deed::terminate);
  EXPECT_EQ(words.back(), "is stuck: no heartbeat for 20 s; it is told to end");
  begin(rules);
  watch.sign(LifeSign::port, now);
  EXPECT_EQ(next_deed(), Deed::terminate);
  EXPECT_EQ(words.back(), "is stuck: no answer at its port for 2 s; it is told to end");
}

TEST_F(ProgramWatchTest, OneThatDoesNotEndIsKilledOnce) {
  ProgramRules rules;
  rules.within[0] = seconds(30);
  begin(rules);
  EXPECT_EQ(next_deed(), Deed::terminate);
  const BootTime told = now;
  EXPECT_EQ(next_deed(), Deed::kill);
  EXPECT_EQ(now - told, rules.stop_grace);
  EXPECT_EQ(next_deed(), Deed::nothing);
  EXPECT_EQ(wait_after(137), seconds(1));
}

TEST_F(ProgramWatchTest, AStopAsksItToEndAndKeepsItsCode) {
  begin({});
  watch.stop(now);
  EXPECT_EQ(next_deed(), Deed::terminate);
  watch.ended(now, 3);
  EXPECT_EQ(next_deed(), Deed::finish);
  EXPECT_EQ(watch.exit_code(), 3);
}

TEST_F(ProgramWatchTest, ASecondStopKillsAtOnce) {
  begin({});
  watch.stop(now);
  EXPECT_EQ(next_deed(), Deed::terminate);
  const BootTime told = now;
  watch.stop(now);
  EXPECT_EQ(next_deed(), Deed::kill);
  EXPECT_EQ(now, told);
}

TEST_F(ProgramWatchTest, AStopBetweenTwoRunsFinishesAtOnce) {
  begin({});
  watch.ended(now, 9);
  EXPECT_EQ(next_deed(milliseconds(500)), Deed::nothing);
  watch.stop(now);
  EXPECT_EQ(next_deed(milliseconds(1)), Deed::finish);
  EXPECT_EQ(watch.exit_code(), 9);
}

TEST_F(ProgramWatchTest, OneThatIsNotThereIsAMistakeAtFirstAndTriedAgainLater) {
  watch = ProgramWatch(ProgramRules{});
  EXPECT_EQ(watch.step(now).deed, Deed::start);
  watch.not_started(now, 127);
  EXPECT_EQ(next_deed(), Deed::finish);
  EXPECT_EQ(watch.exit_code(), 127);
  begin({});
  watch.ended(now, 0);
  EXPECT_EQ(next_deed(), Deed::start);
  watch.not_started(now, 127);
  EXPECT_EQ(next_deed(), Deed::start) << "an update may have it away for a moment";
}

TEST_F(ProgramWatchTest, OneThatWasStuckAndGivenUpHasFailedWhateverItSays) {
  ProgramRules rules;
  rules.within[0] = seconds(1);
  rules.first_sign = seconds(1);
  rules.ends_with_zero = true;
  rules.restarts = 1;
  begin(rules);
  EXPECT_EQ(next_deed(), Deed::terminate);
  wait_after(0);
  EXPECT_EQ(next_deed(), Deed::terminate);
  watch.ended(now, 0);
  EXPECT_EQ(next_deed(), Deed::finish);
  EXPECT_EQ(watch.exit_code(), 1);
}

}  // namespace
}  // namespace holdfast::health
