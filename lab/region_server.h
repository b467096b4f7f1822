// A Region of the local IoT Core as a process: ports, the broker behind them, state on disk,
// orders.
//
// Threads: the loop's thread only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/clock.h"
#include "env/random.h"
#include "lab/iot/access.h"
#include "lab/iot/door.h"
#include "lab/iot/publisher.h"
#include "lab/iot/region.h"
#include "lab/net/control.h"
#include "lab/net/endpoint.h"
#include "lab/net/relay.h"
#include "lab/net/trace.h"
#include "posix/event_loop.h"

namespace holdfast::lab {

/// The ports of an endpoint; 0: a free one.
struct RegionPorts {
  std::uint16_t mqtt = 0;   ///< AWS's 8883: MQTT with a client certificate.
  std::uint16_t mixed = 0;  ///< AWS's 443: by ALPN, else HTTPS and WebSocket.
  std::uint16_t https = 0;  ///< AWS's 8443: HTTPS with a client certificate.
};

class RegionServer {
 public:
  struct Options {
    std::string listen = "127.0.0.1";
    RegionPorts ports;
    std::string chain_file, key_file;  ///< Of the endpoint.
    std::string client_ca_file;
    std::string fault_certificates;  ///< A folder; see net::TlsServers.
    std::string broker_socket;
    std::string broker_password;
    std::filesystem::path state_file;
  };
  /// What is served; all outlive the server. The services are in the Region already.
  struct Parts {
    net::Relay::World world;
    iot::Region& region;
    /// Whether a client certificate may come in (by its id), and how it is refused.
    std::function<net::ClientVerdict(const net::PeerCertificate&)> judge;
    /// Why a device is not let in after its handshake; see net::RelayOptions.
    std::function<std::optional<std::string>(const net::TlsFacts&)> turn_away;
    /// Who a device is, by what came before its first packet.
    std::function<iot::Arrival(const net::Visitor&)> arrival;
    net::HttpHandler http;
    std::function<std::optional<net::HttpAnswer>(const net::HttpQuestion&)> refuse_upgrade;
  };
  RegionServer(Parts parts, Options options);
  ~RegionServer();
  RegionServer(const RegionServer&) = delete;
  RegionServer& operator=(const RegionServer&) = delete;

  /// Reads the state and opens the ports. Errors: a state file that is broken, with file and
  /// member.
  Status start();
  [[nodiscard]] RegionPorts ports() const;
  /// Adds "aws": {"operation", "input"} -> {"output"} or {"failure": {"type","status","message"}};
  /// "ports"; and, for each port, the orders of its relay, as "mqtt.kick".
  void add_operations(net::Control& control);
  /// Writes the state if it has changed since.
  Status save();

 private:
  class Upstream;
  class Watched;

  enum class Port : std::uint8_t { mqtt, mixed, https };
  [[nodiscard]] net::RelayOptions relay_options(Port port, std::uint16_t number);
  [[nodiscard]] std::vector<std::unique_ptr<mqtt::Stage>> stages(const std::string& relay,
                                                                 const net::Visitor& visitor);
  /// After anything that may have changed the Region: what waits is carried on.
  void settle();
  void settle_soon();
  Status load();

  Parts parts_;
  Options options_;
  std::unique_ptr<Upstream> upstream_;
  std::map<std::string, std::unique_ptr<net::Relay>> relays_;
  struct Home {
    net::Relay* relay;
    std::uint64_t id;
  };
  std::map<std::uint64_t, Home> homes_;  ///< Doors, by the Region's number.
  posix::Timer timer_;
  bool settling_ = false;
  std::uint64_t saved_ = 0;
};

}  // namespace holdfast::lab
