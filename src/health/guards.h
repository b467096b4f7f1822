// When memory, disk, temperature or flash are about to become the next failure.
//
// Purpose:  one alarm for each, and its end, however the figures swing around the limit.
// Method:   a value at its limit or above for Config::Guards::lasts is an alarm; one below the
// limit
//           by a twentieth of it, for as long, ends it. What cannot be read keeps its state.
// Threads:  one at a time. Time and values come in from outside.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "holdfast/config.h"
#include "holdfast/types.h"

namespace holdfast::health {

struct GuardValue {
  double value = 0;
  std::string detail;  ///< Which one: "cpu-thermal", "mmcblk0".
};
/// By GuardKind; nothing: it cannot be read, or there is none.
using GuardValues = std::array<std::optional<GuardValue>, kGuardKinds>;

class Guards {
 public:
  explicit Guards(const Config::Guards& rules);

  /// Those whose alarm has begun or ended with this look.
  [[nodiscard]] std::vector<GuardState> look(BootTime now, const GuardValues& values);

  /// All that could be read at least once and have a limit.
  [[nodiscard]] std::vector<GuardState> states() const;

 private:
  struct One {
    GuardState state;
    bool seen = false;
    std::optional<BootTime> turning;  ///< Since when it is on the other side of its limit.
  };
  Config::Guards rules_;
  std::array<One, kGuardKinds> all_;
};

}  // namespace holdfast::health
