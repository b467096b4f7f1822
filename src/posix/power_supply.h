// Batteries and mains, as the kernel shows them.
//
// Purpose:  /sys/class/power_supply, read once; decides nothing.
// Threads:  any. Blocks as long as a battery's driver takes to ask it.
// Errors:   io when the directory cannot be read; what a driver does not give is left out.
// Sources:  Linux's Documentation/ABI/testing/sysfs-class-power.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::posix {

struct SupplyLook {
  std::optional<bool> mains;  ///< Something else than a battery feeds the machine; none: not known.
  bool critical = false;      ///< A battery calls itself so.
  std::optional<unsigned> charge;  ///< Percent, of the emptiest battery.
  std::optional<Seconds> runtime;  ///< The shortest.
  std::string words;               ///< "BAT0: Discharging, 42 %; AC: off"
};

/// Batteries of mice and the like, whose scope is "Device", are left out.
[[nodiscard]] Result<SupplyLook> look_at_supplies(const std::filesystem::path& directory);

}  // namespace holdfast::posix
