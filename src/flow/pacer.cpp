// See pacer.h.
#include "flow/pacer.h"

#include <algorithm>

namespace holdfast::flow {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

/// More units in one go would overflow the arithmetic; no message comes near.
constexpr std::uint64_t kUnitsMax = std::uint64_t{1} << 32;

}  // namespace

BootTime Pacer::ready_at() const {
  if (per_second_ == 0 || next_ == BootTime::min()) return BootTime::min();
  // One unit's own time counts as part of the burst, so that exactly rate/10 units fit in it.
  const Duration unit(static_cast<Duration::rep>(kSecond / per_second_));
  return next_ - std::max(Duration::zero(), kBurst - unit);
}

void Pacer::sent(BootTime now, std::uint64_t units) {
  if (per_second_ == 0) return;
  const std::uint64_t cost = std::min(units, kUnitsMax) * kSecond / per_second_;
  next_ = std::max(next_, now) + Duration(static_cast<Duration::rep>(cost));
}

}  // namespace holdfast::flow
