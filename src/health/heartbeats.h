// Signs of life of the programs on this machine: who is due, who is missed, who holds the watchdog.
//
// Purpose:  a program that has stopped without a word is noticed within the time that it named.
// Method:   a name belongs to nobody: whoever beats, beats; so a program may connect anew each
// time.
//           A look that comes late means that we stood still, not they: they get their time anew.
// Threads:  one at a time. The caller brings the time and looks when it is due.
// Bounds:   limits::kHeartbeats names.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "holdfast/config.h"
#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::health {

/// A configured heartbeat has so long to begin after our start, if not longer by itself.
inline constexpr Duration kFirstBeat = std::chrono::minutes(1);
/// A look that is later than this gives who is due its time anew.
inline constexpr Duration kLookLate = std::chrono::milliseconds(500);

/// 1 to limits::kHeartbeatNameMax letters, digits and `. _ : @ -`.
[[nodiscard]] bool is_heartbeat_name(std::string_view name);

class Heartbeats {
 public:
  using Rules = std::map<std::string, HeartbeatRules, std::less<>>;

  /// Those in `rules` are waited for from now on. They stay, whatever their programs do.
  Heartbeats(const Rules& rules, BootTime now);

  /// A sign of life; what was missed until now is given back as it was.
  /// Errors and `every` as for Device::heartbeat().
  [[nodiscard]] Result<std::optional<HeartbeatState>> beat(std::string_view name,
                                                           Milliseconds every, BootTime now);

  /// Errors: not_found.
  Status end(std::string_view name, BootTime now);

  /// Those that are missed since now.
  [[nodiscard]] std::vector<HeartbeatState> look(BootTime now);

  /// Until then look() has nothing to do. beat() and end() may bring it forward.
  [[nodiscard]] BootTime next_look() const noexcept { return next_look_; }

  [[nodiscard]] std::vector<HeartbeatState> states(BootTime now) const;

  /// Whether one that is missed holds the watchdog back. One that has not beaten in this run does
  /// not: a restart of ours has not mended it, and another one would not either.
  [[nodiscard]] bool hold_watchdog() const;

 private:
  struct One {
    HeartbeatPhase phase = HeartbeatPhase::awaited;
    Duration every{};
    BootTime since{};  // the last beat, or since it is waited for
    std::uint64_t misses = 0;
    bool configured = false;
    bool watchdog = false;
    bool has_beaten = false;
  };
  [[nodiscard]] static BootTime due(const One& one);
  [[nodiscard]] static HeartbeatState state_of(const std::string& name, const One& one,
                                               BootTime now);
  void plan();

  std::map<std::string, One, std::less<>> all_;
  BootTime next_look_ = kNever;
};

}  // namespace holdfast::health
