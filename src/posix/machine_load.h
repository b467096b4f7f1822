// How close this machine is to its limits: pressure on memory and disk, heat, room, worn flash.
//
// Purpose:  facts for health::Guards; decides nothing.
// Threads:  any. Blocks as long as drivers take to answer.
// Errors:   what cannot be read, or is not there, is left out.
// Sources:  Linux's Documentation/accounting/psi.rst (some avg10), ABI/testing/sysfs-class-thermal
//           (temp), ABI/testing/sysfs-bus-mmc (life_time: JEDEC eMMC 5.1, EXT_CSD 268 and 269, in
//           steps of 10 %).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace holdfast::posix {

struct MachineLoad {
  std::optional<double> memory;  ///< Percent of the last 10 s in which something waited for it.
  std::optional<double> io;      ///< The same.
  std::optional<double> temperature;  ///< °C, of the hottest zone.
  std::string zone;                   ///< Its type.
  std::optional<double> disk;         ///< Percent used, for an unprivileged writer.
  std::optional<double> flash;        ///< Percent of its life that is used, of the worst.
  std::string flash_name;             ///< "mmcblk0"
};

/// `directory`: whose file system is meant. The rest is below `root`: proc/pressure,
/// sys/class/thermal and sys/block.
[[nodiscard]] MachineLoad look_at_load(const std::filesystem::path& directory,
                                       const std::filesystem::path& root = "/");

}  // namespace holdfast::posix
