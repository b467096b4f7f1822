// Device::open() for who has a log of its own.
#pragma once

#include <memory>

#include "holdfast/device.h"
#include "runtime/logger.h"

namespace holdfast::runtime {

/// As Device::open(); `log` is configured as `config` says.
[[nodiscard]] Result<std::unique_ptr<Device>> open_device(Config config,
                                                          std::shared_ptr<Logger> log);

}  // namespace holdfast::runtime
