// Reason codes to verdicts: what a broker's refusal or farewell means for us.
//
// Sources:  MQTT 5.0 sections 3.2.2.2 (CONNACK) and 3.14.2.1 (DISCONNECT); MQTT 3.1.1 table 3.1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "env/engine.h"

namespace holdfast::engines {

/// A CONNACK that refuses; `code` is not 0. `reason` is the broker's reason string, or empty.
[[nodiscard]] env::Failure connack_failure(MqttVersion version, std::uint8_t code,
                                           std::string_view reason);

/// A DISCONNECT from the server.
[[nodiscard]] env::Failure disconnect_failure(std::uint8_t code, std::string_view reason);

/// Words of a peer, made fit for a log: one line of valid UTF-8, bounded.
[[nodiscard]] std::string tidy(std::string_view words);

}  // namespace holdfast::engines
