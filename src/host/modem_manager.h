// ModemManager: signal, registration, operator and access technology of each modem; and what may be
// done to one.
//
// Purpose:  tells at each change, by its signals. Nothing is polled by us; ModemManager itself asks
//           a modem for its signal every half a minute.
// Threads:  loop thread only.
// Errors:   none: that it is not there, or has gone, is part of what it tells.
// Source:   ModemManager's D-Bus API: org.freedesktop.ModemManager1.Modem, ….Modem.Modem3gpp.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "holdfast/types.h"
#include "host/system_bus.h"
#include "posix/event_loop.h"

namespace holdfast::host {

/// Changes come in showers: after the first, others are awaited for so long.
inline constexpr Duration kModemSettles = std::chrono::milliseconds(500);

/// What ModemManager says, from the properties of one of its objects; public for the tests.
[[nodiscard]] ModemState modem_of(const BusValue& interfaces);

class ModemManager {
 public:
  struct Hooks {
    /// At each change; `problem` is empty while it answers.
    std::function<void(std::vector<ModemState> modems, const std::string& problem)> changed;
  };
  /// `bus` must outlive this.
  ModemManager(posix::EventLoop& loop, SystemBus& bus, Hooks hooks);

  /// The bus is connected.
  void begin();
  /// The bus is not there, or has gone.
  void lost(const std::string& why);

  /// Ends all bearers of the first modem; NetworkManager, or whoever made them, makes new ones.
  void drop_bearers(std::function<void(const Status&)> done);
  /// Resets the first modem.
  void reset(std::function<void(const Status&)> done);

 private:
  void know_nothing(const std::string& why);
  void unanswered(const Error& error);
  void look_soon();
  void look();
  void tell(std::vector<ModemState> modems, const std::string& problem);
  void order(BusCall call, std::function<void(const Status&)> done);

  SystemBus& bus_;
  Hooks hooks_;
  posix::Timer settling_;
  bool there_ = false;
  std::string first_;  ///< The path of the first modem; empty: none.
  std::vector<ModemState> told_;
  std::string told_problem_;
  bool ever_told_ = false;
};

}  // namespace holdfast::host
