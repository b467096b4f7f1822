#include "runtime/service_report.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "identity/expiry.h"
#include "posix/poll_wait.h"
#include "posix/system.h"

namespace holdfast::runtime {

namespace {

constexpr Duration kStatusGap = std::chrono::seconds(1);
constexpr Duration kTellAgain = std::chrono::seconds(1);
constexpr std::int32_t kDaysTold = identity::kExpiryDays.front();
constexpr Duration kEndReserve = std::chrono::seconds(1);  // from the stop's end to the exit

constexpr std::string_view kApplications = "the applications";

/// ": NAME, NAME" of the missed heartbeats; of those only that hold the watchdog.
std::string missed_words(const std::vector<HeartbeatState>& heartbeats, bool holding) {
  std::string names;
  for (const HeartbeatState& one : heartbeats) {
    if (one.phase != HeartbeatPhase::missed || (holding && !one.watchdog)) continue;
    names += (names.empty() ? ": " : ", ") + one.name;
  }
  return names;
}

std::shared_ptr<const posix::UniqueFd> make_wake(bool wanted) {
  return std::make_shared<const posix::UniqueFd>(wanted ? ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
                                                        : -1);
}

}  // namespace

std::string status_words(const DeviceState& state, const std::vector<HeartbeatState>& heartbeats) {
  const ConnectionState& now = state.connection;
  std::string words;
  if (now.state == LinkState::connected) {
    words = "connected to " + now.endpoint;
  } else if (now.verdict == Verdict::none || now.verdict == Verdict::not_started) {
    words = "connecting to " + now.endpoint;
  } else {
    words = "offline, " + std::string(to_string(now.verdict)) + ": ";
    words += explain(now.verdict);
  }
  if (state.storage != StorageHealth::ok) {
    words += " Storage: " + std::string(to_string(state.storage)) + ".";
  }
  if (state.certificate_days_left && *state.certificate_days_left < 0) {
    words += " Our certificate has expired.";
  } else if (state.certificate_days_left && *state.certificate_days_left <= kDaysTold) {
    words +=
        " Our certificate expires in " + std::to_string(*state.certificate_days_left) + " days.";
  }
  if (!state.safe_mode.empty()) words += " Safe mode: it " + state.safe_mode + ".";
  const std::string missed = missed_words(heartbeats, false);
  if (!missed.empty()) words += " Missed heartbeats" + missed + ".";
  return words;
}

ServiceReport::ServiceReport(posix::ServiceManager manager, std::shared_ptr<const env::Clock> clock,
                             LogHandler log)
    : manager_(std::move(manager)),
      clock_(std::move(clock)),
      log_(std::move(log)),
      wake_(make_wake(manager_.listens())) {}

ServiceReport::ServiceReport(LogHandler log)
    : ServiceReport(posix::ServiceManager::from_environment(), posix::make_clock(),
                    std::move(log)) {}

void ServiceReport::opening() {
  owed_.status = "opening the outbox";
  tell(clock_->now());
}

void ServiceReport::ready(Device& device) {
  const bool watched = manager_.listens() && manager_.watchdog() > Duration::zero();
  if (watched) gate_.emplace(manager_.watchdog());
  reloaded(device);
}

void ServiceReport::reloading() {
  owed_.reloading = true;
  tell(clock_->now());
}

void ServiceReport::reloaded(Device& device) {
  owed_.reloading = false;
  owed_.ready = true;
  step(device);
}

void ServiceReport::stopping(Milliseconds deadline) {
  owed_ = {};
  owed_.stopping = true;
  owed_.status = "stopping";
  owed_.extend = deadline + kEndReserve;
  // Nobody looks at the parts any more; the deadline takes the watchdog's place.
  owed_.alive = gate_.has_value();
  if (gate_ && manager_.watchdog() < *owed_.extend) owed_.watchdog = owed_.extend;
  gate_.reset();
  tell(clock_->now());
}

void ServiceReport::step(Device& device) {
  if (!manager_.listens()) return;
  eventfd_t seen = 0;
  static_cast<void>(::eventfd_read(wake_->get(), &seen));
  const BootTime now = clock_->now();
  if (gate_ && now >= gate_->next_look()) watch(device, now);
  std::string words = status_words(device.state(), device.heartbeats());
  words_wait_ = words != words_;
  if (words_wait_ && now >= words_from_) {
    owed_.status = words;
    words_ = std::move(words);
    words_from_ = now + kStatusGap;
    words_wait_ = false;
  }
  tell(now);
}

void ServiceReport::watch(Device& device, BootTime now) {
  const Progress seen = device.progress();
  const std::array<health::Proof, 5> proofs{{{"the event loop", seen.loop},
                                             {"the engine", seen.engine},
                                             {"the storage thread", seen.storage},
                                             {"the callbacks", seen.callbacks},
                                             {kApplications, seen.applications}}};
  const health::ProgressGate::Answer answer = gate_->look(now, proofs);
  owed_.alive = answer.alive;
  if (answer.stuck.empty() || !log_) return;
  std::string stuck;
  for (const std::string_view part : answer.stuck) {
    stuck += (stuck.empty() ? "" : ", ") + std::string(part);
    if (part == kApplications) stuck += missed_words(device.heartbeats(), true);
  }
  log_({LogLevel::error,
        LogArea::health,
        "stuck: " + stuck + "; unless that goes on, the watchdog ends this process soon",
        {},
        {{"stuck", stuck}}});
}

void ServiceReport::tell(BootTime now) {
  again_at_ = kNever;
  if (manager_.tell(owed_)) {
    owed_ = {};
  } else {
    again_at_ = now + kTellAgain;
  }
}

int ServiceReport::patience_ms() const {
  BootTime due = again_at_;
  if (gate_) due = std::min(due, gate_->next_look());
  if (words_wait_) due = std::min(due, words_from_);
  return posix::poll_wait(due, clock_->now());
}

int ServiceReport::wake_fd() const noexcept { return wake_->get(); }

std::function<void()> ServiceReport::changed() const {
  return [wake = wake_] {
    if (*wake) static_cast<void>(::eventfd_write(wake->get(), 1));
  };
}

}  // namespace holdfast::runtime
