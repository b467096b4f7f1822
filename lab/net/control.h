// Orders over a Unix socket: one JSON object a line, one answer a line.
//
//     {"id": 7, "op": "stats"}   ->   {"id": 7, "ok": {…}}   or   {"id": 7, "error": "…"}
//
// An operation is a name and a function; each part of the lab adds its own.
// Threads: the loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "holdfast/result.h"
#include "lab/net/trace.h"
#include "posix/event_loop.h"

namespace holdfast::lab::net {

/// Who asks: for operations that go on telling after their answer.
class ControlSession {
 public:
  virtual ~ControlSession() = default;
  /// Sends one more line. False when the session is over, or was ended because its reader is more
  /// than kUnread bytes behind.
  virtual bool tell(const std::string& line) = 0;
  /// Keeps something alive for as long as the session lasts.
  virtual void keep(std::shared_ptr<void> thing) = 0;

  static constexpr std::size_t kUnread = std::size_t{4} * 1024 * 1024;
};

class Control {
 public:
  /// What is answered as "ok", or the words of the "error".
  using Operation = std::function<Result<Json>(const Json& request, ControlSession& session)>;

  explicit Control(posix::EventLoop& loop);
  /// Ends every session and removes the socket.
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// REQUIRES: `name` is new.
  void add(std::string_view name, Operation operation);
  /// Serves `path`, for the owner only. A socket that nobody serves any more is replaced.
  /// Errors: in_use, and those of the system, with the path.
  Status listen(const std::string& path);
  /// Answers one request as a session would; for programs that get orders in other ways.
  [[nodiscard]] Json answer(std::string_view line, ControlSession& session) const;

  static constexpr std::size_t kLongestLine = std::size_t{1} * 1024 * 1024;
  static constexpr std::size_t kMostSessions = 64;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Adds "trace": from then on the session gets every line of the trace.
void add_trace_operation(Control& control, Trace& trace);

}  // namespace holdfast::lab::net
