// How long poll(2) may wait until a moment.
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>

#include "base/time.h"

namespace holdfast::posix {

/// In poll(2)'s milliseconds, rounded up; 0 when `due` has passed, -1 (for ever) for kNever.
[[nodiscard]] inline int poll_wait(BootTime due, BootTime now) {
  if (due == kNever) return -1;
  if (due <= now) return 0;  // a difference to BootTime::min() would not fit
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - now).count();
  return static_cast<int>(
      std::min<std::chrono::milliseconds::rep>(left, std::numeric_limits<int>::max()));
}

}  // namespace holdfast::posix
