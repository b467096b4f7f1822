// Lets a workload's disk fail at each of its calls, once or until it is healed.
//
// Method:  a workload makes the same calls each time. For each kind of fault and each call n it
//          runs once, with the fault from call n on. Then the disk is healed: the store must
//          recover by itself, accept again, and hold all it promised, also after a power cut.
//          While nothing can be written it must say so and promise nothing.
// Threads: one thread at a time.
// Errors:  the first violation is kept, with its kind and call.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/outbox_workloads.h"

namespace holdfast::sim {

enum class FaultKind : std::uint8_t {
  once,        ///< One call fails: EIO.
  no_space,    ///< One call that makes or writes fails: ENOSPC.
  burst,       ///< Eight calls in a row: EIO.
  full,        ///< Nothing can be made or written until healed: ENOSPC.
  read_only,   ///< Nothing can be changed until healed: EROFS.
  unwritable,  ///< Nothing can be changed until healed: EIO.
  unreadable,  ///< Nothing can be read until healed: EIO. Writing works.
  dead,        ///< No call works until healed: EIO.
};
inline constexpr std::size_t kFaultKinds = 8;
[[nodiscard]] std::string_view to_string(FaultKind kind);

struct FaultTotals {
  std::uint64_t runs = 0;
  std::uint64_t struck = 0;    ///< Runs in which at least one call failed.
  std::uint64_t refused = 0;   ///< Runs that ended with a store that had not opened.
  std::uint64_t degraded = 0;  ///< Runs at the end of which the store reported trouble.
  std::uint64_t promised = 0;  ///< Messages, all of them still there.
  std::uint64_t failed = 0;
  std::string first;  ///< What was wrong first, and the command that repeats it.

  void add(const FaultTotals& other);
};

struct FaultBudget {
  std::uint64_t every = 1;  ///< Only each so many calls.
  std::uint64_t only = 0;   ///< Only at this call; 0: all.
};

[[nodiscard]] FaultTotals explore_faults(const Workload& workload, std::uint64_t seed,
                                         FaultKind kind, const FaultBudget& budget);

}  // namespace holdfast::sim
