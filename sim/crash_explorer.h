// Crashes a workload at every operation of its disk, and each recovery at every one of its own.
//
// Method:  before each operation that changes something, and in the middle of each write, images of
//          the disk are taken: every subset of the unsynced sectors and names when there are few,
//          else the telling ones (none, all, all but one, only one, the first few) and samples.
//          On each image a twin of the rig opens the outbox and judges it. The workload itself goes
//          on undisturbed, so one run of it tries thousands of crashes.
// Threads: one thread at a time.
// Errors:  the first violation of each workload is kept, with the number of its image.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/outbox_workloads.h"

namespace holdfast::sim {

/// How a simulated crash came about.
enum class CrashKind : std::uint8_t {
  cut,         ///< Power gone between two operations.
  torn,        ///< Power gone in the middle of a write.
  kill,        ///< Process gone; the page cache stays.
  again,       ///< Power gone (or a kill) while a recovery was under way.
  afterwards,  ///< A further one after a recovery that had begun to work again.
};
inline constexpr std::size_t kCrashKinds = 5;
[[nodiscard]] std::string_view to_string(CrashKind kind);

struct CrashTotals {
  std::uint64_t runs = 0;
  std::uint64_t operations = 0;
  std::array<std::uint64_t, kCrashKinds> crashes{};
  std::uint64_t failed = 0;
  std::string first;  ///< What was wrong first, and the command that repeats it.

  [[nodiscard]] std::uint64_t all() const;
  void add(const CrashTotals& other);
};

struct CrashBudget {
  std::uint64_t images = 16;      ///< Of one operation, beside the kills.
  std::size_t again = 2;          ///< Of one operation of a recovery.
  std::uint64_t again_every = 1;  ///< Every so many recoveries are crashed in turn.
  std::uint64_t on_every = 8;     ///< Every so many images the twin works on and crashes again.
  bool spoil = false;             ///< Cuts spoil pages, and each commit ends its page.
  std::uint64_t only = 0;         ///< Try this image only; 0: all.
};

/// Runs the workload once and crashes it everywhere.
[[nodiscard]] CrashTotals explore(const Workload& workload, std::uint64_t seed,
                                  const CrashBudget& budget);

}  // namespace holdfast::sim
