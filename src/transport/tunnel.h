// A way through an HTTP proxy: CONNECT (RFC 9110 section 9.3.6) on a socket to it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "env/engine.h"

namespace holdfast::transport {

/// Asks the proxy at the other end of `socket`, which must stay open until `done`, for a way to
/// `host` and `port`. `authorization` is the value of Proxy-Authorization, or empty; it is in no
/// words of a failure. Destroying it cancels; no callback follows.
class Tunnel {
 public:
  /// Null: the socket now leads to the host. Verdict of a failure: proxy_failed.
  using Done = std::function<void(const env::Failure* failure)>;

  Tunnel(boost::asio::ip::tcp::socket& socket, const std::string& host, std::uint16_t port,
         const std::string& authorization, Done done);
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace holdfast::transport
