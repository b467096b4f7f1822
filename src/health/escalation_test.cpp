// Goal: the ladder is climbed only while neither broker nor reference hosts can be reached, step by
//       step, within budgets that outlive restarts, also on a machine without a clock.
// Method: states of connections and answers by hand, on a clock by hand.
#include "health/escalation.h"

#include <gtest/gtest.h>

namespace holdfast::health {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

Config::Escalation all_steps() {
  Config::Escalation rules;
  rules.steps = {"reboot", "reconnect", "modem", "bearer"};  // their order is not asked for
  rules.reference_hosts = {"a.example:443"};
  rules.after = minutes(15);
  rules.modem_resets_per_day = 2;
  rules.reboots_per_day = 1;
  return rules;
}

class Bench {
 public:
  explicit Bench(const Config::Escalation& rules = all_steps(), std::vector<Taken> taken = {})
      : ladder(rules, std::move(taken)) {}

  /// The network is away for so long; what was taken meanwhile.
  std::vector<Rung> away(Duration time, bool cloud_only = false,
                         Verdict verdict = Verdict::tcp_timeout) {
    connection.state = LinkState::waiting;
    connection.verdict = verdict;
    std::vector<Rung> taken;
    const BootTime end = moment.now + time;
    for (serve(taken, cloud_only); ladder.next_wake() <= end;) {
      pass(ladder.next_wake() - moment.now);
      serve(taken, cloud_only);
    }
    pass(end - moment.now);
    return taken;
  }
  void connected() {
    connection.state = LinkState::connected;
    connection.verdict = Verdict::none;
    std::vector<Rung> none;
    serve(none, false);
    EXPECT_TRUE(none.empty());
  }
  void pass(Duration time) {
    moment.now += time;
    moment.wall.ms += std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  }

  Escalation ladder;
  Moment moment{BootTime(hours(1)), WallTime{1'795'000'000'000}, true, "boot-1"};
  ConnectionState connection;
  int asked = 0;
  std::vector<Taken> kept;

