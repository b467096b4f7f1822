// NetworkManager: how far the network leads, by which connection, and whether it costs money.
//
// Purpose:  tells at each change, by its signals; asks it to look again. Nothing is polled.
// Threads:  loop thread only.
// Errors:   none: that it is not there, or has gone, is part of what it tells.
// Source:   NetworkManager's D-Bus API: org.freedesktop.NetworkManager and …Connection.Active.
#pragma once

#include <functional>
#include <string>

#include "holdfast/types.h"
#include "host/system_bus.h"
#include "posix/event_loop.h"

namespace holdfast::host {

class NetworkManager {
 public:
  /// The state but for its modems; at each change.
  using Changed = std::function<void(const NetworkState&)>;
  /// `bus` must outlive this.
  NetworkManager(posix::EventLoop& loop, SystemBus& bus, Changed changed);

  /// The bus is connected.
  void begin();
  /// The bus is not there, or has gone.
  void lost(const std::string& why);

  /// NetworkManager is to find out anew how far its network leads.
  void check();

 private:
  void followed(bool there);
  void unanswered(const Error& error);
  void refresh();
  void read(const BusValue& properties);
  void read_connection(const BusValue& properties);
  void finish();
  void tell();

  SystemBus& bus_;
  Changed changed_;
  NetworkState state_;  ///< As it is being read.
  NetworkState told_;
  bool ever_told_ = false;
  posix::Timer ask_again_;
  bool there_ = false;  ///< It runs, as the bus says.
  bool reading_ = false;
  bool again_ = false;  ///< Something has changed while reading.
};

}  // namespace holdfast::host
