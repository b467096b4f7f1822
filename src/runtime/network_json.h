// NetworkState and ClockState as JSON, for the local API.
//
// Threads: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "holdfast/types.h"

namespace holdfast::runtime {

/// Adds "network", "escalation" and "clock" to a status; docs/local-api.md has the fields.
void add_network(nlohmann::ordered_json& status, const DeviceState& state);

}  // namespace holdfast::runtime
