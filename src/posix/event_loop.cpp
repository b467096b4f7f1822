#include "posix/event_loop.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <map>
#include <optional>
#include <system_error>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include "base/check.h"

namespace holdfast::posix {

namespace {

BootTime boot_now() {
  timespec now{};
  HF_CHECK(::clock_gettime(CLOCK_BOOTTIME, &now) == 0);
  return BootTime(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

int open_timerfd() {
  const int fd = ::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  return fd;
}

}  // namespace

// All timers of a loop behind one timerfd. The descriptor is set to the earliest alarm only when
// that moves earlier; when alarms move later, which they do with every message, it wakes up once
// for nothing and is then set anew. That saves a system call each time a timer is pushed back.
class TimerQueue : public std::enable_shared_from_this<TimerQueue> {
 public:
  using Key = std::pair<BootTime, std::uint64_t>;

  explicit TimerQueue(boost::asio::io_context& context)
      : descriptor_(std::in_place, context, open_timerfd()) {}

  void close() {
    descriptor_.reset();
    alarms_.clear();
  }

  Key add(BootTime when, std::function<void()> alarm) {
    const Key key{when, ++sequence_};
    if (!descriptor_) return key;  // The loop is gone.
    alarms_.emplace(key, std::move(alarm));
    if (when < set_for_) set(when);
    return key;
  }

  void remove(const Key& key) { alarms_.erase(key); }

 private:
  void set(BootTime when) {
    const Duration since_boot = std::max(when.time_since_epoch(), Duration(1));  // 0 would disarm
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
    itimerspec spec{};
    spec.it_value.tv_sec = whole.count();
    spec.it_value.tv_nsec = (since_boot - whole).count();
    HF_CHECK(::timerfd_settime(descriptor_->native_handle(), TFD_TIMER_ABSTIME, &spec, nullptr) ==
             0);
    set_for_ = when;
    if (!waiting_) wait();
  }

  void wait() {
    waiting_ = true;
    descriptor_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                            [self = shared_from_this()](const boost::system::error_code& error) {
                              self->waiting_ = false;
                              if (!error && self->descriptor_) self->expired();
                            });
  }

  void expired() {
    std::uint64_t expirations = 0;
    if (::read(descriptor_->native_handle(), &expirations, sizeof(expirations)) < 0) {
      wait();  // Set to a later time after it had expired: nothing is due.
      return;
    }
    set_for_ = kNever;
    run_due();
    if (descriptor_ && !alarms_.empty() && alarms_.begin()->first.first < set_for_) {
      set(alarms_.begin()->first.first);
    }
  }

  // The due keys are taken first: an alarm may remove others, or add new ones that are due already;
  // those wait for the next turn, so that the loop always gets round.
  void run_due() {
    std::vector<Key> due;
    const BootTime now = boot_now();
    for (auto at = alarms_.begin(); at != alarms_.end() && at->first.first <= now; ++at) {
      due.push_back(at->first);
    }
    for (const Key& key : due) {
      auto node = alarms_.extract(key);
      if (!node.empty()) node.mapped()();
    }
  }

  std::optional<boost::asio::posix::stream_descriptor> descriptor_;
  std::map<Key, std::function<void()>> alarms_;
  std::uint64_t sequence_ = 0;
  BootTime set_for_ = kNever;
  bool waiting_ = false;
};

EventLoop::EventLoop() : timers_(std::make_shared<TimerQueue>(context_)) {}

EventLoop::~EventLoop() { timers_->close(); }

void EventLoop::run() {
  {
    const auto guard = boost::asio::make_work_guard(context_);
    context_.run();
  }
  context_.restart();  // Last: where nothing else waits, the end of the guard stops the context.
}

void EventLoop::stop() { context_.stop(); }

void EventLoop::post(std::function<void()> work) { boost::asio::post(context_, std::move(work)); }

struct Timer::State {
  std::shared_ptr<TimerQueue> queue;
  std::optional<TimerQueue::Key> key;
};

Timer::Timer(EventLoop& loop) : state_(std::make_shared<State>()) { state_->queue = loop.timers_; }

Timer::~Timer() { cancel(); }

void Timer::arm_at(BootTime when, std::function<void()> alarm) {
  HF_CHECK(alarm != nullptr);
  cancel();
  if (when != kNever) state_->key = state_->queue->add(when, std::move(alarm));
}

void Timer::arm_after(Duration delay, std::function<void()> alarm) {
  const BootTime now = boot_now();
  const bool fits = delay < kNever - now;
  arm_at(fits ? now + delay : kNever, std::move(alarm));
}

void Timer::cancel() {
  if (state_->key) state_->queue->remove(*state_->key);
  state_->key.reset();
}

}  // namespace holdfast::posix
