// See logger.h.
#include "runtime/logger.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "posix/system.h"
#include "runtime/log_text.h"

namespace holdfast::runtime {

std::shared_ptr<Logger> Logger::to_stderr() {
  return writing(posix::make_clock(), STDERR_FILENO, posix::kJournalSocket);
}

std::shared_ptr<Logger> Logger::writing(Clock clock, int fd, std::string journal) {
  return std::make_shared<Logger>(std::move(clock), LogHandler(),
                                  std::make_optional<LogOutput>(fd, std::move(journal)));
}

std::shared_ptr<Logger> Logger::handing(Clock clock, LogHandler handler) {
  return std::make_shared<Logger>(std::move(clock), std::move(handler), std::nullopt);
}

Logger::Logger(Clock clock, LogHandler handler, std::optional<LogOutput> output)
    : clock_(std::move(clock)),
      handler_(std::move(handler)),
      output_(std::move(output)),
      gate_(config_.lines_per_hour) {
  set_level({}, config_.level);
}

void Logger::configure(const Config::Log& config) {
  set_level({}, config.level);
  for (const auto& [area, level] : config.areas) set_level(area, level);
  std::shared_ptr<LogFile> ended;  // outside of the lock, which its thread may wait for
  const std::lock_guard lock(mutex_);
  if (output_) {
    gate_.set_ceiling(config.lines_per_hour);
    output_->set_format(config.format);
    const bool same = config.file == config_.file && config.max_size == config_.max_size &&
                      config.keep == config_.keep;
    if (!same) ended = output_->set_file(make_file(config));
  }
  config_ = config;
}

std::shared_ptr<LogFile> Logger::make_file(const Config::Log& config) {
  if (config.file.empty()) return nullptr;
  return std::make_shared<LogFile>(config, [self = weak_from_this()](const Status& written) {
    const auto logger = self.lock();
    if (!logger) return;
    if (written.ok()) {
      logger->write({LogLevel::info, LogArea::agent, "the log file is written again"});
    } else {
      logger->write({LogLevel::warning, LogArea::agent,
                     "the log file is not written: " + written.error().message});
    }
  });
}

void Logger::set_level(std::optional<LogArea> area, LogLevel level) {
  for (std::size_t i = 0; i < kLogAreas; ++i) {
    if (!area || i == static_cast<std::size_t>(*area)) levels_[i] = level;
  }
}

void Logger::write(LogLine line) {
  if (!wants(line.level, line.area)) return;
  {
    const std::lock_guard lock(mutex_);
    if (output_) {
      for (const LogLine& one : gate_.admit(std::move(line), clock_->now())) emit(one);
      return;
    }
    ++written_;
    remember(line, clock_->wall());
  }
  if (handler_) handler_(line);
}

LogHandler Logger::handler() {
  return [self = shared_from_this()](const LogLine& line) { self->write(line); };
}

void Logger::emit(const LogLine& line) {
  const WallTime time = clock_->wall();
  ++written_;
  remember(line, time);
  output_->put(line, time);
}

void Logger::remember(const LogLine& line, WallTime time) {
  last_.push_back(json_line(line, time, limits::kLogLastLine));
  last_bytes_ += last_.back().size();
  while (last_.size() > limits::kLogLast || last_bytes_ > limits::kLogLastBytes) {
    last_bytes_ -= last_.front().size();
    last_.pop_front();
  }
}

void Logger::service() {
  const std::lock_guard lock(mutex_);
  if (!output_) return;
  const BootTime now = clock_->now();
  if (now >= gate_.next_due()) {
    for (const LogLine& one : gate_.due(now)) emit(one);
  }
  output_->service(clock_->wall());
}

void Logger::finish() {
  std::shared_ptr<LogFile> ended;
  const std::lock_guard lock(mutex_);
  if (!output_) return;
  for (const LogLine& one : gate_.rest(clock_->now())) emit(one);
  output_->service(clock_->wall());
  ended = output_->set_file(nullptr);
}

LogState Logger::state() const {
  LogState state;
  for (std::size_t i = 0; i < kLogAreas; ++i) state.levels[i] = levels_[i];
  const std::lock_guard lock(mutex_);
  state.written = written_;
  state.repeats = gate_.repeats();
  state.over_ceiling = gate_.over_ceiling();
  if (!output_) return state;
  state.not_taken = output_->not_taken();
  state.file_lost = output_->file_lost();
  return state;
}

std::vector<std::string> Logger::last(std::size_t count) const {
  const std::lock_guard lock(mutex_);
  const auto from = static_cast<std::ptrdiff_t>(last_.size() - std::min(count, last_.size()));
  return {last_.begin() + from, last_.end()};
}

}  // namespace holdfast::runtime
