// Goal: one seed, one run: with every compiler and at every optimization a run is the same to the
//       last event, and nothing is wrong in it; a checker that is broken is seen.
// Method: short runs of each scenario; their trace hashes stand here. Where a change of the product
//         or of the simulation changes them, device_sim --hours 3 --hashes prints the new ones.
#include "sim/device_world.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace holdfast::sim {
namespace {

struct Known {
  std::string_view scenario;
  std::uint64_t seed;
  std::uint64_t hash;
};
constexpr std::uint64_t kHours = 3;
constexpr Known kKnown[] = {
    {"field", 1, 0xD1E8D1B7202F3E50U},        {"flapping", 1, 0xED6E81D00E3ED8F4U},
    {"kick", 1, 0x7B74E704291B6E0CU},         {"never-acks", 1, 0x18559F053BB844C2U},
    {"session-lost", 1, 0x85800B2B2883056FU}, {"offline-weeks", 1, 0x679B3383E1F45C2CU},
    {"take-over", 1, 0x28A53B50349CA4A6U},    {"ten-years", 1, 0x048D39AA85DE8E3AU},
    {"region-loss", 1, 0x4F06D7408D0994F5U},  {"policy", 1, 0x6FDF2B4B87012F4DU},
    {"two-regions", 1, 0x07A42424CC1E66D2U},
};

const DeviceScenario& scenario_of(std::string_view name) {
  const auto& all = device_scenarios();
  return *std::find_if(all.begin(), all.end(), [&](const auto& s) { return s.name == name; });
}

TEST(DeviceWorld, TheSameSeedIsTheSameRunEverywhere) {
  for (const Known& known : kKnown) {
    SCOPED_TRACE(std::string(known.scenario) + " seed " + std::to_string(known.seed));
    DeviceWorld world(scenario_of(known.scenario), known.seed, kHours, false);
    const DeviceResult result = world.run();
    EXPECT_FALSE(result.failure) << to_string(result.failure->check) << ": "
                                 << result.failure->what;
    EXPECT_EQ(result.hash, known.hash) << std::hex << result.hash;
  }
}

// Field lesson 8.
TEST(DeviceWorld, TenYearsPassEveryPlaceWhereACounterOfTimeCouldWrap) {
  DeviceWorld world(scenario_of("ten-years"), 1, 0, false);
  const DeviceResult result = world.run();
  EXPECT_FALSE(result.failure) << to_string(result.failure->check) << ": " << result.failure->what;
  constexpr std::int64_t k2038Ms = 0x7FFF'FFFF * std::int64_t{1000};
  EXPECT_LT(result.wall_begin.ms, k2038Ms);
  EXPECT_GT(result.wall_end.ms, k2038Ms);
  EXPECT_GT(result.longest_up, std::chrono::milliseconds(std::int64_t{1} << 32));
  EXPECT_GT(result.faults.at(static_cast<std::size_t>(Fault::certificate_expired)), 1000U);
  EXPECT_GT(result.faults.at(static_cast<std::size_t>(Fault::disk_full)), 10U);
}

// Field lesson 5.
TEST(DeviceWorld, TheWillOfADeviceThatSleptIsHeardInTime) {
  // The broker had ended the connection of a device that slept when its power was
  // to be cut, and its will had been heard before anybody listened for it.
  DeviceWorld world(scenario_of("session-lost"), 45, 0, false);
  const DeviceResult result = world.run();
  EXPECT_FALSE(result.failure) << to_string(result.failure->check) << ": " << result.failure->what;
}

// One answer of "not authorized", and others of the topic that were on their way and were taken: it
// was let go within milliseconds, and what had gone back to the outbox was overtaken.
TEST(DeviceWorld, WhatIsSetAsideAndLetGoKeepsItsOrder) {
  for (const auto& [scenario, seed] : {std::pair{"kick", 30U}, std::pair{"offline-weeks", 9U}}) {
    DeviceWorld world(scenario_of(scenario), seed, 0, false);
    const DeviceResult result = world.run();
    EXPECT_FALSE(result.failure) << result.failure->what;
  }
}

// A retained message that had been sent, and stood aside behind some that had not, was retained
// again behind a later one.
TEST(DeviceWorld, ARetainedMessageThatStoodAsideGivesWay) {
  DeviceWorld world(scenario_of("policy"), 13, 0, false);
  const DeviceResult result = world.run();
  EXPECT_FALSE(result.failure) << result.failure->what;
}

// A disk that was well again brought messages back to a lane that was full still, 34 ms after.
TEST(DeviceWorld, ADiskThatIsWellAgainIsNotAskedAtOnce) {
  DeviceWorld world(scenario_of("never-acks"), 21, 0, false);
  const DeviceResult result = world.run();
  EXPECT_FALSE(result.failure) << result.failure->what;
}

// A kick that was planned before everything was healed ended the last connection after it, and the
// backlog was to go during the wait for the next one, whatever that wait was.
TEST(DeviceWorld, AKickThatWasPlannedDoesNotStrikeAfterTheHealing) {
  DeviceWorld world(scenario_of("kick"), 36, 0, false);
  const DeviceResult result = world.run();
  EXPECT_FALSE(result.failure) << result.failure->what;
}

TEST(DeviceWorld, AnotherSeedIsAnotherRun) {
  DeviceWorld one(scenario_of("field"), 1, 1, false);
  DeviceWorld other(scenario_of("field"), 2, 1, false);
  EXPECT_NE(one.run().hash, other.run().hash);
}

TEST(DeviceChecks, TheFirstWrongAnswerIsKeptAndAllAreCounted) {
  DeviceChecks checks;
  EXPECT_TRUE(checks.expect(Check::order, true, [] { return std::string("not asked for"); }));
  EXPECT_FALSE(checks.failed());
  EXPECT_FALSE(checks.expect(Check::order, false, [] { return std::string("first"); }));
  EXPECT_FALSE(checks.expect(Check::no_loss, false, [] { return std::string("second"); }));
  ASSERT_TRUE(checks.failed());
  EXPECT_EQ(checks.failure()->what, "first");
  EXPECT_EQ(checks.counts().at(static_cast<std::size_t>(Check::order)), 2U);
}

TEST(DeviceFaults, HealedTheyNoLongerStrike) {
  SeededRandom random(1);
  DeviceFaults faults;
  faults.enable(Fault::kill);
  EXPECT_TRUE(faults.strikes(Fault::kill, random, 1));
  EXPECT_FALSE(faults.strikes(Fault::reset, random, 1)) << "not enabled";
  faults.heal();
  EXPECT_FALSE(faults.strikes(Fault::kill, random, 1));
  EXPECT_EQ(faults.counts().at(static_cast<std::size_t>(Fault::kill)), 1U);
}

TEST(DeviceFaults, EveryKindHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kDeviceFaults; ++i) names.insert(to_string(static_cast<Fault>(i)));
  EXPECT_EQ(names.size(), kDeviceFaults);
  std::set<std::string_view> checks;
  for (std::size_t i = 0; i < kDeviceChecks; ++i) checks.insert(to_string(static_cast<Check>(i)));
  EXPECT_EQ(checks.size(), kDeviceChecks);
}

}  // namespace
}  // namespace holdfast::sim
