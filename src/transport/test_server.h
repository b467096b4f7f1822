// Peers for tests: TCP and real OpenSSL servers on 127.0.0.1, each with a thread of its own.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "posix/unique_fd.h"
#include "transport/openssl_ptr.h"
#include "transport/test_pki.h"

namespace holdfast::transport {

/// A listening socket on a free port of 127.0.0.1 (or another address of this machine).
class TestListener {
 public:
  explicit TestListener(int backlog = 128, const char* address = "127.0.0.1");
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  posix::UniqueFd fd_;
  std::uint16_t port_ = 0;
};

/// Accepts one connection after the other and runs `talk` on each, on its own thread; the socket is
/// blocking, with a receive time-out, and is closed when `talk` returns.
class TestServer {
 public:
  using Talk = std::function<void(int fd)>;
  explicit TestServer(Talk talk);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }
  [[nodiscard]] int accepted() const { return accepted_.load(); }

 private:
  void serve();
  TestListener listener_;
  Talk talk_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> accepted_{0};
  std::thread thread_;
};

/// Reads until the peer ends, so that it decides when the connection is over.
void hold(int fd);
/// Closes with RST.
void reset_on_close(int fd);
/// A port of 127.0.0.1 that nobody listens on.
[[nodiscard]] std::uint16_t closed_port();

struct TlsServerOptions {
  const Identity* identity = nullptr;
  const Identity* client_ca = nullptr;  ///< A client certificate of this CA is required.
  int max_version = 0;                  ///< 0: the newest.
  std::string alpn;                     ///< The only protocol the server takes.
};

/// How many descriptors this process has open.
[[nodiscard]] std::size_t open_descriptors();

/// What a server does once it has sent its alert.
enum class AfterRefusal : std::uint8_t { wait, close };

/// A server-side TLS connection for use inside Talk: handshakes, then `serve` has the SSL.
class TlsServerContext {
 public:
  explicit TlsServerContext(const TlsServerOptions& options);
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;
  /// Returns whether the handshake succeeded; if not, the alert has been sent.
  bool serve(int fd, const std::function<void(SSL*)>& talk,
             AfterRefusal after = AfterRefusal::wait) const;

 private:
  SslCtxPtr context_;
  std::string alpn_;
};

/// Sends back what comes until the peer ends.
void echo(SSL* ssl);

}  // namespace holdfast::transport
