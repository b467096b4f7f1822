// Memory, disk, temperature and flash of this machine, looked at again and again (Config::Guards).
//
// Threads:  the loop's; states() from any.
// Errors:   none; what cannot be read is not watched.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "env/clock.h"
#include "health/guards.h"
#include "holdfast/config.h"
#include "holdfast/device.h"
#include "posix/event_loop.h"
#include "posix/machine_load.h"
#include "runtime/polled_watch.h"

namespace holdfast::runtime {

class GuardKeeper {
 public:
  using Publish = std::function<void(Message message)>;
  GuardKeeper(posix::EventLoop& loop, std::shared_ptr<const env::Clock> clock, const Config& config,
              Publish publish, LogHandler log);
  GuardKeeper(const GuardKeeper&) = delete;
  GuardKeeper& operator=(const GuardKeeper&) = delete;

  void begin();
  void end() { watch_.reset(); }

  [[nodiscard]] std::vector<GuardState> states() const;

 private:
  void looked(const posix::MachineLoad& load);
  void tell(const GuardState& state);

  posix::EventLoop& loop_;
  std::shared_ptr<const env::Clock> clock_;
  const Config::Guards rules_;
  const std::filesystem::path directory_;
  const std::string first_lane_;
  const std::string client_id_;
  Publish publish_;
  LogHandler log_;
  health::Guards guards_;
  std::optional<PolledWatch<posix::MachineLoad>> watch_;
  mutable std::mutex mutex_;  // of states_
  std::vector<GuardState> states_;
  std::shared_ptr<GuardKeeper*> self_ = std::make_shared<GuardKeeper*>(this);
};

}  // namespace holdfast::runtime
