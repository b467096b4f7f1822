#include "posix/clock_watch.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>
#include <limits>
#include <utility>

#include "base/check.h"

namespace holdfast::posix {

ClockWatch::ClockWatch(EventLoop& loop, std::function<void()> set)
    : set_(std::move(set)), timer_(::timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC)) {
  HF_CHECK(set_ != nullptr);
  if (!timer_) return;
  ready_ = std::make_unique<FdWatch>(loop, timer_.get());
  arm();
}

ClockWatch::~ClockWatch() = default;

/// The alarm itself is never meant to ring: what counts is that a step of the clock cancels it.
void ClockWatch::arm() {
  itimerspec never{};
  never.it_value.tv_sec = std::numeric_limits<std::int32_t>::max() * std::int64_t{100};
  static_cast<void>(::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
                                      &never, nullptr));
  ready_->want(true, false, [this](bool, bool) {
    std::uint64_t rung = 0;
    const bool stepped = ::read(timer_.get(), &rung, sizeof rung) < 0;  // ECANCELED
    arm();
    if (stepped) set_();
  });
}

}  // namespace holdfast::posix
