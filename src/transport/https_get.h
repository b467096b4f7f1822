// One GET over HTTPS: the answer, whole and bounded, or the named reason why not.
//
// Purpose:  small questions of the device itself, with its certificate; not for downloads.
// Threads:  loop thread only; `done` comes through the event loop, never from inside a call.
// Limits:   those of the caller; each stage of the way keeps its own deadline (transport.h), and
// the
//           answer must have come within Target::connect_timeout of the question.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/secret.h"
#include "base/time.h"
#include "transport/transport.h"

namespace holdfast::transport {

struct HttpsQuestion {
  Target target;     ///< Without websocket_target.
  std::string path;  ///< With its query, percent-encoded.
  std::vector<std::pair<std::string, std::string>> headers;
  std::size_t body_max = 0;  ///< A longer answer is a protocol_error.
};

struct HttpsAnswer {
  unsigned status = 0;
  std::string words;  ///< "403 Forbidden", for people.
  Secret body;
  std::optional<WallTime> date;  ///< The server's clock, if it has said so.
};

/// Destroying it cancels; no callback follows.
class HttpsGet {
 public:
  /// Failures: those of the way; server_gone (ended before the end of the answer), silent_peer
  /// (no answer in time), protocol_error (no HTTP, or too much of it).
  using Done = std::function<void(std::variant<HttpsAnswer, env::Failure>)>;

  /// loop, resolver and clock must outlive it.
  HttpsGet(posix::EventLoop& loop, env::Resolver& resolver, env::Clock& clock,
           HttpsQuestion question, Done done);
  ~HttpsGet();
  HttpsGet(const HttpsGet&) = delete;
  HttpsGet& operator=(const HttpsGet&) = delete;

 private:
  class Work;
  std::shared_ptr<Work> work_;
};

}  // namespace holdfast::transport
