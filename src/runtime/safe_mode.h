// What a device does without in safe mode.
//
// Threads: pure functions.
#pragma once

#include "holdfast/config.h"
#include "runtime/local_protocol.h"

namespace holdfast::runtime {

/// With a reason in Config::safe_mode_reason: leaves out what is not needed for the connection, for
/// messages that wait, and for help from afar. Else nothing.
void leave_out_extras(Config& config);

/// A request that only a program's own work needs: it is not served in safe mode.
[[nodiscard]] bool is_of_application(const LocalRequest& request);

}  // namespace holdfast::runtime
