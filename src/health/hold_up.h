// Whether what may wait in RAM can be on disk before a capacitor is empty.
//
// Purpose:  a hold-up time that the disk cannot keep is found out at the start, and not when the
//           power goes.
// Method:   the most bytes that the limits let wait in RAM, at the rate that the disk has just
//           shown, and the time of its slowest sync for each group; all of it with a margin.
// Threads:  pure functions of plain values.
#pragma once

#include <cstddef>
#include <string>

#include "base/time.h"
#include "holdfast/types.h"

namespace holdfast::health {

/// Flash has slow moments that a few writes at the start do not show.
inline constexpr int kHoldUpMargin = 2;
/// Groups that wait for the disk when the word comes: the one that is being written, what it has
/// let wait, and what comes from RAM with the last notice.
inline constexpr int kHoldUpSyncs = 3;

struct DiskPace {
  double bytes_per_second = 0;  ///< Of writing and syncing much at once.
  double slowest_sync_ms = 0;   ///< Of a small group.
};

struct HoldUp {
  Milliseconds needed{0};  ///< Margin included.
  std::size_t bytes = 0;   ///< That may wait in RAM.
  std::size_t memory = 0;  ///< The largest limits.memory that would do; 0: none does.
};

/// `memory`: Config::Limits::memory.
[[nodiscard]] HoldUp hold_up_of(std::size_t memory, const DiskPace& pace, Milliseconds wanted);

/// Empty: it can be kept. Else what is wrong and what to change.
[[nodiscard]] std::string hold_up_problem(std::size_t memory, const DiskPace& pace,
                                          Milliseconds wanted);

}  // namespace holdfast::health
