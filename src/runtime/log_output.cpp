// See log_output.h.
#include "runtime/log_output.h"

#include <utility>

#include "base/limits.h"
#include "runtime/log_text.h"

namespace holdfast::runtime {

LogOutput::LogOutput(int fd, std::string journal)
    : writer_(fd), journal_(std::move(journal)), journal_stream_(posix::is_journal_stream(fd)) {
  set_format(LogFormat::automatic);
}

void LogOutput::set_format(LogFormat format) {
  const LogFormat best = journal_stream_ ? LogFormat::journal : LogFormat::text;
  const LogFormat next = format == LogFormat::automatic ? best : format;
  if (next != format_) absent_said_ = false;
  format_ = next;
}

std::shared_ptr<LogFile> LogOutput::set_file(std::shared_ptr<LogFile> file) {
  if (file_) file_lost_before_ += file_->lost();
  return std::exchange(file_, std::move(file));
}

std::uint64_t LogOutput::file_lost() const {
  return file_lost_before_ + (file_ ? file_->lost() : 0);
}

void LogOutput::put(const LogLine& line, WallTime time) {
  tell_losses(time);
  if (!hand_over(line, time)) {
    ++not_taken_;
    ++untold_;
  }
  if (!file_) return;
  const bool json = format_ == LogFormat::json;
  file_->put(json ? json_line(line, time, limits::kLogText) : text_line(line, time, false),
             line.level <= LogLevel::warning);
}

void LogOutput::service(WallTime time) {
  static_cast<void>(writer_.flush());
  tell_losses(time);
}

void LogOutput::tell_losses(WallTime time) {
  if (untold_ == 0) return;
  const LogLine line{LogLevel::warning,
                     LogArea::agent,
                     std::to_string(untold_) + " log lines were dropped: they were not taken",
                     {},
                     {{"dropped", static_cast<std::int64_t>(untold_)}}};
  if (hand_over(line, time)) untold_ = 0;
}

bool LogOutput::hand_over(const LogLine& line, WallTime time) {
  if (format_ != LogFormat::journal) return to_stderr(line, time);
  const auto sent = journal_.send(journal_datagram(line));
  if (sent != posix::JournalSocket::Sent::absent) {
    absent_said_ = false;
    return sent == posix::JournalSocket::Sent::taken;
  }
  if (!std::exchange(absent_said_, true)) {
    static_cast<void>(to_stderr({LogLevel::warning, LogArea::agent,
                                 "journald is not there; the log goes to standard error"},
                                time));
  }
  return to_stderr(line, time);
}

bool LogOutput::to_stderr(const LogLine& line, WallTime time) {
  if (format_ == LogFormat::json) return writer_.put(json_line(line, time, limits::kLogText));
  return writer_.put(text_line(line, time, journal_stream_));
}

}  // namespace holdfast::runtime
