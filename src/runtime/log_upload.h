// The last lines of the log as a message.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "holdfast/config.h"
#include "holdfast/types.h"

namespace holdfast::runtime {

/// A JSON array of `lines`, which are JSON themselves.
[[nodiscard]] std::string log_array(const std::vector<std::string>& lines);

/// {"client_id":…,"lines":[…]}, durable, in the last lane. The oldest lines are left out as far as
/// limits.payload asks for it.
[[nodiscard]] Message log_message(const Config& config, std::string topic,
                                  std::vector<std::string> lines);

}  // namespace holdfast::runtime
