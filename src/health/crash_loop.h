// Whether the program is in a crash loop: its starts, as one small text that outlives it.
//
// Purpose:  a program that keeps crashing is started with less, so that it can be helped from afar.
// Method:   each start finds out how the run before it ended: in order, with the machine (another
// boot
//           id: a power cut or a reboot, which is nobody's fault), or neither. So many of the
//           latter within a time are a loop.
// Opening:  a run in safe mode first says that it opens the outbox, then that it has. Two that end
// in
//           between, one after the other, blame the outbox: nothing else helps then but to go on
//           without it.
// Threads:  one at a time. The caller brings time, boot id and text, and keeps text() on disk: at
// the
//           start, after opened() and blamed(), whenever look() says so, and at the end.
// Damage:   a text that makes no sense counts as none: then nothing is known of earlier runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "holdfast/config.h"

namespace holdfast::health {

inline constexpr std::uint32_t kCrashesMax = 100;  // safe_mode.crashes
/// Ends of runs in safe mode, while they opened the outbox, that are blamed on it.
inline constexpr std::size_t kOpeningCrashes = 2;
/// text() is no longer than this.
inline constexpr std::size_t kCrashTextMax = 4096;

class CrashLoop {
 public:
  /// A start: `text` is what an earlier run has left (empty: nothing).
  CrashLoop(const Config::SafeMode& rules, std::string_view text, std::string_view boot_id,
            BootTime now);

  /// In words why this run is to do with less; empty: it is not.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
  /// `text` made no sense.
  [[nodiscard]] bool damaged() const noexcept { return damaged_; }
  /// The run before this one ended neither in order nor with the machine.
  [[nodiscard]] bool crashed() const noexcept { return crashed_; }

  /// This run, in safe mode, is to do without the outbox that there is.
  [[nodiscard]] bool outbox_to_blame() const;
  /// That outbox is out of the way.
  void blamed();
  /// What had to be opened is open.
  void opened() { opening_ = false; }

  enum class Turn : std::uint8_t {
    none,
    stable,  ///< The crashes are forgotten: keep text().
    leave,   ///< Safe mode has lasted long enough: keep text(), and begin anew.
  };
  [[nodiscard]] Turn look(BootTime now);
  /// Until then look() has nothing to say.
  [[nodiscard]] BootTime next_look() const noexcept { return next_look_; }

  /// Somebody wants safe mode to end: the crashes are forgotten.
  void forget();

  /// This run ends in order; from now on text() says so.
  void end() { open_ = false; }

  [[nodiscard]] std::string text() const;

 private:
  [[nodiscard]] bool read(std::string_view text, std::string_view boot_id, BootTime now);

  Config::SafeMode rules_;
  std::string boot_id_;
  struct Crash {
    BootTime at{};         // when it was noticed
    bool opening = false;  // of a run in safe mode that opened the outbox
  };
  std::vector<Crash> crashes_;  // oldest first
  bool open_ = true;
  bool opening_ = false;
  bool damaged_ = false;
  bool crashed_ = false;
  std::string reason_;
  BootTime next_look_ = kNever;
};

}  // namespace holdfast::health
