// What a PUBACK's reason code means for the message.
//
// Source:   MQTT 5.0 section 3.4.2.1; AWS IoT Core's documented PUBACK codes.
#pragma once

#include <cstdint>

namespace holdfast::flow {

enum class AckMeaning : std::uint8_t {
  delivered,  ///< The broker has it (0x10: and nobody was listening).
  retry,      ///< Not now: a quota, or a trouble of the broker's own. It stays ours.
  denied,     ///< Not by this policy, which may change.
  refused,    ///< Never: repeating this message as it is cannot help.
};

[[nodiscard]] AckMeaning meaning_of(std::uint8_t puback_code) noexcept;

}  // namespace holdfast::flow
