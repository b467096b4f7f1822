// See endpoints.h. In the order of the header: events, decisions, what is.
#include "link/endpoints.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/check.h"
#include "link/endpoint_config.h"
#include "link/policy.h"

namespace holdfast::link {
namespace {

using std::chrono::milliseconds;

std::string in_seconds(Duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(duration).count());
  return text;
}

Milliseconds in_ms(Duration duration) { return std::chrono::ceil<Milliseconds>(duration); }

}  // namespace

Duration return_spread(std::uint32_t fleet_size, std::uint32_t connect_quota) {
  constexpr double kDeviations = 5;
  constexpr double kLeast = 0.05;
  const auto quota = static_cast<double>(std::max<std::uint32_t>(connect_quota, 1));
  // In a second come m on average, with a standard deviation of sqrt(m): m + 5 sqrt(m) + 1 = quota.
  const double root = (std::sqrt(kDeviations * kDeviations + 4 * (quota - 1)) - kDeviations) / 2;
  const double mean = std::max(root * root, quota * kLeast);
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(static_cast<double>(fleet_size) / mean));
}

Endpoints::Endpoints(const Config& config, env::Random& random)
    : random_(random),
      failover_(config.failover),
      failback_(config.failback),
      all_(list_of(config)) {}

std::vector<Endpoints::One> Endpoints::list_of(const Config& config) {
  std::vector<One> list(endpoint_count(config));
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool first = i == 0;
    const std::string& host = first ? config.host : config.endpoints[i - 1].host;
    const std::uint16_t port = first ? config.port : config.endpoints[i - 1].port;
    list[i].name = endpoint_name(config, i);
    list[i].address = host + ':' + std::to_string(port);
  }
  return list;
}

std::optional<std::size_t> Endpoints::find(std::string_view name) const {
  const auto found =
      std::find_if(all_.begin(), all_.end(), [&](const One& one) { return one.name == name; });
  if (found == all_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - all_.begin());
}

void Endpoints::start_at(std::string_view name) {
  const auto index = find(name);
  if (index) current_ = home_ = *index;
}

bool Endpoints::reconfigure(const Config& config) {
  failover_ = config.failover;
  failback_ = config.failback;
  std::vector<One> before = std::exchange(all_, list_of(config));
  const auto moved_to = [&](std::size_t index) { return find(before[index].name); };
  for (One& old : before) {
    const auto index = find(old.name);
    if (!index || all_[*index].address != old.address) continue;
    all_[*index] = old;
  }
  const auto current = moved_to(current_);
  const auto home = moved_to(home_);
  if (last_up_) last_up_ = moved_to(*last_up_);
  probing_.reset();
  return_at_ = kNever;
  if (state_ != State::settled || !current) {
    // What was under way was about another list: begin where we live.
    state_ = State::settled;
    lost_ = Duration::zero();
    mark_ = kNever;
    advance_ = back_ = false;
  }
  home_ = home.value_or(0);
  current_ = current.value_or(home_);
  if (link_ == Link::stable) settle_at(current_);
  return !current;
}

// ---- what happens -------------------------------------------------------------------------------

void Endpoints::began() { link_ = Link::trying; }

void Endpoints::up(BootTime now) {
  link_ = Link::up;
  doubt_ = kNever;
  One& here = all_[current_];
  here.verdict = Verdict::none;
  if (last_up_ && *last_up_ != current_) {
    ++changes_;
    change_ = {all_[*last_up_].name, here.name, moved_for_, Milliseconds{0}};
    changed_at_ = now;
  }
  last_up_ = current_;
}

void Endpoints::stable(BootTime now) {
  link_ = Link::stable;
  all_[current_].health = kHealthBest;
  if (state_ == State::returning) all_[current_].returned_at = now;
  state_ = State::settled;
  lost_ = limit_ = Duration::zero();
  mark_ = kNever;
  blamed_ = advance_ = back_ = false;
  moved_for_ = Verdict::none;
  if (home_ != current_) remember_ = all_[current_].name;
  home_ = current_;
  settle_at(current_);
  // Probes of a fleet that came here together must not stay together.
  for (std::size_t i = 0; i < current_; ++i) all_[i].probe_at = now + drawn(failback_.probe_every);
}

/// Whatever was known of better ones is learnt anew.
void Endpoints::settle_at(std::size_t index) {
  probing_.reset();
  return_at_ = kNever;
  for (std::size_t i = 0; i < all_.size(); ++i) {
    all_[i].well_since = kNever;
    if (i >= index) all_[i].probe_at = kNever;
  }
}

