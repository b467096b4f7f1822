// Looks at this machine, for `holdfast doctor`: files, processes, the watchdog, the disk.
//
// Purpose:  facts about what Holdfast stands on; decides nothing and changes nothing.
// Threads:  any. Blocks as long as the disk or a program does; output_of() is bounded.
// Sources:  proc(5), statfs(2), open(2) for O_TMPFILE, Linux's Documentation/watchdog.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "holdfast/result.h"

namespace holdfast::posix {

struct FileLook {
  std::string problem;  ///< Why this process cannot read it, in words; empty: it can.
  unsigned mode = 0;    ///< Permission bits.
};
[[nodiscard]] FileLook look_at_file(const std::filesystem::path& file);

/// The latest time at which a file of this directory was written, and its path. Empty: none.
struct Written {
  WallTime at;
  std::filesystem::path file;
};
[[nodiscard]] std::optional<Written> latest_written(const std::filesystem::path& directory);

/// Which of these programs run (/proc/PID/comm, 15 bytes at most), each once, in the order given.
[[nodiscard]] std::vector<std::string> running(std::span<const std::string_view> programs);

/// Whether a process of this machine has locked the file (flock(2)), as far as /proc/locks tells;
/// does not touch the lock.
[[nodiscard]] bool is_locked(const std::filesystem::path& file);

/// Whether this process is in a container, as far as such places say it.
[[nodiscard]] bool in_container();

struct WatchdogLook {
  std::string name;      ///< "watchdog0".
  std::string identity;  ///< The driver's name for itself.
  std::string state;     ///< "active" or "inactive"; empty where the kernel does not tell.
  std::string timeout;   ///< In seconds.
};
/// Never opens the device, which would start it.
[[nodiscard]] std::vector<WatchdogLook> look_for_watchdogs();

struct DirectoryLook {
  std::string problem;      ///< Why it cannot be used, in words; empty: it can.
  bool exists = false;      ///< Else the rest is about the nearest folder that does.
  std::string file_system;  ///< "ext4", "tmpfs", "0x1234" for one without a name here.
  bool read_only = false;
  std::uint64_t free_bytes = 0;  ///< For an unprivileged writer.
  std::uint64_t total_bytes = 0;
  std::uint64_t used_bytes = 0;  ///< By the files in it.
};
[[nodiscard]] DirectoryLook look_at_directory(const std::filesystem::path& directory);

/// Writes 4 KiB and syncs them `times` times to a file without a name in `directory` that has been
/// written before, as the outbox does; each one's milliseconds. Nothing stays behind.
/// Errors: io, no_space, read_only, permission, with the path.
[[nodiscard]] Result<std::vector<double>> time_synced_writes(const std::filesystem::path& directory,
                                                             unsigned times);

/// The same for `bytes` at once, whole blocks of 4 KiB: the milliseconds for all of them.
[[nodiscard]] Result<double> time_synced_bulk(const std::filesystem::path& directory,
                                              std::size_t bytes);

/// What a program prints on standard output, at most 64 KiB of it; its standard error is dropped.
/// Errors: not_found (no such program), timeout (it is killed), io (it ends with a failure; the
/// message has its exit code).
[[nodiscard]] Result<std::string> output_of(const std::vector<std::string>& command,
                                            Duration timeout);

}  // namespace holdfast::posix
