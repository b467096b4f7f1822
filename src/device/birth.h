// The birth message: what the device says at each connect.
//
// Threads:  a pure function.
#pragma once

#include "base/message.h"
#include "holdfast/config.h"

namespace holdfast::device {

/// As flow sends it, under flow::kBirthToken.
[[nodiscard]] MessagePtr birth_message(const StatusMessage& birth);

}  // namespace holdfast::device
