// The executor: one thread that runs the application's callbacks, in order, one at a time.
//
// Purpose:  a callback that blocks delays callbacks only; it is noticed, counted and logged.
// Threads:  post…() from any thread; callbacks run on the executor's own.
// Bounds:   post_droppable() refuses over limits::kExecutorQueue. post() always takes: its callers
//           are bounded themselves (receipts by the messages pending, connection events by time).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "env/clock.h"
#include "holdfast/device.h"

namespace holdfast::runtime {

class Executor {
 public:
  using Task = std::function<void()>;

  Executor(std::shared_ptr<const env::Clock> clock, Duration alarm, LogHandler log);
  /// Detaches the thread if stop() has not been called: never waits.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void post(std::vector<Task> tasks);
  /// False, and nothing queued, when the queue is full.
  [[nodiscard]] bool post_droppable(Task task);

  void set_alarm(Duration alarm);
  [[nodiscard]] std::uint64_t slow_callbacks() const;
  [[nodiscard]] bool on_executor_thread() const;
  /// How many callbacks have ended. If the thread is idle it is given one that does nothing, so
  /// that the number grows until the next call unless a callback is stuck.
  [[nodiscard]] std::uint64_t prove();

  /// Runs what is queued, then ends the thread. False if a callback has not returned by the
  /// deadline: then the thread is abandoned, still inside that callback, and further queued tasks
  /// are not run.
  bool stop(BootTime deadline);

 private:
  struct Shared;
  static void run(const std::shared_ptr<Shared>& shared);
  static void report_slow(Shared& shared, Duration took, bool finished);

  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace holdfast::runtime
