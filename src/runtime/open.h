// Device::open() for who has a log of its own.
#pragma once

#include <functional>
#include <memory>

#include "holdfast/device.h"
#include "posix/passed_sockets.h"
#include "runtime/logger.h"

namespace holdfast::runtime {

/// Null: none. Held by the program, they outlive a device that is opened anew.
using ServiceSockets = std::shared_ptr<const posix::PassedSockets>;

/// Of the service manager that started this process. Before there is a second thread.
[[nodiscard]] ServiceSockets sockets_of_environment();

/// What a program besides wants to do with its device.
struct OpenHooks {
  /// Called once the outbox directory is locked, before anything in it is read.
  std::function<void(Config& config)> locked = {};
  /// Called once the outbox is open.
  std::function<void()> opened = {};
  /// Somebody at the local API wants safe mode to end. On the loop thread.
  std::function<void()> leave_safe_mode = {};
  /// With which the program was started: the local API is served on the one of its path.
  ServiceSockets sockets = {};
  /// The machine is about to go down, for this reason, or, after all, not. On the outbox's thread.
  std::function<void(BootReason reason, const std::string& detail)> going_down = {};
  std::function<void()> not_going_down = {};
};

/// As Device::open(); `log` is configured as `config` says.
[[nodiscard]] Result<std::unique_ptr<Device>> open_device(Config config,
                                                          std::shared_ptr<Logger> log,
                                                          OpenHooks hooks = {});

}  // namespace holdfast::runtime
