// MQTT packets in short, for the trace: what a judge needs, never a password.
#pragma once

#include <string_view>

#include "lab/mqtt/packet.h"
#include "lab/net/trace.h"

namespace holdfast::lab::net {

/// The members that docs/relay-trace.md lists under "packet". Payloads are shown up to
/// kShownPayload bytes, as text where they are printable, else in hexadecimal.
[[nodiscard]] Json describe(const mqtt::Packet& packet);
/// The same for a frame; one that is malformed has "malformed" and "bytes" only.
[[nodiscard]] Json describe(mqtt::Version version, std::string_view frame);

inline constexpr std::size_t kShownPayload = 64;

}  // namespace holdfast::lab::net
