// Whether the wall clock is kept right, remembered for a moment.
//
// Purpose:  it is wanted for each message, and asking the kernel takes longer than storing one.
// Threads:  one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace holdfast::posix {

class KeptAnswer {
 public:
  static constexpr Duration kFor = std::chrono::seconds(1);
  static constexpr std::int64_t kStepMs = 20;  ///< More than a clock that is only slewed moves.

  /// The last answer of `ask`, unless it is old or the wall clock was stepped since.
  template <typename Ask>
  bool get(BootTime now, WallTime wall, const Ask& ask) {
    const std::int64_t apart =
        wall.ms -
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
    const bool stepped = apart < apart_ - kStepMs || apart > apart_ + kStepMs;
    if (now < asked_ || now >= asked_ + kFor || stepped || !answer_) {
      answer_ = ask();
      asked_ = now;
      apart_ = apart;
    }
    return *answer_;
  }

 private:
  BootTime asked_{};
  std::int64_t apart_ = 0;  // of the wall clock from the other
  std::optional<bool> answer_;
};

}  // namespace holdfast::posix
