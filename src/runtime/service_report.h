// What a program with a Device tells the service manager: ready, reloading, stopping, in words how
// the connection is, and that it is alive.
//
// Purpose:  `systemctl status` shows the verdict, and a watchdog bites only what is really stuck.
//           Being offline is a status, never a reason to be silent.
// Threads:  one, the program's own; changed() gives what may be called from any.
// Bounds:   a status a second; what the manager has no room for is told again a second later.
// Without a service manager every member does nothing, and nothing wakes up.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "env/clock.h"
#include "health/progress_gate.h"
#include "holdfast/device.h"
#include "posix/service_manager.h"

namespace holdfast::runtime {

/// One line for people: the connection, its verdict, and what else is wrong.
[[nodiscard]] std::string status_words(const DeviceState& state,
                                       const std::vector<HeartbeatState>& heartbeats);

class ServiceReport {
 public:
  ServiceReport(posix::ServiceManager manager, std::shared_ptr<const env::Clock> clock,
                LogHandler log);
  /// To the service manager that the environment names.
  explicit ServiceReport(LogHandler log);

  void opening();
  /// The device takes messages, whether it is connected or not. From now on the watchdog waits.
  void ready(Device& device);
  void reloading();
  void reloaded(Device& device);
  /// The stop returns within `deadline`.
  void stopping(Milliseconds deadline);

  /// Tells what has changed and what is due.
  void step(Device& device);
  /// How long step() has nothing to do, in poll(2)'s milliseconds; -1: until wake_fd() is readable.
  [[nodiscard]] int patience_ms() const;
  /// Readable, until the next step(), after what changed() gave has been called; -1: never.
  [[nodiscard]] int wake_fd() const noexcept;
  /// To be called when the device's state has changed. May outlive this object.
  [[nodiscard]] std::function<void()> changed() const;

 private:
  void watch(Device& device, BootTime now);
  void tell(BootTime now);

  posix::ServiceManager manager_;
  std::shared_ptr<const env::Clock> clock_;
  LogHandler log_;
  std::shared_ptr<const posix::UniqueFd> wake_;
  std::optional<health::ProgressGate> gate_;  // from ready() on, if there is a watchdog
  posix::Notice owed_;                        // not told yet
  std::string words_;                         // the status told last
  BootTime words_from_{};                     // no other status before
  bool words_wait_ = false;
  BootTime again_at_ = kNever;  // the manager had no room
};

}  // namespace holdfast::runtime
