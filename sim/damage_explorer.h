// Damages one segment of a store in every way there is, one at a time, and judges what is left.
//
// Method:  a case builds a store; its target is one of its segments. Each damage is done to a copy
//          of the disk: every bit flipped, every length cut to, every sector zeroed, written over
//          its neighbour, swapped with another. Then the store opens and gives back what it has.
// Promise: it opens; nothing it sends differs from what was accepted; nothing is missing that the
//          damage did not touch, of one bit at most one message; what is missing is counted, but
//          for messages behind which nothing readable tells of them: that looks like a cut
//          (docs/outbox-format.md, Guarantees); and it works on.
// Threads: one thread at a time; an explorer each.
// Errors:  the first violation is kept, with the number of its damage.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/outbox_rig.h"

namespace holdfast::sim {

enum class DamageKind : std::uint8_t {
  flip,       ///< One bit.
  truncate,   ///< The file ends early.
  zero,       ///< A sector of zeros.
  duplicate,  ///< A sector has its neighbour's content, too.
  swap,       ///< Two sectors have changed places.
};
inline constexpr std::size_t kDamageKinds = 5;
[[nodiscard]] std::string_view to_string(DamageKind kind);

struct DamageTotals {
  std::uint64_t tried = 0;
  std::uint64_t missing = 0;  ///< Messages.
  std::uint64_t corrupt = 0;  ///< Counted as accepted and given up.
  std::uint64_t torn = 0;     ///< Of the last commit, without a word of closing: as a torn write.
  std::uint64_t tail = 0;     ///< Nothing readable behind them tells of them: not counted.
  std::uint64_t back = 0;     ///< Settled, and sent again.
  std::uint64_t failed = 0;
  std::string first;  ///< What was wrong first, and the command that repeats it.

  void add(const DamageTotals& other);
};
using DamageTable = std::array<DamageTotals, kDamageKinds>;

struct DamageBudget {
  std::uint64_t every = 1;  ///< Of flips and lengths, and of swaps a part; all other sectors.
  std::uint64_t only = 0;   ///< Try the damage of this number only; 0: all.
  std::uint64_t part = 0;   ///< Try the damages of which the number modulo `parts` is this.
  std::uint64_t parts = 1;
};

struct DamageCase {
  enum class Target : std::uint8_t { newest, oldest, carried };

  std::string_view name;
  std::string_view what;
  unsigned segments;
  Target target;
  bool closed;  ///< In order: then every acceptance is proven, nothing counts as torn.
  void (*build)(OutboxRig& rig);
};
[[nodiscard]] const std::vector<DamageCase>& damage_cases();

[[nodiscard]] DamageTable explore_damage(const DamageCase& chosen, std::uint64_t seed,
                                         const DamageBudget& budget);

}  // namespace holdfast::sim
