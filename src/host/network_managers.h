// All that the machine's managers tell about the network, as one state.
//
// Purpose:  one owner of bus and managers; says when one that should be there is not, or has gone.
// Threads:  loop thread only.
// Errors:   none: without bus or managers there is no state but a problem in words.
#pragma once

#include <functional>
#include <memory>

#include "holdfast/config.h"
#include "holdfast/log.h"
#include "holdfast/types.h"
#include "host/modem_manager.h"
#include "host/network_manager.h"
#include "host/system_bus.h"

namespace holdfast::host {

class NetworkManagers {
 public:
  struct Hooks {
    std::function<void(const NetworkState&)> changed;
    LogHandler log;
  };
  NetworkManagers(posix::EventLoop& loop, const Config::Network& rules, Hooks hooks);
  NetworkManagers(const NetworkManagers&) = delete;
  NetworkManagers& operator=(const NetworkManagers&) = delete;

  /// NetworkManager is to find out anew how far its network leads.
  void check() { manager_.check(); }
  /// Ends the bearers of the first modem, or resets it.
  void drop_bearers(std::function<void(const Status&)> done) {
    modems_.drop_bearers(std::move(done));
  }
  void reset_modem(std::function<void(const Status&)> done) { modems_.reset(std::move(done)); }
  /// Has the machine restarted by whoever manages it (logind).
  void reboot(std::function<void(const Status&)> done);

 private:
  void up();
  void down(const std::string& why);
  void manager_changed(const NetworkState& state);
  void modems_changed(std::vector<ModemState> modems, const std::string& problem);
  void say(LogLevel level, std::string text);

  const Config::Network rules_;
  Hooks hooks_;
  SystemBus bus_;
  NetworkManager manager_;
  ModemManager modems_;
  NetworkState state_;
  bool said_absent_ = false;  ///< Until NetworkManager answers again.
  bool modems_there_ = false;
};

}  // namespace holdfast::host
