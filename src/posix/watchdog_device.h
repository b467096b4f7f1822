// The hardware watchdog: once open it resets the machine unless it is fed in time.
//
// Purpose:  /dev/watchdogN as Linux drives it: open, time limit, feed, and the magic close that
// stops it. Ownership: the device can be held by one process at a time. Destroyed without disarm()
// it stays
//           armed, on purpose: whoever ends without order has until its limit to be back.
// Threads:  any; feed() may be called from several.
// Errors:   named, with what to do where another program holds the device.
// Sources:  Linux's Documentation/watchdog/watchdog-api.rst, linux/watchdog.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "holdfast/result.h"
#include "holdfast/types.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

class WatchdogDevice {
 public:
  /// Opening starts it. The driver may take another limit than `timeout`, such as its longest:
  /// timeout() tells which. `pretimeout`: so long before the reset the kernel does what its
  /// governor says (a panic, say); zero leaves it as it is, and a driver without one is no failure.
  [[nodiscard]] static Result<WatchdogDevice> open(const std::filesystem::path& device,
                                                   Seconds timeout, Seconds pretimeout);

  void feed() const noexcept;
  /// Stops it, if the kernel lets it be stopped, and closes it. False: it stays armed.
  bool disarm() noexcept;

  [[nodiscard]] Seconds timeout() const noexcept { return timeout_; }
  [[nodiscard]] std::optional<Seconds> pretimeout() const noexcept { return pretimeout_; }
  /// The driver's name for itself.
  [[nodiscard]] const std::string& identity() const noexcept { return identity_; }
  /// It can be stopped: the driver knows the magic close, and the kernel was not told "nowayout".
  [[nodiscard]] bool stoppable() const noexcept { return stoppable_; }
  /// The last start of this machine was a reset by this watchdog, as far as its driver can tell.
  [[nodiscard]] bool has_reset() const noexcept { return has_reset_; }

 private:
  WatchdogDevice() = default;

  UniqueFd fd_;
  Seconds timeout_{0};
  std::optional<Seconds> pretimeout_;
  std::string identity_;
  bool stoppable_ = false;
  bool has_reset_ = false;
};

}  // namespace holdfast::posix
