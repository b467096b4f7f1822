// See log_file.h.
#include "runtime/log_file.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/limits.h"
#include "posix/rotating_file.h"

namespace holdfast::runtime {
namespace {

constexpr std::chrono::milliseconds kEndPatience{500};

}  // namespace

/// May outlive the LogFile, with a disk that hangs.
struct LogFile::Shared {
  Shared(const Config::Log& config, Trouble t)
      : file(config.file, config.max_size, config.keep), trouble(std::move(t)) {}

  posix::RotatingFile file;  // the thread's own
  Trouble trouble;

  std::mutex mutex;  // guards the rest
  std::condition_variable changed;
  std::string waiting;
  std::uint64_t lines_waiting = 0;
  std::uint64_t lost = 0;
  bool soon = false;
  bool ending = false;
  bool ended = false;
};

LogFile::LogFile(const Config::Log& config, Trouble trouble)
    : shared_(std::make_shared<Shared>(config, std::move(trouble))) {
  std::thread([shared = shared_] { run(shared); }).detach();
}

LogFile::~LogFile() {
  std::unique_lock lock(shared_->mutex);
  shared_->ending = true;
  shared_->changed.notify_all();
  shared_->changed.wait_for(lock, kEndPatience, [this] { return shared_->ended; });
}

void LogFile::put(const std::string& line, bool soon) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->waiting.size() + line.size() + 1 > limits::kLogQueue) {
    ++shared_->lost;
    return;
  }
  const bool first = shared_->waiting.empty();
  shared_->waiting += line;
  shared_->waiting += '\n';
  ++shared_->lines_waiting;
  shared_->soon = shared_->soon || soon;
  if (first || shared_->soon || shared_->waiting.size() >= kPage) shared_->changed.notify_all();
}

std::uint64_t LogFile::lost() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->lost;
}

void LogFile::run(const std::shared_ptr<Shared>& shared) {
  ::pthread_setname_np(::pthread_self(), "hf-log");
  bool failing = false;
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->changed.wait(lock, [&] { return !shared->waiting.empty() || shared->ending; });
    shared->changed.wait_for(lock, kGather, [&] {
      return shared->soon || shared->ending || shared->waiting.size() >= kPage;
    });
    if (shared->waiting.empty()) break;  // ending
    const std::string lines = std::exchange(shared->waiting, {});
    const std::uint64_t count = std::exchange(shared->lines_waiting, 0);
    shared->soon = false;
    lock.unlock();
    const Status written = shared->file.append(lines);
    if (written.ok() == failing) {
      failing = !failing;
      shared->trouble(written);
    }
    lock.lock();
    if (!written.ok()) shared->lost += count;
  }
  shared->ended = true;
  shared->changed.notify_all();
}

}  // namespace holdfast::runtime
