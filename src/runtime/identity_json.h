// IdentityState as JSON: for the local API, and for whoever looks into a directory of slots.
//
// Threads: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "holdfast/types.h"

namespace holdfast::runtime {

/// docs/local-api.md has the fields. Nothing of a private key is in it.
[[nodiscard]] nlohmann::ordered_json identity_json(const IdentityState& state);

/// Where provisioning stands, as a part of it.
[[nodiscard]] nlohmann::ordered_json provisioning_json(const ProvisioningState& state);

}  // namespace holdfast::runtime
