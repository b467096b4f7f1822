// Carries what the library's thread reports to the loop thread, in order.
//
// Threads:  put() from any thread; the rest on the loop thread. After close() nothing arrives any
//           more, however long the library keeps its share.
// Bounds:   the loop takes everything in each turn, and the library gets no bytes but by the loop.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engines/session.h"
#include "posix/event_loop.h"

namespace holdfast::engines {

class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  Mailbox(posix::EventLoop& loop, std::function<void()> news)
      : loop_(&loop), news_(std::move(news)) {}

  void put(SessionEvent event) {
    const std::lock_guard lock(mutex_);
    if (loop_ == nullptr) return;
    events_.push_back(std::move(event));
    if (!std::exchange(announced_, true))
      loop_->post([self = shared_from_this()] { self->tell(); });
  }

  [[nodiscard]] std::vector<SessionEvent> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

  void close() {
    const std::lock_guard lock(mutex_);
    loop_ = nullptr;
    events_.clear();
    news_ = nullptr;
  }

 private:
  void tell() {
    std::function<void()> news;
    {
      const std::lock_guard lock(mutex_);
      announced_ = false;
      news = news_;
    }
    if (news) news();
  }

  std::mutex mutex_;
  posix::EventLoop* loop_;  ///< Null once closed.
  std::function<void()> news_;
  std::vector<SessionEvent> events_;
  bool announced_ = false;
};

}  // namespace holdfast::engines
