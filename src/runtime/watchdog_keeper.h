// The hardware watchdog in the hands of the agent.
//
// Purpose:  a machine whose agent cannot go on is reset by its hardware; one whose network or cloud
//           is away never is. While the device is open, health::StallBudget decides; while it is
//           being opened or stopped, a thread feeds for a limited time, since the program's own
//           waits.
// Threads:  all of the program's own, but disarm(), which any may call.
// Errors:   a device that cannot be had is logged, and tried again each minute: a machine without
// its
//           watchdog does its work all the same.
// Without `rules.device` every member does nothing.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "env/clock.h"
#include "health/stall_budget.h"
#include "holdfast/config.h"
#include "holdfast/device.h"
#include "posix/watchdog_device.h"

namespace holdfast::runtime {

class WatchdogKeeper {
 public:
  WatchdogKeeper(const Config::Watchdog& rules, LogHandler log);
  /// The watchdog stays armed: an end without disarm() is none that was wanted.
  ~WatchdogKeeper();
  WatchdogKeeper(const WatchdogKeeper&) = delete;
  WatchdogKeeper& operator=(const WatchdogKeeper&) = delete;

  /// Feeds for at most `patience`, whatever happens, until watch() or disarm().
  void trust(Milliseconds patience);
  /// From now on step() feeds, while the device goes on.
  void watch(Device& device);
  void step(Device& device);
  /// How long step() has nothing to do, in poll(2)'s milliseconds; -1: for ever.
  [[nodiscard]] int patience_ms() const;
  /// This process ends because it is told to, or says why it must.
  void disarm();

 private:
  void open();
  void end_trust();
  void tell(const health::StallBudget::Answer& answer);

  const Config::Watchdog rules_;
  LogHandler log_;
  std::shared_ptr<const env::Clock> clock_;

  std::mutex mutex_;  // of what follows, as far as the trusting thread and disarm() need it
  std::optional<posix::WatchdogDevice> dog_;
  std::condition_variable wake_;
  bool trusted_ = false;
  std::thread feeder_;

  std::optional<health::StallBudget> budget_;  // from watch() on
  BootTime next_look_ = kNever;
  BootTime open_again_ = kNever;
};

}  // namespace holdfast::runtime
