// Goal:   each way in which power goes and comes back leads to the right orders, once, in time, and
//         none of them is a dead end.
// Method: readings and signals on virtual time; Bench ticks at each event and at each next_wake().
#include "health/power.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Config::Power rules() {
  Config::Power power;
  power.command = {"poweroff"};
  return power;
}

PowerReading mains() { return {true, false, false, {}, {}, "ups: OL"}; }
PowerReading battery() { return {false, false, false, 80, Seconds(600), "ups: OB"}; }
PowerReading low() { return {false, true, false, 5, {}, "ups: OB LB"}; }

class Bench {
 public:
  explicit Bench(const Config::Power& power = rules()) : machine(power) {}

  void tick() {
    const PowerOrders orders = machine.tick(now);
    if (orders.refuse) add(*orders.refuse ? "refuse" : "accept");
    if (orders.note) add("note");
    if (orders.forget_note) add("forget");
    if (orders.notice) add(std::string(to_string(*orders.notice)));
    if (orders.posture) {
      std::string posture = "posture(";
      posture += orders.hold_lanes ? "lanes" : "";
      posture += orders.save ? " save" : "";
      posture += orders.away ? " away" : "";
      add(posture + ")");
    }
    if (orders.command) add("command");
    ASSERT_GT(machine.next_wake(), now) << "a wake-up without progress would spin";
  }
  void says(const PowerReading& one, PowerSource source = PowerSource::ups) {
    machine.reading(now, source, one);
    tick();
  }
  void run_for(Duration time) {
    const BootTime end = now + time;
    while (machine.next_wake() <= end) {
      now = machine.next_wake();
      tick();
      if (::testing::Test::HasFatalFailure()) return;
    }
    now = end;
  }
  /// What was ordered since the last call.
  std::string orders() { return std::exchange(orders_, {}); }
  [[nodiscard]] PowerPhase phase() const { return machine.state().phase; }
  /// From the word that it goes to the machine's end.
  void go_down() {
    says(low());
    machine.saved(now);
    machine.farewell_settled();
    tick();
    machine.away();
    tick();
    EXPECT_EQ(phase(), PowerPhase::down);
    orders();
  }

  Power machine;
  BootTime now{std::chrono::hours(1)};

 private:
  void add(const std::string& word) { orders_ += (orders_.empty() ? "" : " ") + word; }
  std::string orders_;
};

TEST(Power, WhereNobodySaysAnythingNothingHappens) {
  Bench bench;
  bench.tick();
  bench.run_for(std::chrono::hours(24));
  EXPECT_EQ(bench.orders(), "");
  EXPECT_EQ(bench.phase(), PowerPhase::unknown);
  bench.says(mains());
  EXPECT_EQ(bench.phase(), PowerPhase::mains);
}

TEST(Power, AFlickerIsRiddenThrough) {
  Bench bench;
  bench.says(battery());
  bench.run_for(milliseconds(2999));
  bench.says(mains());
  bench.run_for(seconds(60));
  EXPECT_EQ(bench.orders(), "");
  EXPECT_EQ(bench.machine.state().on_battery, 0U);
}

TEST(Power, OnBatteryIsToldOnceAndSoIsItsEnd) {
  Bench bench;
  bench.says(battery());
  bench.run_for(seconds(3));
  EXPECT_EQ(bench.orders(), "on_battery posture(lanes)");
  EXPECT_EQ(bench.phase(), PowerPhase::on_battery);
  EXPECT_EQ(bench.machine.state().charge, 80U);
  bench.says(battery());
  bench.run_for(seconds(100));
  EXPECT_EQ(bench.orders(), "");
  bench.says(mains());
  bench.run_for(seconds(4));
  bench.says(battery());
  bench.says(mains());
  bench.run_for(milliseconds(4999));
  EXPECT_EQ(bench.orders(), "") << "back must hold";
  bench.run_for(milliseconds(1));
  EXPECT_EQ(bench.orders(), "power_back posture()");
  EXPECT_EQ(bench.phase(), PowerPhase::mains);
  EXPECT_EQ(bench.machine.state().on_battery, 1U);
}

TEST(Power, ALowBatteryEndsInOrderAndThenRunsTheCommand) {
  Bench bench;
  bench.says(battery());
  bench.run_for(seconds(3));
  bench.orders();
  bench.says(low());
  EXPECT_EQ(bench.orders(), "refuse note going_down posture(lanes save)");
  EXPECT_EQ(bench.phase(), PowerPhase::going_down);
  bench.now += milliseconds(12);
  bench.machine.saved(bench.now);
  bench.tick();
  EXPECT_EQ(bench.orders(), "") << "the last notice is still on its way";
  EXPECT_EQ(bench.machine.state().safe, milliseconds(12));
  bench.machine.farewell_settled();
  bench.tick();
  EXPECT_EQ(bench.orders(), "posture( save away)");
  bench.machine.away();
  bench.tick();
  EXPECT_EQ(bench.orders(), "command");
  EXPECT_EQ(bench.phase(), PowerPhase::down);
}

TEST(Power, NothingThatFailsToComeHoldsTheEndUp) {
  Bench bench;
  bench.says(low());
  bench.orders();
  bench.run_for(milliseconds(1999));
  EXPECT_EQ(bench.orders(), "");
  bench.run_for(milliseconds(1));
  EXPECT_EQ(bench.orders(), "posture( save away)");
  bench.run_for(kPartTime);
  EXPECT_EQ(bench.orders(), "command");
  EXPECT_EQ(bench.machine.state().safe, std::nullopt);
}

