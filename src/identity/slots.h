// Who the device is: what is known of its credential slots, as the decisions need it.
//
// Purpose:  one picture of the three slots, made by whoever can read certificates, and judged here.
// Threads:  plain values.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

#include "base/time.h"
#include "holdfast/types.h"

namespace holdfast::identity {

/// One slot, and which content it has: equal files have equal ids, another file has another one.
/// Empty when there is no file, or it could not be read.
struct View {
  SlotState state;
  std::string id;

  [[nodiscard]] bool usable() const { return state.condition == SlotCondition::complete; }
};

struct Slots {
  std::array<View, kIdentitySlots> views;

  [[nodiscard]] View& operator[](IdentitySlot slot) {
    return views[static_cast<std::size_t>(slot)];
  }
  [[nodiscard]] const View& operator[](IdentitySlot slot) const {
    return views[static_cast<std::size_t>(slot)];
  }
};

/// The time as far as it is known: the clock's, but never before what is certainly over.
struct KnownTime {
  WallTime clock;
  WallTime floor;  ///< Certainly over: when this was built, when a certificate in use began.

  [[nodiscard]] bool suspect() const { return clock < floor; }
  [[nodiscard]] WallTime best() const { return std::max(clock, floor); }
};

}  // namespace holdfast::identity
