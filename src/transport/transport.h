// A connected, secured byte stream, or the named reason why not.
//
// Purpose:  resolve → TCP (Happy Eyeballs, RFC 8305) → HTTP proxy → TLS → WebSocket, each stage
//           with its own deadline and verdict, cancellable at any moment, never blocking.
// Threads:  loop thread only; callbacks come through the event loop, never from inside a call.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>

#include "base/time.h"
#include "env/address_book.h"
#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "holdfast/config.h"
#include "posix/event_loop.h"
#include "posix/network.h"
#include "transport/certificate_look.h"

namespace holdfast::transport {

/// What was agreed in a TLS handshake, for people.
struct Secured {
  std::string version;  ///< "TLSv1.3".
  std::string suite;
  std::string alpn;  ///< The protocol that the server chose; empty: none.
  CertificateLook peer;
};

struct Target {
  std::string host;
  std::uint16_t port = 0;
  std::string websocket_target;  ///< Path and query to ask for WebSocket at; empty: none.
  ProxyConfig proxy;             ///< Then only its own name is looked up here.
  std::string proxy_password;
  TlsConfig tls;
  Duration resolve_timeout{};
  Duration connect_timeout{};  ///< TCP over all addresses; again for each later stage.
  Duration silent_after{};     ///< TCP_USER_TIMEOUT and keep-alive probes are derived from it.
  env::AddressBook* addresses = nullptr;  ///< Outlives the Connector; or none.
  /// Told when TLS is agreed, before what comes after it. Must not end the attempt. May be empty.
  std::function<void(const Secured&)> secured = nullptr;
};

/// Where an attempt leads to.
[[nodiscard]] Target target_of(const env::ConnectRequest& request);

/// An established stream. Destroying it closes the socket at once; no callback follows.
class Stream {
 public:
  /// Bytes transferred (read: 0 only at the peer's orderly end), or the failure as a verdict:
  /// server_gone (reset, closed), silent_peer (ETIMEDOUT), no_route, tls_failed, and
  /// tls_client_refused (TLS 1.3 alerts for a client certificate arrive with the first read).
  using Done = std::function<void(std::size_t bytes, const env::Failure* failure)>;
  virtual ~Stream() = default;
  /// One read and one write at a time. The memory must stay valid until the callback.
  virtual void read_some(std::span<std::byte> into, Done done) = 0;
  virtual void write_all(std::span<const std::byte> bytes, Done done) = 0;
  /// Begins an orderly end: TLS close_notify if possible, then FIN. Bounded by destruction.
  virtual void shutdown(std::function<void()> done) = 0;
  /// Whether packets can still leave for the peer.
  [[nodiscard]] virtual posix::Way way() const = 0;
  /// "203.0.113.7:8883 TLSv1.3", for logs.
  [[nodiscard]] virtual std::string description() const = 0;
};

/// Where the name service does not answer for so long, addresses that were good before are tried.
inline constexpr Duration kSlowLookup = std::chrono::seconds(3);

/// One attempt at a stream. Destroying it cancels. Kept beyond that by its owner, it learns what
/// became of the stream and tells Target::addresses.
class Connector {
 public:
  using Outcome = std::variant<std::unique_ptr<Stream>, env::Failure>;
  virtual ~Connector() = default;
  /// TCP is connected: a way was found.
  [[nodiscard]] virtual bool reached() const = 0;
  /// The name service failed so, and the stream leads to an address that was good before; null when
  /// the name was looked up. Only over TLS, which proves who is there, and only where the service
  /// gave no answer: that a name does not exist is believed.
  [[nodiscard]] virtual const env::Failure* unresolved() const = 0;
  /// What the host's name led to, when it was looked up for this stream; else empty.
  [[nodiscard]] virtual std::string canonical() const = 0;
  /// The broker has let us in over the stream.
  virtual void let_in() = 0;
  /// The stream, or what was said over it, has ended so.
  virtual void ended(Verdict verdict) = 0;
};

/// Begins an attempt; `done` is called exactly once unless the Connector is destroyed before.
[[nodiscard]] std::unique_ptr<Connector> connect(posix::EventLoop& loop, env::Resolver& resolver,
                                                 env::Clock& clock, const Target& target,
                                                 std::function<void(Connector::Outcome)> done);

/// Reads CA, certificate and key as connect() does and says what is wrong with them: unreadable,
/// not PEM, key does not fit the certificate. Never prints key material.
[[nodiscard]] Status check_credentials(const TlsConfig& tls);

}  // namespace holdfast::transport
