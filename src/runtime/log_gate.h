// Which log lines pass: every change once, repeats with a count, and never more than so many an
// hour.
//
// Rules:   a line like the last one of its area is a repeat; so is one of a kind (the same but for
//          digits) that has had kLogBurst lines. Either is held back and counted for ten minutes
//          from the kind's first line, and the count is said at their end. Of all that passes,
//          lines_per_hour lines are written within an hour; a quarter of them is for warnings and
//          errors only. What is over that is counted, and said once the hour is over.
// Account: written + repeats + over the ceiling = all that came and all that was said about it.
// Threads: one at a time. Pure: the caller brings the time.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "holdfast/log.h"

namespace holdfast::runtime {

class LogGate {
 public:
  static constexpr Duration kWindow = std::chrono::minutes(10);
  static constexpr Duration kHour = std::chrono::hours(1);

  explicit LogGate(std::uint32_t lines_per_hour) : per_hour_(lines_per_hour) {}
  /// In force at once; what was written within this hour counts.
  void set_ceiling(std::uint32_t lines_per_hour) { per_hour_ = lines_per_hour; }

  /// What is to be written now, in this order: what was due, then the line, if it passes.
  [[nodiscard]] std::vector<LogLine> admit(LogLine line, BootTime now);
  /// Counts whose time has come.
  [[nodiscard]] std::vector<LogLine> due(BootTime now);
  /// When due() has something at the latest; kNever: nothing is held back.
  [[nodiscard]] BootTime next_due() const;
  /// All counts that have not been said, before the end.
  [[nodiscard]] std::vector<LogLine> rest(BootTime now);

  [[nodiscard]] std::uint64_t repeats() const { return repeats_; }
  [[nodiscard]] std::uint64_t over_ceiling() const { return over_total_; }

 private:
  struct Kind {
    std::uint64_t hash = 0;  ///< 0: free.
    BootTime since{};
    unsigned passed = 0;
    std::uint64_t held = 0;
    LogLine sample;  ///< The last that was held back.
  };
  using Lines = std::vector<LogLine>;

  [[nodiscard]] Kind& kind_of(std::uint64_t hash, BootTime now, Lines& out);
  void pass(LogLine line, BootTime now, Lines& out);
  void report(Kind& kind, BootTime now, Lines& out);
  void end_hour(BootTime now, Lines& out);

  std::uint32_t per_hour_;
  std::array<Kind, limits::kLogKinds> kinds_{};
  std::array<std::uint64_t, kLogAreas> last_{};  ///< Hash of each area's last line.
  BootTime hour_from_{};
  std::uint32_t used_ = 0;  ///< In this hour; 0: no hour has begun.
  std::uint64_t over_ = 0;  ///< In this hour.
  std::uint64_t over_severe_ = 0;
  std::uint64_t repeats_ = 0;
  std::uint64_t over_total_ = 0;
};

}  // namespace holdfast::runtime
