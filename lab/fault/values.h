// Durations and sizes as people write them: "250ms", "2min", "16KiB".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "holdfast/result.h"

namespace holdfast::lab::fault {

/// A whole number and a unit: ns, us, ms, s, min, h or d. At most kDurationMax.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);
/// In the largest unit that has no rest; parse_duration() reads it as the same.
[[nodiscard]] std::string duration_text(Duration duration);

/// A whole number and a unit: B, KiB, MiB or GiB.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] std::string size_text(std::uint64_t bytes);

inline constexpr Duration kDurationMax = std::chrono::hours(24 * 366);

}  // namespace holdfast::lab::fault
