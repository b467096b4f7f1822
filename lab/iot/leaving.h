// How connections end and are refused, with the words and codes of the service (Developer Guide,
// "Lifecycle events" and "MQTT 5 reason codes").
#pragma once

#include <cstdint>

#include "lab/iot/lifecycle.h"

namespace holdfast::lab::iot {

/// The reason code of the DISCONNECT that an MQTT 5 client gets.
[[nodiscard]] std::uint8_t reason_code(DisconnectReason why) noexcept;

/// Why a CONNECT is refused.
enum class Refusal : std::uint8_t {
  malformed,
  protocol_error,
  client_id,
  not_authenticated,
  not_authorized,
  will_topic,
  will_qos,
  auth_method,
  throttled,
};

/// The reason code of an MQTT 5 CONNACK.
[[nodiscard]] std::uint8_t connack_code(Refusal refusal) noexcept;
/// The return code of a 3.1.1 CONNACK; 0: the connection is closed without one.
/// `denied`: the switch for what is not authorized.
[[nodiscard]] std::uint8_t return_code(Refusal refusal, std::uint8_t denied) noexcept;

/// Reason codes that several rules give (MQTT 5.0 section 2.4).
namespace reason {
inline constexpr std::uint8_t kSuccess = 0x00;
inline constexpr std::uint8_t kWithWill = 0x04;
inline constexpr std::uint8_t kUnspecified = 0x80;
inline constexpr std::uint8_t kMalformed = 0x81;
inline constexpr std::uint8_t kProtocolError = 0x82;
inline constexpr std::uint8_t kNotAuthorized = 0x87;
inline constexpr std::uint8_t kFilterInvalid = 0x8F;
inline constexpr std::uint8_t kTopicInvalid = 0x90;
inline constexpr std::uint8_t kReceiveMaximum = 0x93;
inline constexpr std::uint8_t kTopicAlias = 0x94;
inline constexpr std::uint8_t kTooLarge = 0x95;
inline constexpr std::uint8_t kQuota = 0x97;
inline constexpr std::uint8_t kQos = 0x9B;
inline constexpr std::uint8_t kNoSubscriptionIds = 0xA1;
}  // namespace reason

}  // namespace holdfast::lab::iot
