// Where a device that writes its own log writes it: journald, or standard error; and a file.
//
// Threads:  one at a time. Never waits: what is not taken at once is dropped and counted, and the
//           count is written as soon as something is taken again.
// Fall-back: when journald is not there, lines go to standard error, which is said once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/time.h"
#include "holdfast/config.h"
#include "holdfast/log.h"
#include "posix/journal_socket.h"
#include "posix/line_writer.h"
#include "runtime/log_file.h"

namespace holdfast::runtime {

class LogOutput {
 public:
  explicit LogOutput(int fd, std::string journal = posix::kJournalSocket);

  void set_format(LogFormat format);
  /// Null: none. The one before is handed back, since ending it takes a moment.
  [[nodiscard]] std::shared_ptr<LogFile> set_file(std::shared_ptr<LogFile> file);

  void put(const LogLine& line, WallTime time);
  /// Tries again what has been left over.
  void service(WallTime time);

  [[nodiscard]] std::uint64_t not_taken() const { return not_taken_; }
  [[nodiscard]] std::uint64_t file_lost() const;

 private:
  [[nodiscard]] bool hand_over(const LogLine& line, WallTime time);
  [[nodiscard]] bool to_stderr(const LogLine& line, WallTime time);
  void tell_losses(WallTime time);

  posix::LineWriter writer_;
  posix::JournalSocket journal_;
  const bool journal_stream_;  ///< Standard error is journald's.
  LogFormat format_ = LogFormat::text;
  bool absent_said_ = false;
  std::shared_ptr<LogFile> file_;
  std::uint64_t file_lost_before_ = 0;  ///< By files that were replaced.
  std::uint64_t not_taken_ = 0;
  std::uint64_t untold_ = 0;  ///< Of these: not yet written about.
};

}  // namespace holdfast::runtime
