// Which lanes wait while what is sent costs money.
//
// Threads: pure functions.
#pragma once

#include <bitset>
#include <string>
#include <vector>

#include "base/limits.h"
#include "holdfast/config.h"
#include "holdfast/types.h"

namespace holdfast::flow {

using LaneSet = std::bitset<limits::kLanesMax>;

/// Whether the primary connection is metered, or one of a modem that is roaming. What nobody knows
/// costs nothing.
[[nodiscard]] bool costs_money(const NetworkState& network, const Config::Network& rules);

/// By index in Config::lanes.
[[nodiscard]] LaneSet held_lanes(const NetworkState& network, const Config& config);

/// The same by name, for people.
[[nodiscard]] std::vector<std::string> held_lane_names(const NetworkState& network,
                                                       const Config& config);

}  // namespace holdfast::flow
