// The real clock, random source, resolver and disk (env's interfaces over Linux).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "env/clock.h"
#include "env/disk.h"
#include "env/random.h"
#include "env/resolver.h"
#include "holdfast/result.h"
#include "posix/event_loop.h"

namespace holdfast::posix {

/// CLOCK_BOOTTIME, CLOCK_REALTIME and /proc/sys/kernel/random/boot_id.
[[nodiscard]] std::unique_ptr<env::Clock> make_clock();

/// getrandom(2); never the clock, so that a fleet dropped in one second does not draw alike.
[[nodiscard]] std::unique_ptr<env::Random> make_random();

/// getaddrinfo on a thread per look-up that is abandoned, not awaited, on timeout or cancel.
[[nodiscard]] std::unique_ptr<env::Resolver> make_resolver(EventLoop& loop);

/// A directory, created 0700 with its parents if missing; refused when others may write to it.
/// Errors: permission, io, not_found (a component is not a directory), each with the path.
[[nodiscard]] Result<std::unique_ptr<env::Disk>> open_disk(const std::filesystem::path& directory);

/// A directory as it is, whoever may write to it; nothing is created. For looking into it.
/// Errors: not_found, permission, io, each with the path.
[[nodiscard]] Result<std::unique_ptr<env::Disk>> open_existing_disk(
    const std::filesystem::path& directory);

/// Moves a file of `directory` into its folder `folder` (made 0700 if missing), under a name that
/// is not taken yet; both directories are synced. Gives the new path below `directory`.
[[nodiscard]] Result<std::string> move_aside(const std::filesystem::path& directory,
                                             const std::string& name, const std::string& folder);

/// Writes a new file into `directory`/`folder` and syncs it. Gives its path below `directory`.
[[nodiscard]] Result<std::string> write_aside(const std::filesystem::path& directory,
                                              const std::string& name, const std::string& folder,
                                              const std::string& content);

/// An error if this process is not the owner of `path`: what it made there, the owner could not
/// use. The message says as whom to run.
[[nodiscard]] Status require_owner(const std::filesystem::path& path);

/// A whole small file, such as a password or a certificate. Errors name the path; too_large over
/// `max_bytes`.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            std::size_t max_bytes);

/// Appends `line` and a newline to a file, which is made (mode 0600) if need be and renamed to
/// `older` first if it has `max_bytes` already. Not synced: a power cut may take the last lines.
/// Errors name the path.
[[nodiscard]] Status append_line(const std::filesystem::path& path,
                                 const std::filesystem::path& older, std::string_view line,
                                 std::size_t max_bytes);

/// Replaces a small file whole: after a power cut there is the old content or the new one. Nobody
/// else may be writing it. Errors name the path; the old content then stays.
[[nodiscard]] Status replace_file(const std::filesystem::path& path, std::string_view content,
                                  unsigned permissions = 0600);

}  // namespace holdfast::posix
