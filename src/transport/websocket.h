// The client's end of WebSocket (RFC 6455) as a stream: MQTT in binary frames (MQTT 5.0 section 6).
//
// Threads: the loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "posix/event_loop.h"
#include "transport/transport.h"

namespace holdfast::transport {

struct UpgradeRequest {
  std::string host;    ///< For the Host header, with the port where it is not the usual one.
  std::string target;  ///< Path and query.
};

/// Asks the server at the other end of `below` for WebSocket. Destroying it cancels; no callback
/// follows.
class Upgrade {
 public:
  /// The stream of what the binary frames carry, or why not: not_authorized (401, 403), throttled
  /// (429, 503), protocol_error for all other answers, or the failure of `below`.
  using Done = std::function<void(Connector::Outcome)>;

  Upgrade(posix::EventLoop& loop, std::unique_ptr<Stream> below, const UpgradeRequest& request,
          Done done);
  ~Upgrade();
  Upgrade(const Upgrade&) = delete;
  Upgrade& operator=(const Upgrade&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace holdfast::transport
