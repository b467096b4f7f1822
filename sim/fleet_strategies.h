// When a device of a fleet tries again: ours, and what others publish about theirs.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "env/random.h"
#include "holdfast/types.h"

namespace holdfast::sim {

/// Of one device, what decides when it connects. Calls come in the order of a connection's life.
class FleetDevice {
 public:
  virtual ~FleetDevice() = default;
  virtual void trying(BootTime now) = 0;
  virtual void connected(BootTime now) = 0;
  /// The attempt failed, or the connection ended: how long until the next attempt.
  [[nodiscard]] virtual Duration wait_after(BootTime now, Verdict verdict) = 0;
};

struct Strategy {
  std::string_view name;
  std::string_view what;
  /// A device that is about to make its first attempt. `random` outlives it.
  std::unique_ptr<FleetDevice> (*make)(env::Random& random);
};

/// Ours first.
[[nodiscard]] const std::vector<Strategy>& fleet_strategies();

}  // namespace holdfast::sim
