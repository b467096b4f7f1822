// What is known of the wall clock: whether it is kept right, how it was set, and a time that is
// certainly over, kept across restarts in the file `clock` in the outbox's directory.
//
// Purpose:  a device without a battery-backed clock starts years ago: it knows better, and says so.
// Rule:     only a clock that the kernel calls synchronized moves the floor, so that a wrong one
//           cannot put it into the future.
// Format:   text: "holdfast-clock 1", then a line with milliseconds since 1970. What is no such
//           file is as good as none.
// Flash:    one small write an hour.
// Threads:  loop thread (constructed before the loop runs). The file is written by the storage
//           thread (side_writes.h).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "env/clock.h"
#include "holdfast/log.h"
#include "holdfast/result.h"
#include "holdfast/types.h"
#include "posix/event_loop.h"
#include "runtime/side_writes.h"

namespace holdfast::runtime {

/// The floor follows the clock so often.
inline constexpr Duration kClockKept = std::chrono::hours(1);
/// A clock that is slewed drifts against the boot-time clock; what is less is no step.
inline constexpr Milliseconds kClockStep{500};
/// The kernel is asked no more often whether the clock is kept right.
inline constexpr Duration kClockAsked = std::chrono::seconds(1);

class ClockKeeper {
 public:
  static constexpr const char* kName = "clock";

  /// Reads the file; what is wrong with it is logged. All must outlive this.
  ClockKeeper(posix::EventLoop& loop, const env::Clock& clock, Storage& storage,
              const std::filesystem::path& directory, LogHandler log);

  /// The clock was set.
  void set();
  [[nodiscard]] WallTime floor() const { return WallTime{state_.floor_ms}; }
  [[nodiscard]] ClockState state();

 private:
  void read();
  void look();
  [[nodiscard]] std::int64_t ahead_of_boot() const;

  const env::Clock& clock_;
  std::filesystem::path path_;
  LogHandler log_;
  SideWrites writes_;
  posix::Timer timer_;
  ClockState state_;
  BootTime asked_at_ = BootTime::min();  ///< The kernel, whether the clock is kept right.
  std::int64_t ahead_ms_;                ///< Of the boot-time clock, when last looked at.
};

[[nodiscard]] std::string clock_file_text(WallTime floor);
/// Errors: corrupt, with what is wrong.
[[nodiscard]] Result<WallTime> parse_clock_file(std::string_view text);

}  // namespace holdfast::runtime
