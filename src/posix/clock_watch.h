// Tells that the wall clock has been set: by time synchronization at last, or by hand.
//
// Purpose: a device that waits because its clock was wrong goes on as soon as it is right.
// Threads: loop thread only.
// Source:  timerfd_create(2), TFD_TIMER_CANCEL_ON_SET.
#pragma once

#include <functional>
#include <memory>

#include "posix/event_loop.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

class ClockWatch {
 public:
  /// `set` is called after each step of the clock. A clock that is only slewed makes no step.
  ClockWatch(EventLoop& loop, std::function<void()> set);
  ~ClockWatch();
  ClockWatch(const ClockWatch&) = delete;
  ClockWatch& operator=(const ClockWatch&) = delete;

 private:
  void arm();

  std::function<void()> set_;
  UniqueFd timer_;
  std::unique_ptr<FdWatch> ready_;
};

}  // namespace holdfast::posix
