// By which way the kernel would send to an address.
//
// Source:  rtnetlink(7).
#pragma once

#include <string>

#include "env/resolver.h"

namespace holdfast::posix {

struct Route {
  std::string problem;    ///< "Network is unreachable"; empty: there is a way.
  std::string interface;  ///< "eth0".
  std::string gateway;    ///< Empty: the address is on the interface's own network.
  std::string source;     ///< The local address that would be used.
  bool carrier = true;    ///< The interface is up and has a link.
};

/// Sends nothing. Never blocks on the network.
[[nodiscard]] Route route_to(const env::Address& address);

/// The names or addresses of the name servers in /etc/resolv.conf.
[[nodiscard]] std::string name_servers();

}  // namespace holdfast::posix
