// Wall-clock times as ISO 8601 writes them, in UTC. Pure.
#pragma once

#include <string>

#include "base/time.h"

namespace holdfast {

/// "2018-01-18T09:18:06Z"; parts of a second are dropped.
[[nodiscard]] std::string iso_time(WallTime time);

}  // namespace holdfast
