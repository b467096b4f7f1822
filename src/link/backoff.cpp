// See backoff.h.
#include "link/backoff.h"

#include <algorithm>
#include <cstdint>

#include "base/check.h"

namespace holdfast::link {

Backoff::Backoff(Duration first, Duration cap)
    : first_(std::min(first, cap)), cap_(cap), range_(first_) {
  HF_CHECK(first_ > Duration::zero());
}

void Backoff::reconfigure(Duration first, Duration cap) {
  first_ = std::min(first, cap);
  cap_ = cap;
  HF_CHECK(first_ > Duration::zero());
  range_ = std::clamp(range_, first_, cap_);
}

void Backoff::raise_to(Duration range) { range_ = std::max(range_, std::min(range, cap_)); }

Duration Backoff::next(env::Random& random) {
  const auto bound = static_cast<std::uint64_t>(range_.count()) + 1;
  const Duration delay(static_cast<Duration::rep>(random.below(bound)));
  HF_CHECK(delay <= range_);
  // Comparing with half of the cap keeps the doubling from overflowing.
  range_ = range_ > cap_ / 2 ? cap_ : range_ * 2;
  return delay;
}

}  // namespace holdfast::link
