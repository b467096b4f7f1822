// Whether a program that is watched goes on, when it is started again, and when it is given up.
//
// Purpose:  the decisions of `holdfast watch`, apart from processes, pipes and clocks.
// Method:   a state machine: the caller carries out what step() says and tells what has happened.
// Threads:  one at a time. The caller brings the time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "base/time.h"

namespace holdfast::health {

/// What shows that a program goes on.
enum class LifeSign : std::uint8_t { output, heartbeat, port };
inline constexpr std::size_t kLifeSigns = 3;

struct ProgramRules {
  /// By LifeSign: longest time without one; zero: it is not looked for.
  std::array<Duration, kLifeSigns> within{};
  Duration first_sign = std::chrono::seconds(10);    ///< The first may take so long, if not longer.
  Duration stop_grace = std::chrono::seconds(10);    ///< From the wish to end to the kill.
  Duration backoff_first = std::chrono::seconds(1);  ///< Doubles with each end …
  Duration backoff_cap = std::chrono::seconds(60);   ///< … up to here, …
  Duration stable_after = std::chrono::seconds(60);  ///< … and begins anew after such a run.
  std::uint32_t restarts = 0;                        ///< So many within `window`; 0: any number.
  Duration window = std::chrono::minutes(10);
  bool ends_with_zero = false;  ///< An end with exit code 0 is no reason for a start.
};

class ProgramWatch {
 public:
  explicit ProgramWatch(const ProgramRules& rules);

  enum class Deed : std::uint8_t {
    nothing,
    start,      ///< Start it, and tell started() or not_started().
    terminate,  ///< Ask it to end.
    kill,       ///< End it.
    finish,     ///< Nothing more is to be done; exit_code() says how it was.
  };
  struct Step {
    Deed deed = Deed::nothing;
    std::string words;  ///< For people, why; empty: nothing to say.
  };
  [[nodiscard]] Step step(BootTime now);
  /// Until then step() has nothing to do, unless something is told.
  [[nodiscard]] BootTime next_step() const;

  void started(BootTime now);
  /// `code` is what a shell would say: 127 for a program that is not there. At the first start this
  /// is a mistake of who has typed it; later it may be an update under way.
  void not_started(BootTime now, int code);
  void sign(LifeSign sign, BootTime now);
  /// It has ended with `code`, or 128 and the signal that ended it.
  void ended(BootTime now, int code);
  /// It is not wanted any more; the second time: at once.
  void stop(BootTime now);

  /// Runs, and is not on its way out.
  [[nodiscard]] bool healthy() const { return state_ == State::running; }
  [[nodiscard]] int exit_code() const { return code_; }

 private:
  enum class State : std::uint8_t {
    waiting,  ///< For start_at_; then running. A stop finishes it.
    running,  ///< For its end, a stop, or a silence; the latter two lead to ending.
    ending,   ///< Asked to end, it may take until kill_at_. Its end leads to waiting, or finishes.
    over,     ///< For nothing.
  };
  [[nodiscard]] BootTime silent_at(std::size_t sign) const;
  void ask_to_end(BootTime now);

  ProgramRules rules_;
  State state_ = State::waiting;
  bool begun_ = false;    // it has been started once
  bool stopped_ = false;  // asked for by stop()
  bool silent_ = false;   // asked to end because it was silent
  int code_ = 0;
  Duration backoff_{};
  BootTime start_at_{};
  BootTime started_at_{};
  BootTime kill_at_ = kNever;
  std::array<BootTime, kLifeSigns> signs_{};  // the last ones; the start, before the first
  std::array<bool, kLifeSigns> seen_{};
  std::deque<BootTime> restarts_;  // within the window
  std::string words_;              // to be said with the next step
};

}  // namespace holdfast::health
