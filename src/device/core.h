// The core: link, flow and the accounts in one machine without threads, clock or I/O.
//
// Purpose:  the only place where the rooms meet. step(now, event) returns what is to be done;
//           next_wake() says when to come back with a Tick at the latest.
// Threads:  one thread (the loop thread, or the simulation's).
// Proof:    every step asserts the invariants of DESIGN section 6 that it can see.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "device/events.h"
#include "env/random.h"
#include "holdfast/config.h"

namespace holdfast::device {

/// What the core must know of the outbox as it was opened.
struct Opening {
  /// Numbers the openings: messages in RAM get ids that no earlier run has given. 0 if not known.
  std::uint32_t epoch = 0;
  MessageId last_id = 0;      ///< All that waits has this id or a lower one.
  std::string endpoint = {};  ///< The one of the last RememberEndpoint; empty: the first.
};

class Core {
 public:
  /// `config` has been checked. `random` must outlive the core.
  Core(Config config, env::Random& random, Opening opening = {});
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  /// Begins: the first attempt is made at once. Call it once, before any step().
  [[nodiscard]] Actions start(BootTime now);

  [[nodiscard]] Actions step(BootTime now, Event event);

  /// The latest time for the next Tick; kNever when only an event can change anything.
  [[nodiscard]] BootTime next_wake() const;

  /// ConnectionState::retry_in is relative to `now`.
  [[nodiscard]] DeviceState state(BootTime now) const;

  /// FilterState::next_in is relative to `now`.
  [[nodiscard]] std::vector<FilterState> filters(BootTime now) const;
  /// Grows when filters() has changed by more than time.
  [[nodiscard]] std::uint64_t filters_version() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::device
