// A small HTTP server for the pages of this device: metrics, and the one to look at.
//
// Purpose:  GET and HEAD on a socket that is given. One request for each connection, then it
//           closes: who asks comes every some seconds, and a connection kept would cost memory.
// Threads:  the loop's. Never blocks: all sockets are non-blocking, and an answer is given by the
//           handler, at once or later.
// Bounds:   limits::kHttpClients connections, each limits::kHttpRequest bytes of request and
//           limits::kHttpSeconds from accept to the end, whatever the peer does. One connection
//           more takes the place of the oldest, so that slow ones cannot keep others out.
// Errors:   each connection ends in exactly one of Counts. A shortage of descriptors pauses
//           accepting for a second; it never spins.
// Sources:  RFC 9110, RFC 9112; the parser is Boost.Beast's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "posix/event_loop.h"
#include "posix/unique_fd.h"

namespace holdfast::host {

struct HttpRequest {
  std::string path;           ///< The target without its query.
  std::string authorization;  ///< The header's value; empty: none.
};

struct HttpAnswer {
  unsigned status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body{};
  std::string headers{};  ///< Further ones, each with "\r\n" at its end.
};

class HttpServer {
 public:
  using Answer = std::function<void(HttpAnswer)>;
  /// Answers once, on the loop thread, now or soon.
  using Handler = std::function<void(const HttpRequest&, Answer)>;

  /// How the connections ended.
  struct Counts {
    std::uint64_t answered = 0;   ///< Below 400, whole.
    std::uint64_t refused = 0;    ///< With an error: no HTTP, another path or method, too long.
    std::uint64_t timed_out = 0;  ///< Too slow, asking or reading.
    std::uint64_t displaced = 0;  ///< The oldest of too many.
    std::uint64_t lost = 0;       ///< The peer has gone before it had its answer.
  };

  /// `listening` is non-blocking.
  HttpServer(posix::EventLoop& loop, posix::UniqueFd listening, Handler handler);
  /// On the loop thread, or after the loop has ended.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] const Counts& counts() const;

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace holdfast::host
