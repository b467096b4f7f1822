// The real clock, random source, resolver and disk (env's interfaces over Linux).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

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

/// A whole small file, such as a password or a certificate. Errors name the path; too_large over
/// `max_bytes`.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            std::size_t max_bytes);

}  // namespace holdfast::posix
