// What keeps private keys inside a process that is a device and nothing else.
//
// Threads: once, at the start of the program, before any other call.
#pragma once

#include "runtime/logger.h"

namespace holdfast::runtime {

/// Neither core dumps nor other processes of the same user show this process's memory, unless
/// `core_dumps`; and OpenSSL keeps private keys where they are not swapped out. What cannot be had
/// is logged as a warning.
void guard_keys(bool core_dumps, Logger& log);

}  // namespace holdfast::runtime
