// How the machine is, as JSON: its boot, its power.
//
// Threads:  pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "holdfast/types.h"

namespace holdfast::runtime {

/// The fields as docs/local-api.md has them.
[[nodiscard]] nlohmann::ordered_json boot_json(const BootState& boot);
[[nodiscard]] nlohmann::ordered_json power_json(const PowerState& power);
[[nodiscard]] nlohmann::ordered_json guard_json(const GuardState& guard);

}  // namespace holdfast::runtime
