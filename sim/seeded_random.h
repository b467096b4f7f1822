// Randomness that a seed repeats: for simulation and for tests on virtual time.
#pragma once

#include <cstdint>

#include "env/random.h"

namespace holdfast::sim {

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, and good enough to choose faults and to
/// judge a distribution.
class SeededRandom final : public env::Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

}  // namespace holdfast::sim
