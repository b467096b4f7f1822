// A small HTTP/1.1 server on any stream: questions in, answers out, files with ranges, and the
// upgrade to WebSocket.
//
// Threads:   the loop's thread only.
// Limits:    kHeaderMost, HttpServer::body_most, kHttpIdle between and within requests; one request
//            at a time, in order, as keep-alive wants it.
// Errors:    what cannot be understood is answered 400 (or 413, 431, 501), and the connection is
//            closed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "lab/net/stream.h"
#include "lab/net/tls.h"

namespace holdfast::lab::net {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpQuestion {
  std::string method;  ///< "GET"
  std::string target;  ///< "/topics/a?qos=1", as it came.
  HttpHeaders headers;
  std::string body;
  std::string certificate;  ///< SHA-256 fingerprint of the client's; empty: none shown.
  std::string alpn;
  std::string server_name;
  std::string peer;

  /// The first of this name, in any case of letters; empty when there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  /// Of the target, before '?'.
  [[nodiscard]] std::string_view path() const;
};

/// What goes wrong with a body on its way; positions count bytes of the whole file or body, so that
/// a client that asks for the rest gets past them.
struct HttpDamage {
  std::optional<std::uint64_t> cut_at;      ///< The connection is reset before this byte.
  std::optional<std::uint64_t> corrupt_at;  ///< This byte is inverted.
  std::optional<std::uint64_t> stall_at;    ///< Nothing more is sent from this byte on.
};

struct HttpAnswer {
  int status = 200;
  HttpHeaders headers;  ///< Content-Length, Connection and the range headers are added.
  std::string body;
  /// Not empty: the body is this file; GET may ask for one range of it (206, 416).
  std::string file;
  HttpDamage damage;
  Duration delay{};  ///< Before the answer.
};

using HttpHandler = std::function<HttpAnswer(const HttpQuestion&)>;

struct HttpServer {
  HttpHandler answer;  ///< Null: 404 for everything.
  /// GET /mqtt with an upgrade to WebSocket: nullopt to go on, or the answer that refuses it.
  std::function<std::optional<HttpAnswer>(const HttpQuestion&)> refuse_upgrade;
  /// Takes over the connection after the upgrade. Null: there is no upgrade.
  std::function<void(std::shared_ptr<Stream>, const HttpQuestion&)> upgraded;
  /// The connection is over, or taken over; in words for the trace.
  std::function<void(std::string_view how)> over;
  /// After each answer: what was asked, and the status.
  std::function<void(const HttpQuestion&, int status, std::uint64_t sent)> answered;
  std::size_t body_most = std::size_t{256} * 1024;
};

inline constexpr std::size_t kHeaderMost = std::size_t{16} * 1024;
inline constexpr Duration kHttpIdle = std::chrono::seconds(60);

/// Serves one connection until it ends. `tls`: of the stream, or null.
void serve_http(posix::EventLoop& loop, std::shared_ptr<Stream> stream, const TlsFacts* tls,
                std::string peer, HttpServer server);

/// Reads "bytes=N-M", "bytes=N-" or "bytes=-N" against a body of `size` bytes.
struct HttpRange {
  bool understood = false;  ///< False: several ranges, or another unit; the header is ignored.
  bool met = false;
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};
[[nodiscard]] HttpRange parse_range(std::string_view header, std::uint64_t size);

}  // namespace holdfast::lab::net
