// Asks something that may take its time, or hang, again and again on a thread of its own.
//
// Threads: `ask` and `told` are called on that thread; `told` never after the destructor.
// Ends:    a thread that hangs in `ask` is left behind.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/time.h"

namespace holdfast::runtime {

template <class Answer>
class PolledWatch {
 public:
  /// `ask` must refer to nothing of its caller's. Throws std::system_error when no thread is left.
  PolledWatch(Duration every, std::function<Answer()> ask, std::function<void(const Answer&)> told)
      : shared_(std::make_shared<Shared>()) {
    shared_->told = std::move(told);
    std::thread([shared = shared_, every, ask = std::move(ask)] {
      for (;;) {
        const Answer answer = ask();
        std::unique_lock lock(shared->mutex);
        if (!shared->told) return;
        shared->told(answer);
        shared->wake.wait_for(lock, every, [&] { return !shared->told; });
        if (!shared->told) return;
      }
    }).detach();
  }
  ~PolledWatch() {
    {
      const std::lock_guard lock(shared_->mutex);
      shared_->told = nullptr;
    }
    shared_->wake.notify_all();
  }
  PolledWatch(const PolledWatch&) = delete;
  PolledWatch& operator=(const PolledWatch&) = delete;

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable wake;
    std::function<void(const Answer&)> told;  // empty: it is over
  };
  std::shared_ptr<Shared> shared_;
};

}  // namespace holdfast::runtime
