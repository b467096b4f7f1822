#include "runtime/hold_up.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/limits.h"
#include "health/hold_up.h"
#include "posix/machine.h"

namespace holdfast::runtime {

namespace {

constexpr unsigned kSyncs = 8;
constexpr std::size_t kBulk = limits::kMiB;

}  // namespace

Status check_hold_up(const Config& config, const LogHandler& log) {
  const Milliseconds wanted = config.power.hold_up;
  if (wanted <= Milliseconds(0)) return {};
  const auto syncs = posix::time_synced_writes(config.outbox.directory, kSyncs);
  if (!syncs) return Error(syncs.error()).with("power.hold_up: the disk cannot be measured");
  const auto bulk = posix::time_synced_bulk(config.outbox.directory, kBulk);
  if (!bulk) return Error(bulk.error()).with("power.hold_up: the disk cannot be measured");
  const health::DiskPace pace{static_cast<double>(kBulk) * 1000 / std::max(*bulk, 0.001),
                              *std::max_element(syncs->begin(), syncs->end())};
  const std::size_t memory = config.limits.memory;
  std::string problem = health::hold_up_problem(memory, pace, wanted);
  if (!problem.empty()) return Error{Errc::invalid_config, std::move(problem)};
  log({LogLevel::info, LogArea::health,
       "power.hold_up of " + std::to_string(wanted.count()) +
           " ms can be kept: all that may wait "
           "in RAM is on disk within " +
           std::to_string(health::hold_up_of(memory, pace, wanted).needed.count()) +
           " ms, as this disk is now"});
  return {};
}

}  // namespace holdfast::runtime
