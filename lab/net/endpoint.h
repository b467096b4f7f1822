// Where to listen and where to connect: "host:port" or "unix:PATH"; connecting, and accept loops.
//
// Threads: the loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "holdfast/result.h"
#include "lab/net/stream.h"

namespace holdfast::lab::net {

/// Either a TCP host and port, or the path of a Unix socket.
struct Endpoint {
  std::string host;  ///< A name or a numeric address; IPv6 without brackets.
  std::uint16_t port = 0;
  std::string path;  ///< Not empty: a Unix socket.
};
/// "host:port", "[::1]:port", "port" (loopback) or "unix:PATH". Errors: invalid_argument.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);
[[nodiscard]] std::string to_string(const Endpoint& endpoint);

/// Connects; tries the addresses of a name one after the other. `done` gets the stream, or why not,
/// within kConnectMost.
using OnConnected = std::function<void(Result<std::shared_ptr<Stream>>)>;
void connect(posix::EventLoop& loop, const Endpoint& to, OnConnected done);
inline constexpr Duration kConnectMost = std::chrono::seconds(10);

/// What is done with a connection that arrives.
enum class Reception : std::uint8_t {
  serve,
  refuse,  ///< RST at once, the nearest to "connection refused" that an open port comes.
  ignore,  ///< Held open, never read, never answered.
};

/// Accepts connections on one address until destroyed.
class Listener {
 public:
  struct Handlers {
    /// Asked for each connection, with the peer's address.
    std::function<Reception(const std::string& peer)> receive;
    std::function<void(std::shared_ptr<Stream> stream, const std::string& peer)> serve;
  };
  Listener(posix::EventLoop& loop, Handlers handlers);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Port 0: a free one. `at.host` is a numeric address or "localhost". Errors: invalid_argument,
  /// in_use and those of the system, with the address.
  Status listen(const Endpoint& at);
  /// Of TCP, after listen().
  [[nodiscard]] std::uint16_t port() const noexcept;

  /// Of ignored connections; those beyond are refused.
  static constexpr std::size_t kMostIgnored = 4096;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace holdfast::lab::net
