// Looks at how this machine was started, and whether it is just going down.
//
// Purpose:  facts for health::BootRecord; decides nothing and changes nothing.
// Threads:  any. Blocks as long as the disk or systemctl does; the latter is bounded.
// Errors:   what cannot be read is as if it were not there; of the panics' records it is said.
// Sources:  Linux's Documentation/watchdog/watchdog-api.rst and ABI/testing/sysfs-class-watchdog
//           (bootstatus), ABI/testing/pstore and fs/pstore ("Panic#1 Part1"), systemd-pstore(8),
//           systemctl(1): list-jobs, utmp(5): RUN_LVL.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "base/time.h"

namespace holdfast::posix {

/// Records of panics that are looked at, the newest.
inline constexpr std::size_t kPanicLooks = 32;

struct PanicLook {
  std::string name;   ///< File and time: another one that takes its place has another name.
  std::string words;  ///< Behind "Kernel panic - not syncing: "; empty: not in it.
};

struct BootLook {
  std::string watchdog;      ///< The one that says anything of the following.
  unsigned boot_status = 0;  ///< Its WDIOF_… bits.
  std::vector<PanicLook> panics;
  std::string panics_problem;  ///< Why records of panics could not be looked for; empty: they were.
};

/// Below `root`: sys/class/watchdog, sys/fs/pstore and var/lib/systemd/pstore.
[[nodiscard]] BootLook look_at_boot(const std::filesystem::path& root = "/");

/// How the machine is just going down, as its service manager says it ("systemd: reboot.target");
/// empty: it is not, or nobody says so.
[[nodiscard]] std::string going_down(Duration patience);

/// The same from the jobs that `systemctl list-jobs --no-legend` prints.
[[nodiscard]] std::string going_down_in(const std::string& jobs);

}  // namespace holdfast::posix