void Endpoints::failed(BootTime now, Verdict verdict, BootTime since, bool excused) {
  link_ = Link::down;
  if (count() == 1) return;
  One& here = all_[current_];
  const Blame blame = excused ? Blame::nobody : policy_of(verdict).blame;
  here.verdict = verdict;
  if (blame == Blame::endpoint) here.health /= 2;
  if (state_ == State::returning) {
    back_ = true;
    return_failed_ = blame;
    return;
  }
  if (blame == Blame::nobody) {
    if (mark_ != kNever) lost_ += std::max(since - mark_, Duration::zero());
    mark_ = kNever;
    doubt_ = excused ? std::min(since, doubt_) : kNever;
    return;
  }
  if (limit_ == Duration::zero()) limit_ = failover_.after + drawn(failover_.spread);
  if (mark_ == kNever) mark_ = std::min({since, doubt_, now});
  doubt_ = kNever;
  blamed_ = blamed_ || blame == Blame::endpoint;
  why_ = verdict;
  advance_ = state_ == State::searching;
}

void Endpoints::probed(BootTime now, std::string_view name, Verdict verdict) {
  if (!probing_ || all_[*probing_].name != name) return;  // of another list, or too late
  One& one = all_[*probing_];
  probing_.reset();
  one.verdict = verdict;
  if (verdict == Verdict::none) {
    one.health += (kHealthBest - one.health + 1) / 2;
    if (one.well_since == kNever) one.well_since = now;
  } else {
    if (policy_of(verdict).blame == Blame::endpoint) one.health /= 2;
    one.well_since = kNever;
    return_at_ = kNever;  // if another one is well, service() plans anew
  }
}

// ---- what to do ---------------------------------------------------------------------------------

Endpoints::Decision Endpoints::service(BootTime now) {
  Decision decision;
  decision.remember = std::exchange(remember_, std::nullopt);
  if (count() == 1) return decision;
  const bool offline = link_ == Link::down || link_ == Link::trying;
  switch (state_) {
    case State::settled:
      if (offline && mark_ != kNever && lost(now) >= limit_) {
        begin_search(now, decision);
      } else if (link_ == Link::stable) {
        look_at_better(now, decision);
      }
      break;
    case State::searching:
      if (link_ == Link::down && advance_) advance(decision);
      break;
    case State::returning:
      if (back_) give_up_return(now, return_failed_, decision);
      break;
  }
  return decision;
}

Duration Endpoints::lost(BootTime now) const {
  return mark_ == kNever ? lost_ : lost_ + std::max(now - mark_, Duration::zero());
}

void Endpoints::begin_search(BootTime now, Decision& decision) {
  One& here = all_[current_];
  decision.say = "leaving " + here.name + " (" + here.address +
                 "): no connection that lasted for " + in_seconds(lost(now)) + ", last " +
                 std::string(to_string(why_)) + "; the other endpoints are tried";
  moved_for_ = why_;
  if (here.returned_at != kNever && now - here.returned_at < kReturnProven) {
    stay_away(here, now);
  } else {
    here.hold = Duration::zero();
  }
  here.returned_at = kNever;
  state_ = State::searching;
  for (One& one : all_) one.tried = one.hurried = false;
  here.hurried = true;
  advance(decision);
}

/// To the next one that had no turn in this round.
void Endpoints::advance(Decision& decision) {
  advance_ = false;
  all_[current_].tried = true;
  std::optional<std::size_t> next;
  for (std::size_t i = 0; i < count(); ++i) {
    if (!all_[i].tried && (!next || all_[i].health > all_[*next].health)) next = i;
  }
  if (!next && !blamed_) {
    decision.say = "no endpoint can be reached, and none is to blame: " + all_[home_].name +
                   " is tried further";
    state_ = State::settled;
    lost_ = limit_ = Duration::zero();
    mark_ = kNever;
    moved_for_ = Verdict::none;
    return go_to(home_, decision);
  }
  if (!next) {
    for (One& one : all_) one.tried = false;
    next = current_ == 0 ? 1 : 0;
  }
  decision.at_once = !std::exchange(all_[*next].hurried, true);
  go_to(*next, decision);
}

void Endpoints::go_to(std::size_t index, Decision& decision) {
  if (index == current_) return;
  current_ = index;
  decision.moved = true;
}

