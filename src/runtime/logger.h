// A device's log: levels by area, what passes, where it goes, and the last lines.
//
// Purpose:  one for each device. It hands lines on to an application's LogHandler, all that are
//           severe enough; or it writes them itself (the agent's), through LogGate and LogOutput.
// Threads:  any. A LogHandler is called on the thread that logs, without a lock.
// Bounds:   the last limits::kLogLast lines, limits::kLogLastBytes of them, stay in RAM.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "env/clock.h"
#include "holdfast/config.h"
#include "holdfast/log.h"
#include "runtime/log_gate.h"
#include "runtime/log_output.h"

namespace holdfast::runtime {

class Logger : public std::enable_shared_from_this<Logger> {
 public:
  using Clock = std::shared_ptr<const env::Clock>;

  /// Writes to standard error, or wherever configure() says. Until then all but debug.
  [[nodiscard]] static std::shared_ptr<Logger> to_stderr();
  /// The same with other places for standard error and journald's socket.
  [[nodiscard]] static std::shared_ptr<Logger> writing(Clock clock, int fd, std::string journal);
  /// Hands on to `handler`, which may be empty.
  [[nodiscard]] static std::shared_ptr<Logger> handing(Clock clock, LogHandler handler);

  /// As the configuration says; levels set by set_level() end.
  void configure(const Config::Log& config);
  /// Until the next configure(). Without an area: for all.
  void set_level(std::optional<LogArea> area, LogLevel level);

  [[nodiscard]] bool wants(LogLevel level, LogArea area) const {
    return level <= levels_[static_cast<std::size_t>(area)].load(std::memory_order_relaxed);
  }
  void write(LogLine line);
  /// write() as a handler, which keeps this logger.
  [[nodiscard]] LogHandler handler();
  /// Says what is due. Call it now and then.
  void service();
  /// Says what has not been said, before the end.
  void finish();

  [[nodiscard]] LogState state() const;
  /// The last lines as JSON objects (log_text.h), oldest first, at most so many.
  [[nodiscard]] std::vector<std::string> last(std::size_t count) const;

  Logger(Clock clock, LogHandler handler, std::optional<LogOutput> output);

 private:
  /// With mutex_ held.
  void emit(const LogLine& line);
  void remember(const LogLine& line, WallTime time);
  [[nodiscard]] std::shared_ptr<LogFile> make_file(const Config::Log& config);

  const Clock clock_;
  const LogHandler handler_;
  std::array<std::atomic<LogLevel>, kLogAreas> levels_{};

  mutable std::mutex mutex_;  // guards the rest
  std::optional<LogOutput> output_;
  Config::Log config_;
  LogGate gate_;
  std::uint64_t written_ = 0;
  std::deque<std::string> last_;
  std::size_t last_bytes_ = 0;
};

}  // namespace holdfast::runtime
