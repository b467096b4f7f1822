// Provisioning beside a running device: at the first boot, whenever there is no credential, and
// when a successor is due.
//
// Purpose:  a thread of its own, so that neither the loop nor the storage waits for a step of it.
// Threads:  start() and stop() from any, not from a hook; hooks are called by the thread.
// Errors:   none; what goes wrong is a line and a state, and is tried again.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/time.h"
#include "holdfast/config.h"
#include "holdfast/device.h"

namespace holdfast::runtime {

class ProvisionThread {
 public:
  struct Hooks {
    LogHandler log;
    std::function<void(const ProvisioningState& state)> changed;
    /// There is a credential; the name of the thing, if it is known.
    std::function<void(const std::string& thing)> done;
  };

  explicit ProvisionThread(Hooks hooks);
  /// Leaves the thread behind if it does not end at once.
  ~ProvisionThread();
  ProvisionThread(const ProvisionThread&) = delete;
  ProvisionThread& operator=(const ProvisionThread&) = delete;

  /// Begins where there is something to do; a run under way goes on with this configuration.
  void start(const Config& config);
  /// No hook is called after it. False: a disk or library did not let go of the thread in time.
  bool stop(Duration patience);

 private:
  struct Shared;
  static void run(const std::shared_ptr<Shared>& shared);

  std::shared_ptr<Shared> shared_;
};

/// For people: "registration: rejected: 403 …".
[[nodiscard]] std::string describe(const ProvisioningState& state);

}  // namespace holdfast::runtime
