// See executor.h. The thread and the object share one state, so that an abandoned thread may
// outlive the object.
#include "runtime/executor.h"

#include <pthread.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "base/check.h"
#include "base/limits.h"

namespace holdfast::runtime {

struct Executor::Shared {
  std::shared_ptr<const env::Clock> clock;
  LogHandler log;
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable ended;
  std::deque<Task> queue;
  Duration alarm;
  BootTime running_since = kNever;  // kNever: no callback is running
  bool reported = false;            // the running callback has been reported already
  bool stopping = false;
  bool abandoned = false;
  bool finished = false;
  bool asleep = false;  // the thread waits for `wake`
  std::uint64_t slow = 0;
  std::uint64_t ended_count = 0;
  std::uint64_t thrown = 0;

  Shared(std::shared_ptr<const env::Clock> c, Duration a, LogHandler l)
      : clock(std::move(c)), log(std::move(l)), alarm(a) {}
};

Executor::Executor(std::shared_ptr<const env::Clock> clock, Duration alarm, LogHandler log)
    : shared_(std::make_shared<Shared>(std::move(clock), alarm, std::move(log))) {
  thread_ = std::thread([shared = shared_] { run(shared); });
}

Executor::~Executor() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
    shared_->abandoned = true;
    shared_->queue.clear();
  }
  shared_->wake.notify_all();
  thread_.detach();
}

void Executor::report_slow(Shared& shared, Duration took, bool finished) {
  ++shared.slow;
  if (!shared.log) return;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  shared.log({LogLevel::warning,
              LogArea::callbacks,
              "an application callback " +
                  std::string(finished ? "took " : "has been running for ") + std::to_string(ms) +
                  " ms; callbacks behind it wait, the connection does not",
              {},
              {{"took_ms", ms}}});
}

void Executor::post(std::vector<Task> tasks) {
  if (tasks.empty()) return;
  bool wake = false;
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->finished || shared_->abandoned) return;
    for (Task& task : tasks) shared_->queue.push_back(std::move(task));
    // A thread at work looks at the queue before it sleeps; waking it costs a system call.
    wake = std::exchange(shared_->asleep, false);
    if (shared_->running_since != kNever && !shared_->reported) {
      const Duration running = shared_->clock->now() - shared_->running_since;
      shared_->reported = running > shared_->alarm;
      if (shared_->reported) report_slow(*shared_, running, false);
    }
  }
  if (wake) shared_->wake.notify_one();
}

bool Executor::post_droppable(Task task) {
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->finished || shared_->abandoned) return false;
    if (shared_->queue.size() >= limits::kExecutorQueue) return false;
  }
  std::vector<Task> one;
  one.push_back(std::move(task));
  post(std::move(one));
  return true;
}

void Executor::set_alarm(Duration alarm) {
  const std::lock_guard lock(shared_->mutex);
  shared_->alarm = alarm;
}

std::uint64_t Executor::slow_callbacks() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->slow;
}

std::uint64_t Executor::prove() {
  std::uint64_t count = 0;
  bool idle = false;
  {
    const std::lock_guard lock(shared_->mutex);
    count = shared_->ended_count;
    idle = shared_->queue.empty() && shared_->running_since == kNever;
  }
  if (idle) post({[] {}});
  return count;
}

bool Executor::on_executor_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

bool Executor::stop(BootTime deadline) {
  HF_CHECK(!on_executor_thread());
  if (!thread_.joinable()) return true;
  bool finished = false;
  {
    std::unique_lock lock(shared_->mutex);
    shared_->stopping = true;
    shared_->wake.notify_all();
    const auto left = std::max(deadline - shared_->clock->now(), Duration::zero());
    finished = shared_->ended.wait_for(lock, left, [this] { return shared_->finished; });
    if (!finished) {
      shared_->abandoned = true;
      shared_->queue.clear();
    }
  }
  if (finished) {
    thread_.join();
  } else {
    thread_.detach();
  }
  return finished;
}

namespace {

/// Runs one callback; what it throws must not end the thread.
bool run_guarded(const Executor::Task& task) noexcept {
  try {
    task();
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace

void Executor::run(const std::shared_ptr<Shared>& shared) {
  ::pthread_setname_np(::pthread_self(), "hf-callbacks");
  std::unique_lock lock(shared->mutex);
  for (;;) {
    while (!shared->stopping && shared->queue.empty()) {
      shared->asleep = true;
      shared->wake.wait(lock);
    }
    shared->asleep = false;
    if (shared->queue.empty() || shared->abandoned) break;
    Task task = std::move(shared->queue.front());
    shared->queue.pop_front();
    const BootTime began = shared->clock->now();
    shared->running_since = began;
    shared->reported = false;
    lock.unlock();
    const bool returned = run_guarded(task);
    task = nullptr;
    lock.lock();
    shared->running_since = kNever;
    ++shared->ended_count;
    if (shared->abandoned) break;
    const Duration took = shared->clock->now() - began;
    if (took > shared->alarm && !shared->reported) report_slow(*shared, took, true);
    if (!returned) {
      ++shared->thrown;
      if (shared->log) {
        shared->log(
            {LogLevel::error, LogArea::callbacks, "an application callback threw; ignored"});
      }
    }
  }
  shared->finished = true;
  shared->ended.notify_all();
}

}  // namespace holdfast::runtime
