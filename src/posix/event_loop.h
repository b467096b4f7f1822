// The event loop of one thread: an Asio io_context with boot-time timers and descriptor watches.
//
// Threads:  run() on one thread; post() and stop() from any; the rest on the loop thread.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "base/time.h"

namespace holdfast::posix {

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// For Asio objects of transport.
  [[nodiscard]] boost::asio::io_context& context() noexcept { return context_; }

  /// Runs until stop(). Work posted before run() is kept.
  void run();
  /// Ends run() after the handler under way.
  void stop();
  /// Runs `work` on the loop thread, later, never from inside this call.
  void post(std::function<void()> work);

 private:
  boost::asio::io_context context_{1};
};

/// A one-shot timer on CLOCK_BOOTTIME (timerfd), so that suspend counts. Destroying or arming it
/// again drops the earlier alarm; a dropped alarm is never delivered.
class Timer {
 public:
  explicit Timer(EventLoop& loop);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void arm_at(BootTime when, std::function<void()> alarm);
  void arm_after(Duration delay, std::function<void()> alarm);
  void cancel();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Watches a descriptor that somebody else owns, through a duplicate of it, so that the owner may
/// close it at any time. One-shot: call want() again after each callback.
class FdWatch {
 public:
  using Ready = std::function<void(bool readable, bool writable)>;
  FdWatch(EventLoop& loop, int fd);
  ~FdWatch();
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

  /// Replaces the earlier wish. Error and hang-up count as readable (and writable if wanted).
  void want(bool readable, bool writable, Ready ready);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace holdfast::posix
