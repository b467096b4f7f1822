// Two ways to be limited: what is over the rate is refused, or what is over the rate comes later.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace holdfast::lab::iot {

/// So many a second, and a second's worth at once. What is more is refused.
class Bucket {
 public:
  /// `per_second` 0: no limit. May differ from call to call.
  bool take(BootTime now, std::int64_t per_second) {
    if (per_second <= 0) return true;
    const Duration whole = std::chrono::seconds(1);
    const Duration each = whole / per_second;
    const BootTime paid = std::max(paid_until_, now);
    if (paid - now > whole - each) return false;
    paid_until_ = paid + each;
    return true;
  }

 private:
  BootTime paid_until_{};
};

/// A line that carries so many bytes a second; a second's worth passes at once.
class Line {
 public:
  /// When `bytes` that come now have passed.
  BootTime passes(BootTime now, std::size_t bytes, std::int64_t per_second) {
    if (per_second <= 0) return now;
    const Duration whole = std::chrono::seconds(1);
    const Duration takes(static_cast<Duration::rep>(bytes) * whole.count() / per_second);
    busy_until_ = std::max(busy_until_, now - whole) + takes;
    return std::max(now, busy_until_);
  }

 private:
  BootTime busy_until_{};
};

}  // namespace holdfast::lab::iot
