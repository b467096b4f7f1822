// What happened, as lines of JSON: to a file, and to whoever listens. docs/relay-trace.md lists
// every event and member.
//
// Threads: the loop's thread only.
// Errors:  a file that cannot be written is told once by failed(); the trace goes on without it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/time.h"
#include "env/clock.h"
#include "holdfast/result.h"

namespace holdfast::lab::net {

/// Members stay in the order in which they were set.
using Json = nlohmann::ordered_json;

/// `value` on one line; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string line_of(const Json& value);

class Trace {
 public:
  explicit Trace(const env::Clock& clock) : clock_(clock), start_(clock.now()) {}

  /// Appends to `path`, line by line, so that a reader can follow.
  Status open(const std::string& path);

  /// Adds "t" and "wall" to `members` and hands the line on. `conn` 0: of no connection.
  void event(std::string_view name, std::uint64_t conn, const Json& members = Json::object());

  /// To the microsecond, as all times in the trace.
  [[nodiscard]] static double in_seconds(Duration time);
  /// In seconds.
  [[nodiscard]] double since_start(BootTime when) const { return in_seconds(when - start_); }
  [[nodiscard]] BootTime now() const { return clock_.now(); }
  /// A number for a connection: no two in one trace are the same.
  [[nodiscard]] std::uint64_t next_connection() noexcept { return ++connections_; }

  using Listener = std::function<void(const std::string& line)>;
  /// Called with every line until the key is dropped.
  [[nodiscard]] std::shared_ptr<void> listen(Listener listener);
  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  const env::Clock& clock_;
  BootTime start_;
  std::unique_ptr<std::FILE, Close> file_;
  bool failed_ = false;
  std::uint64_t connections_ = 0;
  // The key of a listener owns it; the trace only knows it.
  std::list<std::weak_ptr<Listener>> listeners_;
};

}  // namespace holdfast::lab::net
