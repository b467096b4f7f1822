// Whether this disk keeps power.hold_up; asked once, at the start.
//
// Threads:  any. Blocks for some synced writes to the directory, which leave nothing behind.
#pragma once

#include "holdfast/config.h"
#include "holdfast/log.h"
#include "holdfast/result.h"

namespace holdfast::runtime {

/// Without power.hold_up nothing is done. Errors: invalid_config with what to change; io and the
/// like when the disk cannot be measured. What was measured is logged.
[[nodiscard]] Status check_hold_up(const Config& config, const LogHandler& log);

}  // namespace holdfast::runtime
