// Whether a rule is about a packet; counting is not done here.
#pragma once

#include <string_view>

#include "lab/fault/rule.h"
#include "lab/mqtt/packet.h"
#include "lab/mqtt/stage.h"

namespace holdfast::lab::fault {

/// A packet as rules see it.
struct Seen {
  mqtt::Side from = mqtt::Side::device;
  mqtt::Type type{};
  const mqtt::Packet* packet = nullptr;  ///< nullptr: it cannot be read.
  std::string_view topic;                ///< Of a PUBLISH, its topic alias resolved.
  std::string_view client_id;
};

[[nodiscard]] bool matches(const Match& match, const Seen& seen);

/// '*' any characters, '?' one.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view text) noexcept;
/// MQTT's topic filters (section 4.7), with one difference: '#' and '+' at the start are about
/// topics with '$', too, since rules look at all that passes.
[[nodiscard]] bool filter_matches(std::string_view filter, std::string_view topic) noexcept;

}  // namespace holdfast::lab::fault
