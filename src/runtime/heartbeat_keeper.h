// The heartbeats of a device: beats from any thread, misses found by a timer, each change told.
//
// Threads:  made, and started, before the loop runs; destroyed once it has ended. The rest from any
//           thread. `changed` is called on the loop's.
// Wake-ups: one when the next beat is due; none while nobody beats.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "env/clock.h"
#include "health/heartbeats.h"
#include "holdfast/log.h"
#include "posix/event_loop.h"

namespace holdfast::runtime {

class HeartbeatKeeper {
 public:
  /// A heartbeat that is missed, or goes on again.
  using Changed = std::function<void(const HeartbeatState&)>;

  HeartbeatKeeper(posix::EventLoop& loop, std::shared_ptr<const env::Clock> clock,
                  const health::Heartbeats::Rules& rules, LogHandler log, Changed changed);

  // As Device's.
  Status beat(std::string_view name, Milliseconds every);
  Status end(std::string_view name);
  [[nodiscard]] std::vector<HeartbeatState> states() const;
  [[nodiscard]] std::uint64_t misses() const;
  /// Progress::applications.
  [[nodiscard]] std::uint64_t prove();

 private:
  void look();
  void arm();
  void tell(const HeartbeatState& now, Milliseconds silent);

  posix::EventLoop& loop_;
  std::shared_ptr<const env::Clock> clock_;
  LogHandler log_;
  Changed changed_;
  posix::Timer timer_;  // loop thread

  mutable std::mutex mutex_;
  health::Heartbeats beats_;
  BootTime armed_ = kNever;
  std::uint64_t misses_ = 0;
  std::uint64_t proofs_ = 0;
};

}  // namespace holdfast::runtime
