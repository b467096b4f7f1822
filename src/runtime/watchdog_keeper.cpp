#include "runtime/watchdog_keeper.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <utility>

#include "posix/poll_wait.h"
#include "posix/system.h"

namespace holdfast::runtime {

namespace {

constexpr Duration kOpenAgain = std::chrono::minutes(1);
constexpr int kFeedsPerLimit = 4;

std::string in_seconds(Duration time) {
  return std::to_string(std::chrono::duration_cast<Seconds>(time).count()) + " s";
}

}  // namespace

WatchdogKeeper::WatchdogKeeper(const Config::Watchdog& rules, LogHandler log)
    : rules_(rules), log_(std::move(log)), clock_(posix::make_clock()) {
  if (!rules_.device.empty()) open();
}

WatchdogKeeper::~WatchdogKeeper() { end_trust(); }

void WatchdogKeeper::open() {
  auto opened = posix::WatchdogDevice::open(rules_.device, rules_.timeout, rules_.pretimeout);
  if (!opened) {
    open_again_ = clock_->now() + kOpenAgain;
    log_({LogLevel::error, LogArea::health,
          opened.error().message + "; until then no hardware resets this machine when it hangs"});
    return;
  }
  open_again_ = kNever;
  std::string text = "hardware watchdog " + rules_.device.string() + " (" + opened->identity() +
                     ") resets this machine when it is not fed for " +
                     in_seconds(opened->timeout());
  if (opened->timeout() != rules_.timeout) {
    text += "; its driver has no " + in_seconds(rules_.timeout);
  }
  if (rules_.pretimeout.count() > 0 && !opened->pretimeout()) text += "; it has no pretimeout";
  if (!opened->stoppable()) text += "; once started it cannot be stopped";
  log_({LogLevel::info, LogArea::health, std::move(text)});
  if (opened->has_reset()) {
    log_({LogLevel::warning, LogArea::health,
          "the hardware watchdog has reset this machine before this start"});
  }
  const std::lock_guard lock(mutex_);
  dog_.emplace(std::move(opened).value());
}

void WatchdogKeeper::trust(Milliseconds patience) {
  end_trust();
  if (!dog_) return;
  budget_.reset();
  next_look_ = kNever;
  trusted_ = true;
  feeder_ = std::thread([this, until = clock_->now() + patience] {
    std::unique_lock lock(mutex_);
    while (trusted_ && dog_ && clock_->now() < until) {
      dog_->feed();
      wake_.wait_for(lock, Duration(dog_->timeout()) / kFeedsPerLimit);
    }
  });
}

void WatchdogKeeper::end_trust() {
  if (!feeder_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    trusted_ = false;
  }
  wake_.notify_all();
  feeder_.join();
}

void WatchdogKeeper::watch(Device& device) {
  end_trust();
  if (rules_.device.empty()) return;
  const std::array<health::StallRule, 5> rules{{{"the event loop", rules_.loop},
                                                {"the engine", rules_.engine},
                                                {"the storage thread", rules_.storage},
                                                {"the callbacks", rules_.callbacks},
                                                {"the applications", rules_.applications}}};
  budget_.emplace(rules, clock_->now());
  next_look_ = clock_->now();
  step(device);
}

void WatchdogKeeper::step(Device& device) {
  const BootTime now = clock_->now();
  if (now >= open_again_) open();
  if (!budget_ || !dog_ || now < next_look_) return;
  const Progress seen = device.progress();
  const std::array<std::uint64_t, 5> finished{seen.loop, seen.engine, seen.storage, seen.callbacks,
                                              seen.applications};
  const health::StallBudget::Answer answer = budget_->look(now, finished);
  if (answer.feed) dog_->feed();
  next_look_ = now + std::min(budget_->pace(), Duration(dog_->timeout()) / kFeedsPerLimit);
  tell(answer);
}

void WatchdogKeeper::tell(const health::StallBudget::Answer& answer) {
  for (const health::StallBudget::Stall& stall : answer.stalls) {
    const std::string part(stall.part);
    std::string text = "stuck: " + part + ", for " + in_seconds(stall.lasts);
    text += stall.left > Duration::zero()
                ? "; in another " + in_seconds(stall.left) + " the watchdog is no longer fed"
                : "; the watchdog is no longer fed, and resets this machine within " +
                      in_seconds(dog_->timeout());
    log_({LogLevel::error, LogArea::health, std::move(text), {}, {{"stuck", part}}});
  }
  if (answer.over) {
    log_({LogLevel::info, LogArea::health, "what was stuck goes on; the watchdog is fed"});
  }
}

int WatchdogKeeper::patience_ms() const {
  return posix::poll_wait(std::min(dog_ && budget_ ? next_look_ : kNever, open_again_),
                          clock_->now());
}

void WatchdogKeeper::disarm() {
  const std::lock_guard lock(mutex_);
  trusted_ = false;
  if (!dog_) return;
  if (rules_.keep_armed) {
    dog_->feed();
    log_({LogLevel::info, LogArea::health,
          "the hardware watchdog stays armed: it resets this machine in " +
              in_seconds(dog_->timeout()) + " unless the agent is back"});
  } else if (!dog_->disarm()) {
    log_({LogLevel::warning, LogArea::health,
          "the hardware watchdog cannot be stopped: it resets this machine in " +
              in_seconds(dog_->timeout()) + " unless the agent is back"});
  }
  dog_.reset();
}

}  // namespace holdfast::runtime
