// The gate in front of a watchdog: a sign of life only while every part goes on.
//
// Purpose:  a process whose one thread still runs is not alive yet. Each part counts the work that
// it
//           finishes; a part whose count stands still between two signs of life is stuck.
// Method:   looked at twice within the watchdog's limit, closer once something is stuck. What is
//           stuck is named once, with a quarter of the limit left.
// The caller sees to it that a part which goes on has something to finish, and brings the time.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace holdfast::health {

/// How much work a part has finished so far. `part` names it for people and outlives the gate.
struct Proof {
  std::string_view part;
  std::uint64_t finished = 0;
};

class ProgressGate {
 public:
  /// `limit`: after so long without a sign of life the watchdog bites.
  explicit ProgressGate(Duration limit);

  struct Answer {
    bool alive = false;                   ///< Give the sign of life now.
    std::vector<std::string_view> stuck;  ///< To be named now: they keep the sign of life back.
  };
  /// The same parts in the same order each time; the first look only begins.
  [[nodiscard]] Answer look(BootTime now, std::span<const Proof> proofs);

  /// Until then there is nothing to do.
  [[nodiscard]] BootTime next_look() const noexcept { return next_look_; }

 private:
  Duration limit_;
  std::vector<std::uint64_t> finished_;  // at the last sign of life
  BootTime alive_at_{};
  BootTime next_look_{};
  bool named_ = false;
};

}  // namespace holdfast::health
