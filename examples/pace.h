// How fast to publish: a rate that can be changed by a command, and the moments that follow from
// it.
//
// Threads:  plain values and functions.
#pragma once

#include <chrono>
#include <cstddef>
#include <string_view>

#include "holdfast/result.h"

namespace telemetry {

inline constexpr double kRateMax = 100000;  ///< Readings a second.

/// The rate that a command asks for, in readings a second; 0 is a pause. A command is either
/// "0.5", the seconds between two rounds through all `readings`, or {"rate":20}.
/// Errors: invalid_argument, saying what is wrong with it.
[[nodiscard]] holdfast::Result<double> parse_command(std::string_view command,
                                                     std::size_t readings);

/// Spreads readings evenly over time. After a pause, or when the machine was too slow or asleep, it
/// goes on from now instead of making up for more than a second of lost time.
class Pace {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Pace(double rate, Time now) : rate_(rate), next_(now) {}

  void set_rate(double rate, Time now) {
    rate_ = rate;
    next_ = now;
  }
  [[nodiscard]] double rate() const { return rate_; }

  /// True when a reading is due, which then counts as done.
  [[nodiscard]] bool take(Time now);

  /// How long nothing is due; at most `longest`.
  [[nodiscard]] std::chrono::nanoseconds wait(Time now, std::chrono::nanoseconds longest) const;

 private:
  double rate_;
  Time next_;
};

}  // namespace telemetry
