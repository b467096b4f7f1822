// The event loop of one thread: an Asio io_context with boot-time timers and descriptor watches.
//
// Threads:  run() on one thread; post() and stop() from any; the rest on the loop thread, or before
//           run().
// Errors:   EventLoop's constructor throws std::system_error when the process has no descriptors
//           left; nothing else here throws. Handlers must not throw.
// Wake-ups: an idle loop sleeps in epoll_wait without a time-out.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "base/time.h"

namespace holdfast::posix {

class TimerQueue;

class EventLoop {
 public:
  EventLoop();
  /// Drops what was posted and not yet run. Timers may outlive the loop; they never fire again.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// For Asio objects of transport.
  [[nodiscard]] boost::asio::io_context& context() noexcept { return context_; }

  /// Runs until stop(). Work posted before run() is kept. May be called again afterwards.
  void run();
  /// Ends run() after the handler under way; called before run(), ends that at once.
  void stop();
  /// Runs `work` on the loop thread, later, never from inside this call.
  void post(std::function<void()> work);

 private:
  friend class Timer;
  boost::asio::io_context context_{1};
  std::shared_ptr<TimerQueue> timers_;
};

/// A one-shot timer on CLOCK_BOOTTIME (timerfd), so that suspend counts. Destroying or arming it
/// again drops the earlier alarm; a dropped alarm is never delivered. Timers cost no descriptor:
/// the loop has one timerfd for all. Alarms due at the same time run in the order of arming.
class Timer {
 public:
  explicit Timer(EventLoop& loop);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// A time in the past fires as soon as the loop turns; kNever never fires.
  void arm_at(BootTime when, std::function<void()> alarm);
  void arm_after(Duration delay, std::function<void()> alarm);
  void cancel();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Watches a descriptor that somebody else owns, through a duplicate of it, so that the owner may
/// close it at any time. One-shot: call want() again after each callback.
/// The duplicate keeps the file open: the peer of a socket sees its end only when the watch is
/// destroyed, too. The descriptor becomes non-blocking for its owner as well.
class FdWatch {
 public:
  using Ready = std::function<void(bool readable, bool writable)>;
  FdWatch(EventLoop& loop, int fd);
  ~FdWatch();
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

  /// False when the descriptor could not be duplicated (none left): no callback will ever come.
  [[nodiscard]] bool valid() const noexcept;

  /// Replaces the earlier wish. Error and hang-up count as readable (and writable if wanted).
  void want(bool readable, bool writable, Ready ready);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace holdfast::posix
