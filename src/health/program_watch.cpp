#include "health/program_watch.h"

#include <algorithm>
#include <chrono>
#include <ratio>
#include <utility>

#include "base/check.h"

namespace holdfast::health {

namespace {

constexpr std::array<const char*, kLifeSigns> kSilence{"no output", "no heartbeat",
                                                       "no answer at its port"};

/// "0.5 s", "30 s".
std::string seconds_text(Duration time) {
  using Tenths = std::chrono::duration<std::int64_t, std::deci>;
  const auto tenths = std::max<std::int64_t>(std::chrono::round<Tenths>(time).count(), 1);
  std::string text = std::to_string(tenths / 10);
  if (tenths % 10 != 0) text += '.' + std::to_string(tenths % 10);
  return text + " s";
}

}  // namespace

ProgramWatch::ProgramWatch(const ProgramRules& rules) : rules_(rules) {
  rules_.backoff_first = std::min(rules.backoff_first, rules.backoff_cap);
  backoff_ = rules_.backoff_first;
}

BootTime ProgramWatch::silent_at(std::size_t sign) const {
  const Duration within = rules_.within.at(sign);
  if (within == Duration::zero()) return kNever;
  return signs_.at(sign) + (seen_.at(sign) ? within : std::max(within, rules_.first_sign));
}

ProgramWatch::Step ProgramWatch::step(BootTime now) {
  switch (state_) {
    case State::waiting:
      if (stopped_) {
        state_ = State::over;
        break;
      }
      if (now < start_at_) return {Deed::nothing, std::exchange(words_, {})};
      return {Deed::start, std::exchange(words_, {})};
    case State::running:
      for (std::size_t i = 0; i < kLifeSigns; ++i) {
        if (now < silent_at(i)) continue;
        silent_ = true;
        ask_to_end(now);
        return {Deed::terminate, std::string("is stuck: ") + kSilence.at(i) + " for " +
                                     seconds_text(now - signs_.at(i)) + "; it is told to end"};
      }
      if (!stopped_) return {};
      ask_to_end(now);
      return {Deed::terminate, {}};
    case State::ending:
      if (now < kill_at_) return {};
      kill_at_ = kNever;
      return {Deed::kill, "does not end; it is killed"};
    case State::over:
      break;
  }
  return {Deed::finish, std::exchange(words_, {})};
}

BootTime ProgramWatch::next_step() const {
  if (state_ == State::waiting) return stopped_ || !words_.empty() ? BootTime() : start_at_;
  if (state_ == State::ending) return kill_at_;
  if (state_ == State::over || stopped_) return BootTime();
  BootTime next = kNever;
  for (std::size_t i = 0; i < kLifeSigns; ++i) next = std::min(next, silent_at(i));
  return next;
}

void ProgramWatch::ask_to_end(BootTime now) {
  state_ = State::ending;
  kill_at_ = now + rules_.stop_grace;
}

void ProgramWatch::started(BootTime now) {
  HF_CHECK(state_ == State::waiting);
  state_ = State::running;
  begun_ = true;
  silent_ = false;
  started_at_ = now;
  signs_.fill(now);
  seen_.fill(false);
}

void ProgramWatch::not_started(BootTime now, int code) {
  started_at_ = now;
  const bool mistake = !begun_;
  ended(now, code);
  if (mistake) state_ = State::over;
}

void ProgramWatch::sign(LifeSign sign, BootTime now) {
  signs_.at(static_cast<std::size_t>(sign)) = now;
  seen_.at(static_cast<std::size_t>(sign)) = true;
}

void ProgramWatch::ended(BootTime now, int code) {
  code_ = code;
  words_ = "ended with " + std::to_string(code);
  const bool wanted = !silent_ && code == 0 && rules_.ends_with_zero;
  if (silent_ && code == 0) code_ = 1;  // it was ended because it had failed
  state_ = State::over;
  if (stopped_ || wanted) return;
  while (!restarts_.empty() && now - restarts_.front() >= rules_.window) restarts_.pop_front();
  if (rules_.restarts != 0 && restarts_.size() >= rules_.restarts) {
    words_ += "; it was started again " + std::to_string(restarts_.size()) + " times within " +
              seconds_text(rules_.window) + ", and is given up";
    return;
  }
  if (rules_.restarts != 0) restarts_.push_back(now);
  if (now - started_at_ >= rules_.stable_after) backoff_ = rules_.backoff_first;
  state_ = State::waiting;
  start_at_ = now + backoff_;
  words_ += "; started again in " + seconds_text(backoff_);
  backoff_ = std::min(2 * backoff_, rules_.backoff_cap);
}

void ProgramWatch::stop(BootTime now) {
  if (std::exchange(stopped_, true) && state_ == State::ending) kill_at_ = now;
}

}  // namespace holdfast::health
