// Two kinds of time that cannot be mixed up.
//
// BootTime runs from an arbitrary start, never steps, and counts suspend: all timers use it.
// WallTime is what a calendar shows; it may step by decades: stamps and certificates only.
#pragma once

#include <chrono>
#include <cstdint>

namespace holdfast {

using Duration = std::chrono::nanoseconds;

struct BootClockTag {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  static constexpr bool is_steady = true;
};

/// Time since boot, suspend included (CLOCK_BOOTTIME).
using BootTime = std::chrono::time_point<BootClockTag, Duration>;

/// Milliseconds since 1970-01-01 UTC (CLOCK_REALTIME).
struct WallTime {
  std::int64_t ms = 0;
  friend auto operator<=>(const WallTime&, const WallTime&) = default;
};

inline constexpr BootTime kNever = BootTime::max();

}  // namespace holdfast
