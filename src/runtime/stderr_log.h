// The log of a program that has no other: lines on standard error, in journald's form under
// systemd.
//
// Purpose:  lets agent and tools hand a LogHandler to Device::open() without reaching into posix.
// Threads:  the handler may be called, and copied, from any thread.
#pragma once

#include "holdfast/device.h"

namespace holdfast::runtime {

/// Passes every line it is given; the Device leaves out those below log.level. Floods of one kind
/// of line are held back and counted.
[[nodiscard]] LogHandler stderr_log();

}  // namespace holdfast::runtime
