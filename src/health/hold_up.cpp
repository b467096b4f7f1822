#include "health/hold_up.h"

#include <algorithm>
#include <cmath>

namespace holdfast::health {

namespace {

/// In RAM at most: durable messages on their way to the disk (limits.memory), others on their way
/// in (as much again, until the loop has taken them), and those that wait there (half of it).
constexpr double kShares = 2.5;
constexpr std::size_t kKiB = 1024;
constexpr std::size_t kMemoryLeast = 64 * kKiB;  // of limits.memory

}  // namespace

HoldUp hold_up_of(std::size_t memory, const DiskPace& pace, Milliseconds wanted) {
  HoldUp result;
  result.bytes = static_cast<std::size_t>(static_cast<double>(memory) * kShares);
  const double rate = std::max(pace.bytes_per_second, 1.0);
  const double syncs = kHoldUpSyncs * std::max(pace.slowest_sync_ms, 0.0);
  const double needed = syncs + static_cast<double>(result.bytes) / rate * 1000;
  result.needed = Milliseconds(static_cast<Milliseconds::rep>(std::ceil(needed * kHoldUpMargin)));
  const double left = static_cast<double>(wanted.count()) / kHoldUpMargin - syncs;
  if (left <= 0) return result;
  const auto most = static_cast<std::size_t>(left / 1000 * rate / kShares) / kKiB * kKiB;
  result.memory = most >= kMemoryLeast ? most : 0;
  return result;
}

std::string hold_up_problem(std::size_t memory, const DiskPace& pace, Milliseconds wanted) {
  const HoldUp found = hold_up_of(memory, pace, wanted);
  if (wanted <= Milliseconds(0) || found.needed <= wanted) return {};
  std::string text = "power.hold_up: " + std::to_string(wanted.count()) +
                     " ms are too short: " + std::to_string(found.bytes / kKiB) +
                     " KiB may wait in RAM (limits.memory), and this disk takes " +
                     std::to_string(found.needed.count()) + " ms for them, with a margin (" +
                     std::to_string(static_cast<std::size_t>(pace.bytes_per_second) / kKiB) +
                     " KiB/s, slowest sync " +
                     std::to_string(static_cast<long>(std::ceil(pace.slowest_sync_ms))) + " ms); ";
  text += found.memory > 0 ? "set limits.memory to " + std::to_string(found.memory / kKiB) +
                                 "KiB or less, or take a larger capacitor"
                           : "no limits.memory is small enough: it takes a larger capacitor or a "
                             "faster disk";
  return text;
}

}  // namespace holdfast::health
