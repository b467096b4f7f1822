#include "runtime/heartbeat_keeper.h"

#include <chrono>
#include <string>
#include <utility>

#include "runtime/config_keys.h"

namespace holdfast::runtime {

HeartbeatKeeper::HeartbeatKeeper(posix::EventLoop& loop, std::shared_ptr<const env::Clock> clock,
                                 const health::Heartbeats::Rules& rules, LogHandler log,
                                 Changed changed)
    : loop_(loop),
      clock_(std::move(clock)),
      log_(std::move(log)),
      changed_(std::move(changed)),
      timer_(loop),
      beats_(rules, clock_->now()) {
  if (!rules.empty()) loop_.post([this] { arm(); });
}

Status HeartbeatKeeper::beat(std::string_view name, Milliseconds every) {
  const std::lock_guard lock(mutex_);
  auto before = beats_.beat(name, every, clock_->now());
  if (!before) return std::move(before).error();
  if (*before) {
    HeartbeatState now = **before;
    now.phase = HeartbeatPhase::beating;
    loop_.post([this, now, silent = std::exchange(now.silent, {})] { tell(now, silent); });
  }
  if (beats_.next_look() < armed_) {
    armed_ = beats_.next_look();
    loop_.post([this] { arm(); });
  }
  return {};
}

Status HeartbeatKeeper::end(std::string_view name) {
  const std::lock_guard lock(mutex_);
  return beats_.end(name, clock_->now());
}

std::vector<HeartbeatState> HeartbeatKeeper::states() const {
  const std::lock_guard lock(mutex_);
  return beats_.states(clock_->now());
}

std::uint64_t HeartbeatKeeper::misses() const {
  const std::lock_guard lock(mutex_);
  return misses_;
}

std::uint64_t HeartbeatKeeper::prove() {
  const std::lock_guard lock(mutex_);
  if (!beats_.hold_watchdog()) ++proofs_;
  return proofs_;
}

void HeartbeatKeeper::arm() {
  const std::lock_guard lock(mutex_);
  armed_ = beats_.next_look();
  timer_.arm_at(armed_, [this] { look(); });
}

void HeartbeatKeeper::look() {
  std::vector<HeartbeatState> missed;
  {
    const std::lock_guard lock(mutex_);
    missed = beats_.look(clock_->now());
    misses_ += missed.size();
  }
  for (const HeartbeatState& one : missed) tell(one, one.silent);
  arm();
}

void HeartbeatKeeper::tell(const HeartbeatState& now, Milliseconds silent) {
  const bool missed = now.phase == HeartbeatPhase::missed;
  std::string text = "heartbeat " + now.name;
  if (missed) {
    text +=
        " is missed: none within " + format_duration(static_cast<std::uint64_t>(now.every.count()));
    if (now.watchdog) text += "; it may hold the watchdog back";
  } else {
    const auto seconds = std::chrono::duration_cast<Seconds>(silent);
    text += " is back after " + std::to_string(seconds.count()) + " s";
  }
  log_({missed ? LogLevel::warning : LogLevel::info,
        LogArea::health,
        std::move(text),
        {},
        {{"heartbeat", now.name}}});
  changed_(now);
}

}  // namespace holdfast::runtime
