// Whether the program is in a crash loop: its starts, as one small text that outlives it.
//
// Purpose:  a program that keeps crashing is started with less, so that it can be helped from afar.
// Method:   each start finds out how the run before it ended: in order, with the machine (another
// boot
//           id: a power cut or a reboot, which is nobody's fault), or neither. So many of the
//           latter within a time are a loop.
// Threads:  one at a time. The caller brings time, boot id and text, and keeps text() on disk: at
// the
//           start, whenever look() says so, and at the end.
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
  std::vector<BootTime> crashes_;  // when they were noticed, oldest first
  bool open_ = true;
  bool damaged_ = false;
  bool crashed_ = false;
  std::string reason_;
  BootTime next_look_ = kNever;
};

}  // namespace holdfast::health
