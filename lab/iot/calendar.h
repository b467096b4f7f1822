// Times as the APIs write them.
#pragma once

#include <string>

#include "base/time.h"

namespace holdfast::lab::iot {

/// "2018-01-18T09:18:06Z"; parts of a second are dropped.
[[nodiscard]] std::string iso_time(WallTime time);

}  // namespace holdfast::lab::iot
