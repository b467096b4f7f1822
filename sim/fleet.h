// A fleet and its endpoint: how fast do all come back, and how hard do they press?
//
// Purpose:  what one device's waiting means when a million do it at once, against an endpoint that
//           takes so many connects a second and refuses the rest.
// Method:   events on virtual time, one pending for each device: its attempt, or the end of its
//           connection. Devices are shells: only the decision when to try again is played, for our
//           devices by the real link::Supervisor (fleet_strategies.h).
// Threads:  one for each run; runs share nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "sim/fleet_strategies.h"

namespace holdfast::sim {

struct FleetScenario {
  std::string_view name;
  std::string_view what;
  Duration down{};      ///< The endpoint is away from the beginning on, for so long.
  bool silent = false;  ///< While away it does not answer; else it refuses at once.
  Duration kicks{};     ///< Once back, for so long it ends each connection that it has accepted.
};

[[nodiscard]] const std::vector<FleetScenario>& fleet_scenarios();

struct FleetSettings {
  std::size_t devices = 100'000;
  std::uint64_t quota = 3000;  ///< Connects a second; AWS IoT Core's, or 100 in small Regions.
  std::uint64_t seed = 1;
};

struct FleetResult {
  std::vector<std::uint32_t> offered;   ///< In each second since the endpoint is back.
  std::vector<std::uint32_t> accepted;  ///< The same.
  double minimum_s = 0;                 ///< The fleet divided by the quota.
  double back_s = 0;                    ///< Until 99 % were connected for good, since the heal.
  std::size_t healed_at_s = 0;          ///< The second at which nothing was wrong any more.
  double attempts = 0;                  ///< A device, since the endpoint is back.
  std::uint32_t worst = 0;              ///< Offered in the worst second.
  /// Offered divided by the quota, mean: in the second half of the recovery; with kicks in the
  /// second half of their time, when the fleet presses without end.
  double pressure = 0;
  double worst_pressure = 0;  ///< In the worst second of that time.
  std::uint64_t hash = 0;     ///< Of every accepted connect and its time.
};

/// Everyone was connected for long when it begins.
[[nodiscard]] FleetResult run_fleet(const FleetScenario& scenario, const Strategy& strategy,
                                    const FleetSettings& settings);

}  // namespace holdfast::sim
