// Goal:   a fleet of our devices comes back about as fast as its endpoint takes it, without
//         pressing on it for ever, and the model tells good strategies from bad ones.
// Method: small fleets against small quotas; nothing depends on the size but the first seconds.

#include "sim/fleet.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace holdfast::sim {
namespace {

FleetResult run(std::string_view scenario, std::string_view strategy,
                const FleetSettings& settings) {
  const auto named = [](const auto& all, std::string_view name) {
    return *std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
  };
  return run_fleet(named(fleet_scenarios(), scenario), named(fleet_strategies(), strategy),
                   settings);
}

constexpr FleetSettings kSmall{6'000, 20, 1};         // 300 s at best
constexpr FleetSettings kFree{10'000, 1'000'000, 1};  // no quota to speak of

TEST(Fleet, ComesBackAsFastAsItIsTaken) {
  for (const char* scenario : {"restart", "outage"}) {
    const FleetResult result = run(scenario, "holdfast", kSmall);
    EXPECT_GT(result.back_s, 0.9 * result.minimum_s) << scenario << ": the quota was not kept";
    EXPECT_LT(result.back_s, 1.27 * result.minimum_s) << scenario;
  }
}

TEST(Fleet, WhereTooManyAreThrownOutForEverItHardlyAsksForMoreThanItGets) {
  const FleetResult result = run("kick", "holdfast", kSmall);
  EXPECT_LT(result.pressure, 1.2);
  EXPECT_GT(result.pressure, 0.8) << "places stay empty";
  EXPECT_GT(run("kick", "boost-mqtt5", kSmall).pressure, 2 * result.pressure);
}

// The invariant no-herd.
TEST(Fleet, AfterARestartNoSecondHasMoreThanAnEighthOfIt) {
  FleetScenario scenario = fleet_scenarios().front();
  ASSERT_EQ(scenario.name, "restart");
  for (const int down : {0, 1, 5, 11, 14, 16, 30, 60}) {
    scenario.down = std::chrono::seconds(down);
    EXPECT_LE(run_fleet(scenario, fleet_strategies().front(), kFree).worst, 1'200U) << down << " s";
  }
  EXPECT_EQ(run("restart", "doubling", kFree).worst, kFree.devices) << "all of them at once";
}

TEST(Fleet, TheSameSeedIsTheSameRunEverywhere) {
  const FleetSettings settings{500, 10, 7};
  EXPECT_EQ(run("restart", "holdfast", settings).hash, 4875559546828826683U);
  EXPECT_EQ(run("kick", "aws-c-mqtt", settings).hash, 2909950043329065263U);
}

}  // namespace
}  // namespace holdfast::sim
