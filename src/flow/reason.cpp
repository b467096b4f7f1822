// See reason.h.
#include "flow/reason.h"

namespace holdfast::flow {

AckMeaning meaning_of(std::uint8_t puback_code) noexcept {
  if (puback_code < 0x80) return AckMeaning::delivered;
  switch (puback_code) {
    case 0x80:  // unspecified error
    case 0x83:  // implementation specific error
    case 0x91:  // packet identifier in use
    case 0x97:  // quota exceeded
      return AckMeaning::retry;
    case 0x87:  // not authorized
      return AckMeaning::denied;
    default:  // 0x90 topic invalid, 0x99 payload invalid, 0x9B QoS, unknown
      return AckMeaning::refused;
  }
}

}  // namespace holdfast::flow
