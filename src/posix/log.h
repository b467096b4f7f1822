// Log lines on standard error: one write per line, in journald's form when systemd reads it, and
// never a flood.
//
// Threads:  any.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/limits.h"
#include "base/time.h"

namespace holdfast::posix {

/// The same values in the same order as holdfast::LogLevel.
enum class Severity : std::uint8_t { error, warning, info, debug };

/// A token bucket per kind of line: kLogBurst at once, refilled within a minute; and one bucket for
/// all lines together. The number of kinds remembered is bounded; the oldest is forgotten.
/// Pure: the caller brings the time. One thread at a time.
class BurstLimiter {
 public:
  static constexpr std::size_t kKinds = 64;
  static constexpr unsigned kTotalBurst = 20 * limits::kLogBurst;  // per minute, of all kinds

  struct Answer {
    bool pass = true;
    std::uint64_t suppressed = 0;  ///< Lines of this kind held back before this one passed.
  };
  [[nodiscard]] Answer admit(std::uint64_t kind, BootTime now);
  /// Lines held back and not yet told by an Answer; forgets them.
  [[nodiscard]] std::uint64_t take_suppressed();

 private:
  struct Bucket {
    std::uint64_t kind = 0;
    double tokens = 0;
    BootTime filled{};
    BootTime used{};
    std::uint64_t suppressed = 0;
  };
  [[nodiscard]] Bucket& bucket_of(std::uint64_t kind, BootTime now);
  static void refill(Bucket& bucket, BootTime now, double capacity);

  std::array<Bucket, kKinds> buckets_{};
  Bucket total_{};
  std::uint64_t forgotten_ = 0;  ///< Held back in buckets that were reused.
};

/// Two lines are of one kind when they differ in digits only.
[[nodiscard]] std::uint64_t kind_of_line(Severity severity, std::string_view line);

/// Writes to standard error. Copies share one state, so it fits in a LogHandler.
class StderrLog {
 public:
  /// Lines less severe than `most` are left out. The form is chosen by JOURNAL_STREAM.
  explicit StderrLog(Severity most);

  void write(Severity severity, std::string_view line) const;
  void set_most(Severity most) const;
  /// Tells what is still held back; call it before the program ends.
  void flush() const;

  /// For holdfast::LogHandler, whose LogLevel has Severity's values.
  template <class Level>
  void operator()(Level level, std::string_view line) const {
    static_assert(std::is_enum_v<Level> && sizeof(Level) == sizeof(Severity));
    write(static_cast<Severity>(level), line);
  }

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// "2026-11-22T23:59:59.123Z".
[[nodiscard]] std::string utc_stamp(WallTime time);

/// One line without its end: "<6>text" for the journal, else "STAMP info  text". Control characters
/// of the text become spaces, so that a line stays one line.
[[nodiscard]] std::string format_line(Severity severity, std::string_view text, WallTime time,
                                      bool journal);

}  // namespace holdfast::posix
