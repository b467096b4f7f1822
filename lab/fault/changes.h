// What rules make of packets: altered ones, and answers of the relay's own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lab/fault/rule.h"
#include "lab/mqtt/packet.h"

namespace holdfast::lab::fault {

/// A PUBLISH that gets its first QoS above 0 here has packet id 0 afterwards, unless `change` names
/// one: the caller finds one that is free.
void alter(mqtt::Packet& packet, const Alter& change);

/// nullopt: nothing answers such a packet, or it has no packet id that the answer could name.
[[nodiscard]] std::optional<mqtt::Packet> answer_to(const mqtt::Packet& packet,
                                                    const Answer& answer);

/// 0: it has none.
[[nodiscard]] std::uint16_t packet_id_of(const mqtt::Packet& packet) noexcept;

}  // namespace holdfast::lab::fault
