// See name_watch.h.
#include "link/name_watch.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "link/endpoints.h"

namespace holdfast::link {

NameWatch::NameWatch(const Config& config, env::Random& random) : random_(random) {
  reconfigure(config);
}

void NameWatch::reconfigure(const Config& config) {
  every_ = config.failover.follow_dns;
  spread_ = return_spread(config.failback.fleet_size, config.failback.connect_quota);
  if (every_ == Duration::zero()) down();
}

void NameWatch::up(BootTime now, std::string_view host, std::string_view canonical) {
  down();
  if (every_ == Duration::zero()) return;
  host_ = host;
  here_ = canonical;
  watch_from(now + every_);
}

void NameWatch::down() {
  state_ = State::resting;
  at_ = kNever;
  here_.clear();
  there_.clear();
}

void NameWatch::watch_from(BootTime at) {
  state_ = State::watching;
  at_ = at;
}

void NameWatch::looked_up(BootTime now, std::string_view host, std::string_view canonical) {
  if (state_ != State::looking || host != host_) return;  // of a connection before
  const BootTime next = now + every_;
  if (canonical.empty()) return watch_from(next);
  if (here_.empty()) here_ = canonical;  // an address of old was used: from now on it is known
  if (canonical == here_) {
    there_.clear();
    return watch_from(next);
  }
  if (canonical != there_) {
    there_ = canonical;
    return watch_from(now + std::min(every_, kConfirmAfter));
  }
  state_ = State::leaving;
  const auto spread = std::chrono::duration_cast<std::chrono::milliseconds>(spread_).count();
  at_ = now;
  if (spread > 0) {
    at_ += std::chrono::milliseconds(random_.below(static_cast<std::uint64_t>(spread) + 1));
  }
  if (moved_) at_ = std::max(at_, moved_at_ + kMoveGap);
}

NameWatch::Decision NameWatch::service(BootTime now) {
  Decision decision;
  if (now < at_) return decision;
  switch (state_) {
    case State::resting:
      break;
    case State::watching:
      state_ = State::looking;
      at_ = now + kLookBound;
      decision.look = host_;
      break;
    case State::looking:  // no answer
      watch_from(now + every_);
      break;
    case State::leaving:
      HF_CHECK(!there_.empty() && there_ != here_);
      decision.move = true;
      decision.say = host_ + " leads to " + there_ + " now, no longer to " + here_ +
                     "; the connection follows (failover.follow_dns)";
      moved_ = true;
      moved_at_ = now;
      down();
      break;
  }
  return decision;
}

}  // namespace holdfast::link