 private:
  void serve(std::vector<Rung>& taken, bool cloud_only) {
    const Escalation::Decision decision = ladder.service(moment, connection);
    if (decision.ask) {
      ++asked;
      ladder.answered(moment.now, cloud_only);
    }
    if (!decision.take) return;
    taken.push_back(*decision.take);
    if (Escalation::has_budget(*decision.take)) kept = ladder.remember(moment, *decision.take);
  }
};

using Rungs = std::vector<Rung>;

TEST(Escalation, NothingIsDoneUnlessItIsWanted) {
  Config::Escalation none = all_steps();
  none.steps.clear();
  Bench bench(none);
  EXPECT_TRUE(bench.away(hours(48)).empty());
  EXPECT_EQ(bench.asked, 0);
}

TEST(Escalation, TheLadderIsClimbedStepByStep) {
  Bench bench;
  EXPECT_TRUE(bench.away(minutes(14)).empty());
  EXPECT_EQ(bench.away(minutes(2)), (Rungs{Rung::reconnect}));
  EXPECT_EQ(bench.away(minutes(45)), (Rungs{Rung::bearer, Rung::modem, Rung::reboot}));
}

TEST(Escalation, OnlyTheStepsThatAreWantedAreTaken) {
  Config::Escalation rules = all_steps();
  rules.steps = {"bearer"};
  Bench bench(rules);
  EXPECT_EQ(bench.away(minutes(46)), (Rungs{Rung::bearer, Rung::bearer, Rung::bearer}));
}

TEST(Escalation, ACloudThatIsAwayIsNoReason) {
  Bench bench;
  EXPECT_TRUE(bench.away(hours(24), true).empty());
  EXPECT_GT(bench.asked, 90) << "it is asked again and again";
}

TEST(Escalation, WhoeverAnswersIsNoReasonEither) {
  for (const Verdict verdict :
       {Verdict::not_authorized, Verdict::tcp_refused, Verdict::tls_server_expired,
        Verdict::throttled, Verdict::captive_portal, Verdict::no_credentials}) {
    Bench bench;
    EXPECT_TRUE(bench.away(hours(24), false, verdict).empty()) << to_string(verdict);
    EXPECT_EQ(bench.asked, 0) << to_string(verdict);
  }
}

TEST(Escalation, AConnectionBeginsTheLadderAnew) {
  Bench bench;
  EXPECT_EQ(bench.away(minutes(31)), (Rungs{Rung::reconnect, Rung::bearer}));
  bench.connected();
  EXPECT_EQ(bench.ladder.next_wake(), kNever);
  EXPECT_TRUE(bench.away(minutes(14)).empty()) << "and its time, too";
  EXPECT_EQ(bench.away(minutes(2)), (Rungs{Rung::reconnect}));
}

TEST(Escalation, BudgetsHoldForADay) {
  Config::Escalation rules = all_steps();
  rules.steps = {"modem", "reboot"};
  Bench bench(rules);
  const Rungs first = bench.away(hours(23));
  EXPECT_EQ(first, (Rungs{Rung::modem, Rung::reboot, Rung::modem}));
  const Rungs next_day = bench.away(hours(2));
  EXPECT_EQ(std::count(next_day.begin(), next_day.end(), Rung::reboot), 1);
}

TEST(Escalation, BudgetsOutliveARestart) {
  Config::Escalation rules = all_steps();
  rules.steps = {"reboot"};
  Bench before(rules);
  ASSERT_EQ(before.away(minutes(16)), (Rungs{Rung::reboot}));
  const auto kept = parse_escalation(escalation_text(before.kept));
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(*kept, before.kept);
  Bench after(rules, *kept);
  after.moment.wall = before.moment.wall;
  after.moment.boot = "boot-2";
  after.moment.now = BootTime(minutes(1));
  EXPECT_TRUE(after.away(hours(22)).empty());
  EXPECT_EQ(after.away(hours(3)).size(), 1U);
}

TEST(Escalation, AMachineWithoutAClockDoesNotRestartForEver) {
  Config::Escalation rules = all_steps();
  rules.steps = {"reboot"};
  Bench before(rules);
  before.moment.wall_right = false;
  ASSERT_EQ(before.away(minutes(16)).size(), 1U);
  Bench after(rules, before.kept);
  after.moment.wall_right = false;
  after.moment.wall = WallTime{before.moment.wall.ms + std::int64_t{10} * 24 * 3600 * 1000};
  after.moment.boot = "boot-2";
  after.moment.now = BootTime(minutes(1));
  EXPECT_TRUE(after.away(hours(23)).empty()) << "nobody says that ten days have passed";
  EXPECT_EQ(after.away(hours(2)).size(), 1U) << "this boot has lasted for a day";
}

TEST(Escalation, ItsFileIsReadAsItWasWrittenAndDamageIsNamed) {
  const std::vector<Taken> taken{{Rung::modem, WallTime{5}, "b-1", minutes(7)},
                                 {Rung::reboot, WallTime{-1}, "b-2", Duration::zero()}};
  EXPECT_EQ(parse_escalation(escalation_text(taken)).value(), taken);
  EXPECT_TRUE(parse_escalation("holdfast-escalation 1\n").value().empty());
  for (const char* text :
       {"", "holdfast-escalation 2\n", "holdfast-escalation 1\nmodem 5 b 7",
        "holdfast-escalation 1\nmodem 5 b\n", "holdfast-escalation 1\nmodem x b 7\n",
        "holdfast-escalation 1\nfly 5 b 7\n", "holdfast-escalation 1\nmodem 5 b 7 8\n"}) {
    EXPECT_FALSE(parse_escalation(text).ok()) << text;
  }
}

}  // namespace
}  // namespace holdfast::health
