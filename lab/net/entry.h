// The ways in and out: TLS at the device's side, and the connection to the broker.
//
// Threads: the loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lab/net/endpoint.h"
#include "lab/net/stream.h"
#include "lab/net/tls.h"
#include "lab/net/trace.h"

namespace holdfast::lab::net {

/// For the trace and for "connections": what docs/relay-trace.md lists under "tls".
[[nodiscard]] Json describe(const TlsFacts& facts);

inline constexpr Duration kHandshakeMost = std::chrono::seconds(30);

/// The server's handshake with a device, traced as "tls" of connection `conn`. `done` gets the
/// stream, or nullptr when it failed; then the alert was sent and the connection is closed.
void open_tls(posix::EventLoop& loop, Trace& trace, std::uint64_t conn, const TlsServer& server,
              std::shared_ptr<Stream> below, std::function<void(std::shared_ptr<TlsStream>)> done);

/// The broker, and how to speak to it.
struct Upstream {
  Endpoint at;
  std::optional<TlsClient> tls;
};
void open_upstream(posix::EventLoop& loop, const Upstream& upstream, OnConnected done);

}  // namespace holdfast::lab::net
