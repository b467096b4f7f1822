// What is done to a modem, and at last to the machine, when the network is gone and stays so.
//
// Purpose:  a device that cannot be visited tries what a visitor would: let the modem connect anew,
//           reset it, restart the machine. Each of these is wanted by the configuration, has a
//           budget that outlives restarts, and is never done because the cloud is away.
// Method:   after `after` without a connection, and failures that say that nothing comes back, the
//           reference hosts are asked. Only if none of them can be reached either is the next step
//           taken; then, after another `after`, the same again. Behind the last step it begins
//           anew.
// Rule:     a step with a budget is written down before it is taken. What was taken counts for a
//           day: by the wall clock if that can be believed, else by the time since boot, so that a
//           machine without a clock does not restart for ever.
// Threads:  one thread. Time comes in from outside.
// Errors:   none.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "holdfast/config.h"
#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::health {

enum class Rung : std::uint8_t {
  reconnect,  ///< NetworkManager or the modem is asked for nothing; we attempt at once.
  bearer,     ///< The modem's bearers are ended, so that new ones are made.
  modem,      ///< The modem is reset.
  reboot,     ///< The machine is restarted.
};
inline constexpr std::size_t kRungs = 4;
[[nodiscard]] std::string_view to_string(Rung rung) noexcept;
/// Nothing: no rung has this name.
[[nodiscard]] std::optional<Rung> rung_of(std::string_view name) noexcept;

inline constexpr Duration kBudgetTime = std::chrono::hours(24);

/// A step that counts, as it is kept.
struct Taken {
  Rung rung = Rung::modem;
  WallTime wall{};
  std::string boot;  ///< The boot's id …
  Duration up{};     ///< … and the time since it.

  friend bool operator==(const Taken&, const Taken&) = default;
};

/// "holdfast-escalation 1", then a line for each: rung, wall clock in ms, boot id, uptime in ms.
[[nodiscard]] std::string escalation_text(const std::vector<Taken>& taken);
/// Errors: corrupt, with what is wrong.
[[nodiscard]] Result<std::vector<Taken>> parse_escalation(std::string_view text);

/// When this is.
struct Moment {
  BootTime now{};
  WallTime wall{};
  bool wall_right = false;  ///< The kernel says that a time service keeps the clock right.
  std::string boot;
};

class Escalation {
 public:
  Escalation(const Config::Escalation& rules, std::vector<Taken> taken);
  /// What was taken stays; the ladder begins anew.
  void reconfigure(const Config::Escalation& rules);

  struct Decision {
    bool ask = false;          ///< Ask the reference hosts; answered() is to follow.
    std::optional<Rung> take;  ///< With a budget: after remember() has been called and kept.
  };
  /// Decides. Call it at each change of the connection and at next_wake().
  [[nodiscard]] Decision service(const Moment& moment, const ConnectionState& connection);
  /// One of the reference hosts was reached, or none.
  void answered(BootTime now, bool reached);
  /// The step counts from now on; all that counts, to be kept.
  [[nodiscard]] const std::vector<Taken>& remember(const Moment& moment, Rung rung);
  [[nodiscard]] static bool has_budget(Rung rung) {
    return rung == Rung::modem || rung == Rung::reboot;
  }

  [[nodiscard]] BootTime next_wake() const;
  /// How often each step was taken, in this run.
  [[nodiscard]] const std::array<std::uint64_t, kRungs>& counts() const { return counts_; }

 private:
  enum class State : std::uint8_t {
    /// Waits for: the connection's end. Interrupted by nothing. Next: waiting.
    resting,
    /// Not connected, and nothing comes back. Waits for: due_. Interrupted by: a connection, or an
    /// answer of the broker (resting). Next: asking.
    waiting,
    /// Waits for: answered(), which is bounded by whoever asks. Interrupted by: a connection.
    /// Next: waiting (a host was reached: another `after`), taking.
    asking,
    /// No host was reached. Waits for: nothing. Next: waiting, for another `after`.
    taking,
  };

  [[nodiscard]] std::optional<Rung> next_rung(const Moment& moment);
  [[nodiscard]] bool affordable(const Moment& moment, Rung rung) const;

  Config::Escalation rules_;
  std::vector<Rung> ladder_;
  std::vector<Taken> taken_;
  State state_ = State::resting;
  BootTime due_ = kNever;
  std::size_t place_ = 0;  ///< On the ladder.
  std::array<std::uint64_t, kRungs> counts_{};
};

}  // namespace holdfast::health
