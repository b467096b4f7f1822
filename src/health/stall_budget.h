// What stands between stalled parts and the hardware watchdog, which resets the machine.
//
// Purpose:  each part of the process may stand still for a time of its own: a disk that collects
// its
//           garbage needs minutes, a loop that does is dead. The watchdog is fed until one part has
//           used up its budget, and again once that part goes on.
// Method:   a part's count of finished work, looked at again and again; what stands still is named
//           once with a quarter of its budget left, and once when nothing is left.
// A network or a cloud that is away stops no part, so it never comes to this.
// The caller sees to it that a part which goes on has something to finish, and brings the time.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace holdfast::health {

/// A part as people know it, and how long it may stand still. The name outlives the budget.
struct StallRule {
  std::string_view part;
  Duration budget;
};

class StallBudget {
 public:
  /// From now on; nothing has stood still yet. At least one rule, each with a budget above zero.
  StallBudget(std::span<const StallRule> rules, BootTime now);

  struct Stall {
    std::string_view part;
    Duration lasts;  ///< So far.
    Duration left;   ///< Of its budget; zero: it is used up.
  };
  struct Answer {
    bool feed = false;          ///< The watchdog may be fed.
    std::vector<Stall> stalls;  ///< To be named now.
    bool over = false;          ///< What had been named last goes on: nothing stands still so long.
  };
  /// `finished`: how much each part has finished, in the order of the rules.
  [[nodiscard]] Answer look(BootTime now, std::span<const std::uint64_t> finished);

  /// Look at least so often, or a budget is noticed late.
  [[nodiscard]] Duration pace() const noexcept { return pace_; }

 private:
  struct Part {
    StallRule rule;
    std::uint64_t finished = 0;
    BootTime since;  ///< When it was last seen to have finished something.
    int named = 0;   ///< How often, in this stall.
  };
  std::vector<Part> parts_;
  Duration pace_;
};

}  // namespace holdfast::health
