// See subscriptions.h.
#include "flow/subscriptions.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "flow/topic.h"

namespace holdfast::flow {
namespace {

constexpr std::uint8_t kUnspecified = 0x80;
constexpr std::uint8_t kFailureFrom = 0x80;

/// Filters that cannot be found by the topic's own name.
bool is_wild(std::string_view filter) {
  return filter.find_first_of("+#") != std::string_view::npos || filter.starts_with("$share/");
}

}  // namespace

Qos Subscriptions::wanted_qos(const Filter& filter) {
  Qos highest = Qos::at_most_once;
  for (const auto& [id, qos] : filter.wanted) highest = std::max(highest, qos);
  return highest;
}

bool Subscriptions::needs_unsubscribe(const Filter& filter) {
  return filter.wanted.empty() && (filter.granted_for || filter.maybe_there);
}

std::optional<Subscriptions::Kind> Subscriptions::need(const Filter& filter) {
  if (needs_unsubscribe(filter)) return Kind::unsubscribe;
  if (filter.wanted.empty()) return std::nullopt;
  if (filter.granted_for != wanted_qos(filter)) return Kind::subscribe;
  return filter.doubted ? std::optional(Kind::verify) : std::nullopt;
}

void Subscriptions::verify_every(Duration interval) {
  if (interval == verify_interval_) return;
  verify_interval_ = interval;
  verify_at_ = kNever;
  if (interval == Duration::zero()) {
    for (auto& [name, filter] : filters_) filter.doubted = false;
  }
  calm_down_ = dirty_ = true;  // next() knows the time
  ++version_;
}

void Subscriptions::add(SubId id, std::string filter, Qos qos) {
  const bool added = by_id_.emplace(id, filter).second;
  HF_CHECK(added);
  Filter& state = filters_[filter];
  if (state.wanted.empty() && is_wild(filter)) wild_.push_back(std::move(filter));
  state.wanted.emplace(id, qos);
  // A new wish is tried at once, whatever was refused before.
  state.retry_at = BootTime::min();
  state.retry_delay = Duration::zero();
  dirty_ = true;
  ++version_;
}

void Subscriptions::remove(SubId id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  const std::string name = std::move(found->second);
  by_id_.erase(found);
  Filter& state = filters_.find(name)->second;
  state.wanted.erase(id);
  dirty_ = true;
  ++version_;
  if (!state.wanted.empty()) return;
  std::erase(wild_, name);
  state.retry_at = BootTime::min();
  state.retry_delay = Duration::zero();
  forget_if_gone(name);
}

void Subscriptions::change_endpoint(std::string_view endpoint) {
  if (endpoint == endpoint_) return;
  if (left_.size() >= limits::kEndpointsMax) left_.clear();  // of lists that were reloaded
  Names& left = left_[std::exchange(endpoint_, endpoint)];
  left.clear();
  for (auto& [name, filter] : filters_) {
    if (filter.granted_for || filter.maybe_there) left.insert(name);
    filter.granted_for.reset();
    filter.maybe_there = filter.doubted = false;
    filter.code.reset();
    // What one has refused is asked of another at once.
    filter.retry_at = BootTime::min();
    filter.retry_delay = Duration::zero();
  }
  const auto here = left_.find(endpoint);
  if (here == left_.end()) return;
  for (const std::string& name : here->second) filters_[name].maybe_there = true;
  left_.erase(here);
}

void Subscriptions::connected(bool session_present, std::string_view endpoint) {
  HF_CHECK(!connected_ && !outstanding_);
  change_endpoint(endpoint);
  connected_ = true;
  dirty_ = true;
  calm_down_ = true;
  ++version_;
  for (auto it = filters_.begin(); it != filters_.end();) {
    Filter& filter = it->second;
    if (!session_present) {
      filter.granted_for.reset();
      filter.maybe_there = false;
    } else if (shared_id_ && filter.granted_for) {
      filter.granted_for.reset();
      filter.maybe_there = true;
    }
    const bool gone = filter.wanted.empty() && !needs_unsubscribe(filter);
    it = gone ? filters_.erase(it) : std::next(it);
  }
}

void Subscriptions::disconnected() {
  connected_ = false;
  ++version_;
  if (!outstanding_) return;
  const bool verifying = outstanding_->kind == Kind::verify;
  for (const env::FilterRequest& asked : outstanding_->filters) {
    const auto found = filters_.find(asked.filter);
    if (found == filters_.end()) continue;
    found->second.asked = false;
    if (verifying) continue;  // as good, or as doubtful, as before
    found->second.granted_for.reset();
    found->second.maybe_there = true;
  }
  outstanding_.reset();
  if (verifying && ++verify_losses_ >= kVerifyLosses) verify_every(Duration::zero());
}

std::vector<Subscriptions::Notice> Subscriptions::answered(BootTime now, env::Token token,
                                                           std::span<const std::uint8_t> codes) {
  std::vector<Notice> notices;
  if (!outstanding_ || outstanding_->token != token) return notices;
  const Outstanding request = std::move(*outstanding_);
  outstanding_.reset();
  dirty_ = true;
  ++version_;
  if (request.kind == Kind::verify) verify_losses_ = 0;
  const std::uint8_t missing = request.kind == Kind::unsubscribe ? 0 : kUnspecified;
  for (std::size_t i = 0; i < request.filters.size(); ++i) {
    const std::uint8_t code = i < codes.size() ? codes[i] : missing;
    conclude(now, request.filters[i], request.kind, code, notices);
  }
  return notices;
}

std::vector<Subscriptions::Notice> Subscriptions::refused(BootTime now, env::Token token) {
  if (!outstanding_ || outstanding_->token != token) return {};
  const std::vector<std::uint8_t> codes(outstanding_->filters.size(), kUnspecified);
  return answered(now, token, codes);
}

void Subscriptions::conclude(BootTime now, const env::FilterRequest& asked, Kind kind,
                             std::uint8_t code, std::vector<Notice>& notices) {
  const auto found = filters_.find(asked.filter);
  HF_CHECK(found != filters_.end() && found->second.asked);
  Filter& filter = found->second;
  const bool subscribe = kind != Kind::unsubscribe;
  filter.asked = filter.doubted = false;
  filter.code = subscribe ? std::optional(code) : std::nullopt;
  if (code < kFailureFrom) {
    filter.maybe_there = false;
    filter.granted_for = subscribe ? std::optional<Qos>(asked.qos) : std::nullopt;
    filter.retry_at = BootTime::min();
    filter.retry_delay = Duration::zero();
    return forget_if_gone(asked.filter);
  }
  if (filter.retry_delay == Duration::zero()) filter.refused_since = now;
  if (subscribe && filter.granted_for) {  // what was there may be there still
    filter.granted_for.reset();
    filter.maybe_there = true;
  }
  filter.retry_delay = filter.retry_delay == Duration::zero()
                           ? kSubscribeRetryFirst
                           : std::min(filter.retry_delay * 2, kSubscribeRetryCap);
  filter.retry_at = now + filter.retry_delay;
  any_refused_ = true;
  if (!filter.wanted.empty()) notices.push_back({asked.filter, code, filter.retry_delay});
  forget_if_gone(asked.filter);
}

void Subscriptions::forget_if_gone(std::string_view name) {
  const auto found = filters_.find(name);
  if (found == filters_.end()) return;
  const Filter& filter = found->second;
  if (filter.wanted.empty() && !filter.asked && !needs_unsubscribe(filter)) filters_.erase(found);
}

// Soon after a connect others have work for the broker, too.
void Subscriptions::begin_verification(BootTime now) {
  if (verify_interval_ == Duration::zero()) return;
  const auto draw = [&](Duration range) {
    const auto ticks = static_cast<std::uint64_t>(range.count());
    return Duration(static_cast<Duration::rep>(random_.below(ticks)));
  };
  if (verify_at_ == kNever) verify_at_ = now + verify_interval_ / 2 + draw(verify_interval_ / 2);
  if (calm_down_ && verify_at_ < now + kVerifyCalm) {
    verify_at_ = now + kVerifyCalm + draw(verify_interval_ / 8);
  }
  calm_down_ = false;
  if (now < verify_at_) return;
  for (auto& [name, filter] : filters_) filter.doubted = filter.granted_for.has_value();
  verify_at_ = now + verify_interval_ / 2 + draw(verify_interval_ / 2);
  ++version_;
}

std::optional<Subscriptions::Request> Subscriptions::next(BootTime now, std::size_t most) {
  if (!connected_ || outstanding_ || (!dirty_ && now < retry_wake_)) return std::nullopt;
  begin_verification(now);
  dirty_ = any_refused_ = false;
  retry_wake_ = verify_at_;
  // Whatever is found first decides the kind of this request; other kinds go next.
  Outstanding request{token_ + 1, Kind::subscribe, now, {}};
  for (auto& [name, filter] : filters_) {
    any_refused_ = any_refused_ || filter.retry_delay > Duration::zero();
    const std::optional<Kind> kind = need(filter);
    if (!kind) continue;
    if (*kind != Kind::unsubscribe && aside_.contains(name)) continue;
    const BootTime due = *kind == Kind::verify ? verify_next_ : filter.retry_at;
    if (now < due) {
      retry_wake_ = std::min(retry_wake_, due);
      continue;
    }
    if (request.filters.empty()) request.kind = *kind;
    if (request.kind != *kind || request.filters.size() == most) {
      dirty_ = true;
      continue;
    }
    filter.asked = true;
    request.filters.push_back({name, wanted_qos(filter), *kind == Kind::verify});
  }
  if (request.filters.empty()) return std::nullopt;
  return ask(std::move(request));
}

std::optional<Subscriptions::Request> Subscriptions::next_trial(BootTime now,
                                                                const std::string& filter) {
  const auto found = filters_.find(filter);
  if (!connected_ || outstanding_ || found == filters_.end()) return std::nullopt;
  if (need(found->second) != Kind::subscribe) return std::nullopt;
  found->second.asked = true;
  return ask({token_ + 1, Kind::subscribe, now, {{filter, wanted_qos(found->second)}}});
}

Subscriptions::Request Subscriptions::ask(Outstanding request) {
  if (request.kind == Kind::verify) verify_next_ = request.since + kVerifyPace;
  token_ = request.token;
  Request out{request.token, {}, {}};
  if (request.kind != Kind::unsubscribe) {
    out.subscribe = request.filters;
  } else {
    for (const env::FilterRequest& asked : request.filters) {
      out.unsubscribe.push_back(asked.filter);
    }
  }
  outstanding_ = std::move(request);
  return out;
}

void Subscriptions::set_aside(Names filters) {
  aside_ = std::move(filters);
  dirty_ = true;
}

std::vector<OpenOperation> Subscriptions::open() const {
  std::vector<OpenOperation> open;
  if (!outstanding_ || outstanding_->kind == Kind::unsubscribe) return open;
  for (const env::FilterRequest& asked : outstanding_->filters) {
    open.push_back({{Operation::Kind::subscribe, asked.filter}, outstanding_->since});
  }
  return open;
}

bool Subscriptions::wants(const std::string& filter) const {
  const auto found = filters_.find(filter);
  return found != filters_.end() && !found->second.wanted.empty();
}

std::vector<Subscriptions::Refusal> Subscriptions::refusals() const {
  std::vector<Refusal> refused;
  if (!any_refused_) return refused;
  for (const auto& [name, filter] : filters_) {
    if (filter.wanted.empty() || filter.retry_delay == Duration::zero()) continue;
    refused.push_back(
        {name, filter.code.value_or(kUnspecified), filter.refused_since, filter.retry_at});
  }
  return refused;
}

BootTime Subscriptions::next_wake() const {
  return connected_ && !outstanding_ ? retry_wake_ : kNever;
}

BootTime Subscriptions::answer_due() const {
  return outstanding_ ? outstanding_->since + kSubscribeAnswer : kNever;
}

std::vector<SubId> Subscriptions::match(std::string_view topic) const {
  std::vector<SubId> ids;
  const auto take = [&](const Filter& filter) {
    for (const auto& [id, qos] : filter.wanted) ids.push_back(id);
  };
  const auto exact = filters_.find(topic);
  if (exact != filters_.end()) take(exact->second);
  for (const std::string& name : wild_) {
    if (matches(name, topic)) take(filters_.find(name)->second);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<FilterState> Subscriptions::states(BootTime now) const {
  std::vector<FilterState> states;
  for (const auto& [name, filter] : filters_) {
    if (filter.wanted.empty()) continue;
    FilterState state{name, wanted_qos(filter), std::nullopt, filter.code, Milliseconds{0}};
    if (filter.granted_for) {
      state.granted = filter.code == 0 ? Qos::at_most_once : Qos::at_least_once;
    }
    const BootTime due = filter.granted_for ? verify_at_ : filter.retry_at;
    if (connected_ && due != kNever && due > now) {
      state.next_in = std::chrono::ceil<Milliseconds>(due - now);
    }
    states.push_back(std::move(state));
  }
  return states;
}

std::size_t Subscriptions::acknowledged() const {
  return static_cast<std::size_t>(
      std::count_if(filters_.begin(), filters_.end(),
                    [](const auto& entry) { return entry.second.granted_for.has_value(); }));
}

}  // namespace holdfast::flow
