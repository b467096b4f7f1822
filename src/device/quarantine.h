// What the server denies, as the core hears it and as it is shown.
//
// Purpose:  words between the engine (codes, ends of connections), flow (operations that are set
//           aside) and whoever looks at the device.
// Threads:  pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "env/engine.h"
#include "flow/subscriptions.h"
#include "flow/suspicion.h"
#include "holdfast/config.h"
#include "holdfast/types.h"

namespace holdfast::device {

/// What the end of a connection that stood says about what was sent on it.
[[nodiscard]] flow::Suspicion::End end_of(const env::Failure& failure);

/// Whether this SUBACK code speaks of the policy; MQTT 3.1.1 has one code for all refusals.
[[nodiscard]] bool is_denial(std::uint8_t suback_code, MqttVersion version);

/// Everything that is set aside, and the filters that the server has denied.
[[nodiscard]] std::vector<Quarantined> quarantine_of(const flow::Suspicion& suspicion,
                                                     const flow::Subscriptions& subscriptions,
                                                     MqttVersion version, BootTime now);

}  // namespace holdfast::device