TEST(Power, ASavingThatFailedIsNotToldAsTheOneBefore) {
  Bench bench;
  bench.go_down();
  EXPECT_TRUE(bench.machine.state().safe);
  bench.says(mains());
  bench.run_for(seconds(5));
  bench.says(low());
  bench.run_for(seconds(10));
  EXPECT_EQ(bench.phase(), PowerPhase::down);
  EXPECT_EQ(bench.machine.state().safe, std::nullopt);
}

TEST(Power, WithoutACommandNoneIsRun) {
  Config::Power power = rules();
  power.command.clear();
  Bench bench(power);
  bench.says(low());
  bench.run_for(seconds(10));
  EXPECT_EQ(bench.phase(), PowerPhase::down);
  EXPECT_EQ(bench.orders().find("command"), std::string::npos);
}

TEST(Power, ThresholdsOfChargeAndRuntimeCountOnBatteryOnly) {
  Config::Power power = rules();
  power.low_charge = 20;
  power.low_runtime = Seconds(60);
  Bench bench(power);
  PowerReading one = mains();
  one.charge = 3;
  one.low = true;
  bench.says(one, PowerSource::supply);
  EXPECT_EQ(bench.phase(), PowerPhase::mains) << "it is being charged";
  one = battery();
  one.charge = 20;
  one.runtime = Seconds(60);
  bench.says(one, PowerSource::supply);
  EXPECT_EQ(bench.phase(), PowerPhase::mains);
  one.runtime = Seconds(59);
  bench.says(one, PowerSource::supply);
  EXPECT_EQ(bench.phase(), PowerPhase::going_down);
  Bench other(power);
  one.runtime = Seconds(600);
  one.charge = 19;
  other.says(one, PowerSource::supply);
  EXPECT_EQ(other.phase(), PowerPhase::going_down);
}

TEST(Power, ASignalMayBeTakenBackBeforeTheEndAndAfterIt) {
  Bench bench;
  bench.machine.fail(bench.now, "gpio");
  bench.tick();
  EXPECT_EQ(bench.orders(), "refuse note going_down posture(lanes save)");
  bench.machine.back(bench.now);
  bench.tick();
  EXPECT_EQ(bench.orders(), "accept forget power_back posture()");
  bench.machine.fail(bench.now, "gpio");
  bench.tick();
  bench.run_for(seconds(10));
  EXPECT_EQ(bench.phase(), PowerPhase::down);
  bench.orders();
  bench.machine.back(bench.now);
  bench.tick();
  bench.run_for(seconds(5));
  EXPECT_EQ(bench.orders(), "accept forget power_back posture()");
}

TEST(Power, AForcedEndIsNotTakenBackByMains) {
  Bench bench;
  PowerReading forced = mains();
  forced.forced = true;
  bench.says(forced);
  EXPECT_EQ(bench.phase(), PowerPhase::going_down);
  bench.says(mains());
  EXPECT_EQ(bench.phase(), PowerPhase::going_down) << "who forces it will cut the power";
  bench.run_for(seconds(4));
  EXPECT_EQ(bench.phase(), PowerPhase::down);
}

TEST(Power, PowerThatComesBackWhileTheMachineIsStillOnIsTaken) {
  Bench bench;
  bench.go_down();
  bench.says(mains());
  bench.run_for(seconds(5));
  EXPECT_EQ(bench.orders(), "accept forget power_back posture()");
  EXPECT_EQ(bench.phase(), PowerPhase::mains);
}

TEST(Power, AMachineThatIsStillOnGoesOnAndIsNotLedDownBySameWordAgain) {
  Bench bench;
  bench.go_down();
  bench.run_for(seconds(120));
  EXPECT_EQ(bench.orders(), "accept forget on_battery posture(lanes)");
  bench.says(low());
  bench.run_for(seconds(1000));
  EXPECT_EQ(bench.phase(), PowerPhase::on_battery);
  bench.says(battery());
  bench.says(low());
  EXPECT_EQ(bench.phase(), PowerPhase::going_down) << "it was over, and comes again";
}

TEST(Power, ASignalThatWasWrongIsForgottenWithTime) {
  Bench bench;
  bench.machine.fail(bench.now, "");
  bench.tick();
  bench.run_for(seconds(200));
  EXPECT_EQ(bench.phase(), PowerPhase::unknown);
  bench.machine.fail(bench.now, "");
  bench.tick();
  EXPECT_EQ(bench.phase(), PowerPhase::going_down);
  EXPECT_EQ(bench.machine.state().going_down, 2U);
}

TEST(Power, ASourceThatCannotBeAskedIsNamedAndWhatItSaidHolds) {
  Bench bench;
  bench.says(battery());
  bench.run_for(seconds(3));
  bench.machine.trouble(PowerSource::ups, "ups1: Connection refused");
  bench.tick();
  bench.run_for(seconds(600));
  EXPECT_EQ(bench.phase(), PowerPhase::on_battery);
  EXPECT_EQ(bench.machine.state().problem, "ups1: Connection refused");
  bench.says(battery());
  EXPECT_EQ(bench.machine.state().problem, "");
}

TEST(Power, WhicheverSourceSaysSo) {
  Bench bench;
  bench.says(mains(), PowerSource::supply);
  bench.says(battery(), PowerSource::ups);
  bench.run_for(seconds(3));
  EXPECT_EQ(bench.phase(), PowerPhase::on_battery);
  bench.machine.fail(bench.now, "line");
  bench.tick();
  bench.machine.back(bench.now);
  bench.tick();
  EXPECT_EQ(bench.phase(), PowerPhase::on_battery) << "mains is still away";
  EXPECT_EQ(bench.machine.state().on_battery, 2U);
}

}  // namespace
}  // namespace holdfast::health