void Endpoints::give_up_return(BootTime now, Blame blame, Decision& decision) {
  One& here = all_[current_];
  back_ = false;
  state_ = State::settled;
  if (blame == Blame::nobody) {
    here.hold_until = now + failback_.healthy_for;
  } else {
    stay_away(here, now);
  }
  decision.say = "the return to " + here.name + " (" + here.address +
                 ") failed: " + std::string(to_string(here.verdict)) + "; back to " +
                 all_[good_].name + ", next try in " + in_seconds(here.hold_until - now) +
                 " at the earliest";
  moved_for_ = here.verdict;
  decision.at_once = blame != Blame::nobody;  // else the verdict's own wait is right here, too
  go_to(good_, decision);
}

void Endpoints::stay_away(One& from, BootTime now) {
  const Duration least = failback_.healthy_for;
  from.hold = std::min<Duration>(std::max<Duration>(2 * from.hold, least), kHoldOffMost);
  from.hold_until = now + from.hold;
}

void Endpoints::look_at_better(BootTime now, Decision& decision) {
  if (!failback_.automatic || current_ == 0) return;
  if (probing_ && now >= probing_since_ + kProbeBound) {
    probed(now, all_[*probing_].name, Verdict::engine_failed);
  }
  plan_return(now);
  if (now >= return_at_) {
    good_ = current_;
    state_ = State::returning;
    back_ = false;
    return_at_ = kNever;
    probing_.reset();
    moved_for_ = Verdict::none;
    decision.say = "returning to " + all_[target_].name + " (" + all_[target_].address +
                   "), which has been well for " + in_seconds(now - all_[target_].well_since);
    return go_to(target_, decision);
  }
  const Duration every = failback_.probe_every;
  for (std::size_t i = 0; i < current_ && !probing_; ++i) {
    if (all_[i].probe_at == kNever) all_[i].probe_at = now + drawn(every);  // new in the list
    if (now < all_[i].probe_at) continue;
    all_[i].probe_at = now + every / 2 + drawn(every / 2);
    probing_ = i;
    probing_since_ = now;
    decision.probe = i;
  }
}

void Endpoints::plan_return(BootTime now) {
  for (std::size_t i = 0; i < current_; ++i) {
    const One& one = all_[i];
    if (one.well_since == kNever || now < one.well_since + failback_.healthy_for ||
        now < one.hold_until) {
      continue;
    }
    if (return_at_ != kNever && target_ <= i) return;
    target_ = i;
    return_at_ = now + drawn(return_spread(failback_.fleet_size, failback_.connect_quota));
    return;
  }
}

Duration Endpoints::drawn(Duration most) {
  return Duration(
      static_cast<Duration::rep>(random_.below(static_cast<std::uint64_t>(most.count()) + 1)));
}

BootTime Endpoints::next_wake() const {
  if (count() == 1) return kNever;
  if (state_ != State::settled) return kNever;  // the attempts' bounds
  if (link_ != Link::stable) {
    const bool counting = link_ != Link::up && mark_ != kNever;
    return counting ? mark_ + (limit_ - lost_) : kNever;
  }
  if (!failback_.automatic || current_ == 0) return kNever;
  BootTime at = return_at_;
  if (probing_) at = std::min(at, probing_since_ + kProbeBound);
  for (std::size_t i = 0; i < current_; ++i) {
    const One& one = all_[i];
    if (!probing_) at = std::min(at, one.probe_at);
    if (return_at_ != kNever || one.well_since == kNever) continue;
    at = std::min(at, std::max<BootTime>(one.well_since + failback_.healthy_for, one.hold_until));
  }
  return at;
}

// ---- what is ------------------------------------------------------------------------------------

EndpointsState Endpoints::state(BootTime now) const {
  EndpointsState state;
  if (count() == 1) return state;
  for (std::size_t i = 0; i < count(); ++i) {
    const One& one = all_[i];
    EndpointState& shown = state.all.emplace_back();
    shown.name = one.name;
    shown.address = one.address;
    shown.current = i == current_;
    shown.health = one.health;
    shown.verdict = one.verdict;
    if (one.well_since != kNever) shown.well_for = in_ms(now - one.well_since);
  }
  state.changes = changes_;
  if (changes_ > 0) {
    state.last = change_;
    state.last->ago = in_ms(now - changed_at_);
  }
  if (return_at_ != kNever) state.return_in = in_ms(std::max(return_at_ - now, Duration::zero()));
  return state;
}

}  // namespace holdfast::link
