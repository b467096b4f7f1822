// The fault relay: listens, and leads each device to the broker through whatever is switched on.
//
// Threads: the loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/clock.h"
#include "env/random.h"
#include "holdfast/result.h"
#include "lab/net/control.h"
#include "lab/net/conversation.h"
#include "lab/net/endpoint.h"
#include "lab/net/entry.h"
#include "lab/net/fault_switch.h"
#include "lab/net/http.h"
#include "lab/net/tls.h"
#include "lab/net/trace.h"

namespace holdfast::lab::net {

/// A device before its first MQTT packet.
struct Visitor {
  std::uint64_t id = 0;  ///< As in the trace; Relay::wake() takes it.
  std::string peer;
  const TlsFacts* tls = nullptr;          ///< Null without TLS.
  const HttpQuestion* upgrade = nullptr;  ///< Of a WebSocket.
};

struct RelayOptions {
  std::string name;  ///< By which orders about faults may choose it.
  Endpoint listen;
  Upstream upstream;
  /// none: MQTT as it is. pass: TLS between device and broker, which only byte faults can touch.
  /// terminate: TLS ends here.
  enum class Tls : std::uint8_t { none, pass, terminate } tls = Tls::none;
  TlsServerOptions server;  ///< terminate: the relay's own certificate and what it asks of devices.
  std::string certificates;  ///< terminate: the folder of TlsServers, for TLS faults.
  bool websocket = false;    ///< MQTT over WebSocket at GET /mqtt.
  /// terminate: asked after each handshake. Words: the device is not let in, the connection ends in
  /// order. Null: all are let in.
  std::function<std::optional<std::string>(const TlsFacts&)> turn_away;
  /// terminate, with `websocket`: whether this connection speaks MQTT at once. Null: never.
  std::function<bool(const TlsFacts&)> speaks_mqtt;
  /// Answers to what is no upgrade, and who may not upgrade; see HttpServer.
  HttpHandler http;
  std::function<std::optional<HttpAnswer>(const HttpQuestion&)> refuse_upgrade;
  /// Stages next to the broker, in the order from the device. Null: none.
  std::function<std::vector<std::unique_ptr<mqtt::Stage>>(const Visitor&)> stages;
};

class Relay {
 public:
  /// Connects itself to `faults`. All of `world` outlives it.
  struct World {
    posix::EventLoop& loop;
    const env::Clock& clock;
    env::Random& random;
    Trace& trace;
    FaultSwitch& faults;
  };
  Relay(const World& world, RelayOptions options);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// Errors: those of the certificates and of the address. Faults set before are checked, too.
  Status start();
  [[nodiscard]] std::uint16_t port() const noexcept;
  /// Lets the stages of a conversation do now what they have to; nothing when it is over.
  void wake(std::uint64_t id);
  /// Adds "connections", "kick" and "stats", with `prefix` before their names.
  void add_operations(Control& control, const std::string& prefix = {});

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace holdfast::lab::net
