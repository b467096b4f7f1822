// The time, as the core and the outbox see it.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

namespace holdfast::env {

/// Names one boot of the machine (Linux: /proc/sys/kernel/random/boot_id).
using BootId = std::array<std::uint8_t, 16>;

/// Thread rule: every method may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual BootTime now() const = 0;
  [[nodiscard]] virtual WallTime wall() const = 0;
  /// Whether something keeps the wall clock right (NTP, PTP, GPS). Only then may it judge what
  /// cannot be undone.
  [[nodiscard]] virtual bool wall_synchronized() const = 0;
  [[nodiscard]] virtual BootId boot_id() const = 0;
};

}  // namespace holdfast::env
