// Where OpenSSL keeps private keys: in memory that is never swapped out and not in a core dump.
//
// Threads: once, before any other use of OpenSSL.
#pragma once

#include <cstddef>

#include "base/limits.h"
#include "holdfast/result.h"

namespace holdfast::transport {

/// Some 16 private keys of RSA 4096, of which a device has one or two at a time. OpenSSL takes no
/// key for which no room is left.
inline constexpr std::size_t kKeyMemory = 64 * limits::kKiB;

/// Sets the memory aside. Errors: permission (the limit on locked memory, RLIMIT_MEMLOCK: keys are
/// kept all the same, and may be swapped out), internal.
[[nodiscard]] Status lock_key_memory();

}  // namespace holdfast::transport
