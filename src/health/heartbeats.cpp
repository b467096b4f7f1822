#include "health/heartbeats.h"

#include <algorithm>

#include "base/limits.h"

namespace holdfast::health {

bool is_heartbeat_name(std::string_view name) {
  constexpr std::string_view kMarks = "._:@-";
  return !name.empty() && name.size() <= limits::kHeartbeatNameMax &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  kMarks.find(c) != std::string_view::npos;
         });
}

Heartbeats::Heartbeats(const Rules& rules, BootTime now) {
  for (const auto& [name, rule] : rules) {
    One& one = all_[name];
    one.every = rule.every;
    one.since = now;
    one.configured = true;
    one.watchdog = rule.watchdog;
  }
  plan();
}

// A phase waits for a beat, which leads to `beating` from all of them; end() leads to `ended`.
BootTime Heartbeats::due(const One& one) {
  switch (one.phase) {
    case HeartbeatPhase::awaited:
      return one.since + std::max(one.every, kFirstBeat);
    case HeartbeatPhase::beating:
      return one.since + one.every;
    case HeartbeatPhase::missed:  // told already
    case HeartbeatPhase::ended:   // nobody minds
      return kNever;
  }
  return kNever;
}

void Heartbeats::plan() {
  next_look_ = kNever;
  for (const auto& [name, one] : all_) next_look_ = std::min(next_look_, due(one));
}

Result<std::optional<HeartbeatState>> Heartbeats::beat(std::string_view name, Milliseconds every,
                                                       BootTime now) {
  auto found = all_.find(name);
  if (found == all_.end()) {
    if (!is_heartbeat_name(name)) {
      return Error{Errc::invalid_argument, "a heartbeat's name has 1 to " +
                                               std::to_string(limits::kHeartbeatNameMax) +
                                               " letters, digits and . _ : @ -; give another name"};
    }
    if (every == Milliseconds::zero()) {
      return Error{Errc::invalid_argument,
                   "the heartbeat is new; say how often it beats (every_ms), or configure it"};
    }
    if (all_.size() >= limits::kHeartbeats) {
      return Error{Errc::full, "all " + std::to_string(limits::kHeartbeats) +
                                   " heartbeats are in use; end one that nobody gives any more"};
    }
  }
  const auto given = static_cast<std::uint64_t>(every.count());
  if (every != Milliseconds::zero() &&
      (given < limits::kHeartbeatMinMs || given > limits::kHeartbeatMaxMs)) {
    return Error{Errc::invalid_argument,
                 "a heartbeat's time is " + std::to_string(limits::kHeartbeatMinMs) + " to " +
                     std::to_string(limits::kHeartbeatMaxMs) + " ms; give another time"};
  }
  if (found == all_.end()) found = all_.emplace(std::string(name), One{}).first;
  One& one = found->second;
  std::optional<HeartbeatState> missed;
  if (one.phase == HeartbeatPhase::missed) missed = state_of(found->first, one, now);
  if (!one.configured && every != Milliseconds::zero()) one.every = every;
  one.phase = HeartbeatPhase::beating;
  one.since = now;
  one.has_beaten = true;
  next_look_ = std::min(next_look_, due(one));  // the others' looks stay as they are
  return missed;
}

Status Heartbeats::end(std::string_view name, BootTime now) {
  const auto found = all_.find(name);
  if (found == all_.end()) {
    return Error{Errc::not_found, "there is no heartbeat of this name; see the status"};
  }
  if (found->second.configured) {
    found->second.phase = HeartbeatPhase::ended;
    found->second.since = now;
    found->second.has_beaten = false;
  } else {
    all_.erase(found);
  }
  return {};
}

std::vector<HeartbeatState> Heartbeats::look(BootTime now) {
  std::vector<HeartbeatState> missed;
  const bool late = next_look_ < now - kLookLate;
  for (auto& [name, one] : all_) {
    if (due(one) > now) continue;
    if (late) {
      one.since = now;
      continue;
    }
    one.phase = HeartbeatPhase::missed;
    ++one.misses;
    missed.push_back(state_of(name, one, now));
  }
  plan();
  return missed;
}

HeartbeatState Heartbeats::state_of(const std::string& name, const One& one, BootTime now) {
  return {name,
          one.phase,
          std::chrono::duration_cast<Milliseconds>(one.every),
          std::chrono::duration_cast<Milliseconds>(now - one.since),
          one.misses,
          one.watchdog};
}

std::vector<HeartbeatState> Heartbeats::states(BootTime now) const {
  std::vector<HeartbeatState> states;
  for (const auto& [name, one] : all_) states.push_back(state_of(name, one, now));
  return states;
}

bool Heartbeats::hold_watchdog() const {
  return std::any_of(all_.begin(), all_.end(), [](const auto& entry) {
    const One& one = entry.second;
    return one.phase == HeartbeatPhase::missed && one.watchdog && one.has_beaten;
  });
}

}  // namespace holdfast::health
