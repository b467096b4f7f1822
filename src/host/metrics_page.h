// The page of metrics: a small HTTP server for whoever scrapes this device.
//
// Purpose:  GET /metrics on a socket that is given. One request for each connection, then it
// closes:
//           a scrape comes every some seconds, and a connection kept for it would cost memory.
// Threads:  the loop's. Never blocks: all sockets are non-blocking, and what is on the page is
//           collected by the caller, at once or later.
// Bounds:   limits::kMetricsClients connections, each limits::kMetricsRequest bytes of request and
//           limits::kMetricsSeconds from accept to the end, whatever the peer does. One connection
//           more takes the place of the oldest, so that slow ones cannot keep a scrape out. While a
//           page is being collected, all who ask wait for that one.
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

class MetricsPage {
 public:
  using Answer = std::function<void(std::string body)>;
  /// Makes the page and hands it to the answer: once, on the loop thread, now or soon.
  using Collect = std::function<void(Answer)>;

  /// How the connections ended.
  struct Counts {
    std::uint64_t answered = 0;   ///< With the page, whole.
    std::uint64_t refused = 0;    ///< With an error: no HTTP, another path or method, too long.
    std::uint64_t timed_out = 0;  ///< Too slow, asking or reading.
    std::uint64_t displaced = 0;  ///< The oldest of too many.
    std::uint64_t lost = 0;       ///< The peer has gone before it had its answer.
  };

  /// `listening` is non-blocking. `content_type` is the page's.
  MetricsPage(posix::EventLoop& loop, posix::UniqueFd listening, std::string content_type,
              Collect collect);
  /// On the loop thread, or after the loop has ended.
  ~MetricsPage();
  MetricsPage(const MetricsPage&) = delete;
  MetricsPage& operator=(const MetricsPage&) = delete;

  [[nodiscard]] const Counts& counts() const;

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace holdfast::host
