// Randomness, passed in so that a simulation can repeat it.
#pragma once

#include <cstdint>

namespace holdfast::env {

class Random {
 public:
  virtual ~Random() = default;
  /// 64 uniformly distributed bits.
  virtual std::uint64_t next() = 0;

  /// Uniform in [0, bound); 0 for bound 0. The bias of the modulo is below 2^-32 for the small
  /// bounds used here.
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
};

}  // namespace holdfast::env
