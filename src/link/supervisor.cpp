// See supervisor.h. In the order of the header: wishes, events, service(), what is.
#include "link/supervisor.h"

#include <algorithm>
#include <cstdio>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "link/endpoint_config.h"
#include "link/policy.h"

namespace holdfast::link {
namespace {

using std::chrono::milliseconds;

constexpr std::uint16_t kReceiveMaximum = 100;  // as AWS IoT Core's own window towards a client

bool same_tls(const TlsConfig& a, const TlsConfig& b) {
  return std::tie(a.enabled, a.ca_file, a.cert_file, a.key_file, a.key_uri, a.pin_file,
                  a.pkcs11_module, a.server_name,
                  a.alpn) == std::tie(b.enabled, b.ca_file, b.cert_file, b.key_file, b.key_uri,
                                      b.pin_file, b.pkcs11_module, b.server_name, b.alpn);
}

std::int64_t in_ms(Duration duration) {
  return std::chrono::duration_cast<milliseconds>(duration).count();
}

std::string seconds_text(Duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(in_ms(duration)) / 1000.0);
  return text;
}

std::string address_of(const Config& config) {
  return config.host + ':' + std::to_string(config.port);
}

}  // namespace

env::ConnectRequest request_from(const Config& config) {
  env::ConnectRequest request;
  request.endpoint_name = config.name;
  request.host = config.host;
  request.port = config.port;
  request.transport = config.transport;
  request.websocket_path = config.websocket_path;
  request.sigv4 = config.sigv4;
  request.proxy = config.proxy;
  request.tls = config.tls;
  request.client_id = config.client_id;
  request.username = config.username;
  request.password_file = config.password_file;
  request.version = config.mqtt_version;
  request.keep_alive = config.keep_alive;
  request.session_expiry = config.session_expiry;
  request.clean_start = config.clean_start;
  request.will = config.will;
  request.id_property = config.id_property;
  request.topic_aliases = config.topic_aliases;
  request.receive_maximum = kReceiveMaximum;
  request.resolve_timeout = config.timing.resolve;
  request.connect_timeout = config.timing.connect;
  request.connack_timeout = config.timing.connack;
  request.silent_after = config.timing.silent_after;
  return request;
}

bool same_connection(const Config& a, const Config& b) {
  return std::tie(a.host, a.port, a.transport, a.websocket_path, a.sigv4, a.proxy, a.client_id,
                  a.username, a.password_file, a.mqtt_version, a.keep_alive, a.session_expiry,
                  a.clean_start, a.topic_aliases, a.timing.silent_after) ==
             std::tie(b.host, b.port, b.transport, b.websocket_path, b.sigv4, b.proxy, b.client_id,
                      b.username, b.password_file, b.mqtt_version, b.keep_alive, b.session_expiry,
                      b.clean_start, b.topic_aliases, b.timing.silent_after) &&
         same_tls(a.tls, b.tls) && a.identity.directory == b.identity.directory &&
         a.topic_prefix == b.topic_prefix && a.will == b.will && a.birth == b.birth;
}

Supervisor::Supervisor(const Config& config, env::Random& random)
    : whole_(config),
      config_(config),
      random_(random),
      backoff_(config.timing.backoff_first, config.timing.backoff_cap),
      endpoints_(config, random),
      names_(config, random) {}

// ---- wishes -------------------------------------------------------------------------------------

void Supervisor::start() {
  HF_CHECK(desired_ == Desired::nothing);
  desired_ = Desired::connected;
  use_endpoint();
}

void Supervisor::drain() {
  if (desired_ == Desired::stopped || desired_ == Desired::drained) return;
  desired_ = Desired::drained;
  ++version_;
}

void Supervisor::leave(BootTime now, BootTime by) {
  if (desired_ == Desired::stopped) return;
  desired_ = Desired::stopped;
  leave_by_ = std::max(now, by);
  leave_until_ = std::min(leave_until_, leave_by_);
  ++version_;
}

void Supervisor::stay_away(BootTime now, bool away) {
  if (desired_ == Desired::connected && away) {
    desired_ = Desired::away;
    ++version_;
  } else if (desired_ == Desired::away && !away) {
    desired_ = Desired::connected;
    ++version_;
    if (state_ == State::waiting) wait_until(std::max(now, earliest_attempt()));
  }
}

void Supervisor::reconnect_now(BootTime now) {
  if (state_ != State::waiting || desired_ != Desired::connected) return;
  insist_ = true;
  wait_until(std::min(retry_at_, std::max(now, earliest_attempt())));
}

void Supervisor::changed(BootTime now, Mend what) {
  if (what == Mend::identity) return renew(now);
  if (policy_of(verdict_).mended_by(what)) reconnect_now(now);
}

void Supervisor::network(BootTime now, const NetworkState& state) {
  const bool opened = advice_.told(state);
  if (opened && policy_of(verdict_).mended_by(Mend::network)) reconnect_now(now);
}

void Supervisor::renew(BootTime now) {
  if (near()) {
    renew_ = true;
  } else {
    reconnect_now(now);
  }
}

void Supervisor::reconfigure(BootTime now, const Config& config) {
  whole_ = config;
  const bool gone = endpoints_.reconfigure(whole_);
  names_.reconfigure(whole_);
  Config next = config_of(whole_, endpoints_.current());
  const bool same = !gone && same_connection(config_, next);
  if (next.name != config_.name) assigned_id_.clear();
  in_use_ = endpoints_.current();
  config_ = std::move(next);
  backoff_.reconfigure(config.timing.backoff_first, config.timing.backoff_cap);
  if (health_at_ != kNever) {
    health_at_ = std::min(health_at_, now + config.timing.health_interval);
  }
  if (!same) renew(now);
}

// ---- events -------------------------------------------------------------------------------------

void Supervisor::on_up(BootTime now, env::AttemptId attempt, const env::UpInfo& info) {
  if (attempt != attempt_ || state_ != State::connecting) return;
  enter(State::connected);
  endpoints_.up(now);
  names_.up(now, config_.host, info.canonical);
  advice_.up();
  let_in_.set(in_use_);
  up_at_ = now;
  stable_ = false;
  session_present_ = info.session_present;
  if (!info.assigned_client_id.empty()) assigned_id_ = info.assigned_client_id;
  verdict_ = Verdict::none;
  detail_.clear();
  if (info.despite) {
    ++verdicts_[static_cast<std::size_t>(info.despite->verdict)];
    detail_ = info.despite->detail;
  }
  ++connects_;
  connect_times_.push_back(now);
  if (connect_times_.size() > kConnectsPerMinute) connect_times_.pop_front();
  if (!offline_said_) return;
  offline_said_ = false;
  const std::string name = endpoints_.count() > 1 ? config_.name + ", " : "";
  std::string line = "connected to " + name + address_of(config_) + " in " +
                     std::to_string(in_ms(now - attempt_at_)) + " ms, session " +
                     (info.session_present ? "present" : "new");
  if (info.despite) line += "; " + detail_;
  LogLine said{LogLevel::info, LogArea::connection, std::move(line)};
  if (info.despite) {
    said.level = LogLevel::warning;
    said.verdict = info.despite->verdict;
  }
  said.fields = {{"state", "connected"},
                 {"endpoint", address_of(config_)},
                 {"endpoint_name", config_.name},
                 {"took_ms", in_ms(now - attempt_at_)}};
  lines_.push_back(std::move(said));
}

void Supervisor::on_failed(BootTime now, env::AttemptId attempt, const env::Failure& failure) {
  if (attempt != attempt_ || state_ != State::connecting) return;
  // An id that the broker gave once and refuses now is given up for a new one.
  if (failure.verdict == Verdict::bad_credentials) assigned_id_.clear();
  fail(now, failure);
}

void Supervisor::on_down(BootTime now, env::AttemptId attempt, const env::Failure& failure,
                         bool excused) {
  if (attempt != attempt_) return;
  if (state_ == State::leaving) return after_leaving(now);
  if (state_ == State::connected) fail(now, failure, excused);
}

// ---- the one service function -------------------------------------------------------------------

Orders Supervisor::service(BootTime now, BootTime answer_due) {
  Orders orders;
  note_stable(now);
  check_overdue(now, answer_due, orders);
  follow_name(now, orders);
  follow_endpoints(now, orders);
  reconcile(now, orders);
  if (desired_ == Desired::nothing || state_ == State::stopped) {
    health_at_ = kNever;
  } else if (health_at_ == kNever || now >= health_at_) {
    // The checks above ran whatever the events said; this only makes sure that they run again.
    health_at_ = now + config_.timing.health_interval;
  }
  orders.check_network = std::exchange(check_network_, false);
  orders.log = std::exchange(lines_, {});
  return orders;
}

void Supervisor::check_overdue(BootTime now, BootTime answer_due, Orders& orders) {
  if (state_ == State::connecting && now >= attempt_at_ + attempt_bound()) {
    orders.abort = true;
    fail(now, {Verdict::engine_failed, 0, "no result after " + seconds_text(now - attempt_at_)});
  } else if (state_ == State::connected && now >= answer_due) {
    orders.abort = true;
    fail(now, {Verdict::silent_peer, 0, "the broker owes an answer for too long"});
  } else if (state_ == State::leaving && now >= leave_until_) {
    orders.abort = true;
    after_leaving(now);
  }
}

void Supervisor::follow_name(BootTime now, Orders& orders) {
  if (state_ != State::connected || desired_ != Desired::connected) return;
  NameWatch::Decision next = names_.service(now);
  orders.look_up = std::move(next.look);
  if (!next.move) return;
  renew_ = true;
  offline_said_ = true;  // where we arrive is said, too
  lines_.push_back({LogLevel::warning, LogArea::connection, std::move(next.say), {}, {}});
}

/// The machine is asked in every service(), and right after a failure, so that the wait that people
/// are told is the one that holds.
void Supervisor::follow_endpoints(BootTime now, Orders& orders) {
  if (desired_ == Desired::connected) decide_endpoint(now);
  if (decided_.probe) {
    orders.probe = request_from(config_of(whole_, *decided_.probe));
    orders.probe->endpoint = *decided_.probe;
  }
  orders.remember = std::move(decided_.remember);
  if (!decided_.say.empty()) {
    offline_said_ = true;  // where we arrive is said, too
    lines_.push_back({LogLevel::warning,
                      LogArea::connection,
                      std::move(decided_.say),
                      {},
                      {{"endpoint_name", endpoint_name(whole_, endpoints_.current())}}});
  }
  if (std::exchange(abandon_, false) && state_ == State::connecting) {
    orders.abort = true;
    endpoints_.left();
    enter(State::waiting);
    wait_until(std::max({now, earliest_attempt(), connect_budget()}));
  }
  decided_ = {};
}

void Supervisor::decide_endpoint(BootTime now) {
  Endpoints::Decision next = endpoints_.service(now);
  if (!next.say.empty()) decided_.say = std::move(next.say);
  if (next.probe) decided_.probe = next.probe;
  if (next.remember) decided_.remember = std::move(next.remember);
  if (!next.moved) return;
  ++version_;
  if (state_ == State::connecting) {
    abandon_ = true;
  } else if (state_ == State::connected) {
    renew_ = true;
  } else if (state_ == State::waiting && next.at_once) {
    wait_until(std::min(retry_at_, std::max({now, earliest_attempt(), connect_budget()})));
  }
}

void Supervisor::use_endpoint() {
  if (in_use_ == endpoints_.current()) return;
  in_use_ = endpoints_.current();
  config_ = config_of(whole_, in_use_);
  assigned_id_.clear();
  paced_ = Duration::zero();
  registering_ = 0;
}

void Supervisor::reconcile(BootTime now, Orders& orders) {
  const bool wanted = desired_ == Desired::connected;
  const bool away = desired_ == Desired::away;
  switch (state_) {
    case State::idle:
      if (wanted) return begin_attempt(now, orders);
      if (desired_ != Desired::nothing && !away) enter(State::stopped);
      return;
    case State::connecting:
      if (wanted && !renew_) return;
      orders.abort = true;
      endpoints_.left();
      if (!wanted && !away) return enter(State::stopped);
      enter(State::waiting);
      wait_until(std::max(now, earliest_attempt()));
      [[fallthrough]];
    case State::waiting:
      if (away) {
        if (retry_at_ != kNever) wait_until(kNever);
        return;
      }
      if (!wanted) return enter(State::stopped);
      if (now >= retry_at_ && !spare_attempt(now)) begin_attempt(now, orders);
      return;
    case State::connected:
      if (desired_ != Desired::stopped && !away && !(wanted && renew_)) return;
      orders.disconnect = true;
      enter(State::leaving);
      leave_until_ = std::min(now + kLeaveTime, leave_by_);
      if (now < leave_until_) return;
      orders.abort = true;  // no time for politeness was given
      orders.disconnect = false;
      return after_leaving(now);
    case State::leaving:
    case State::stopped:
      return;
  }
}

void Supervisor::begin_attempt(BootTime now, Orders& orders) {
  HF_CHECK(!attempted_ || now >= attempt_at_ + kAttemptGap);
  HF_CHECK(!orders.connect && desired_ == Desired::connected);
  use_endpoint();
  enter(State::connecting);
  endpoints_.began();
  renew_ = false;
  insist_ = false;
  attempted_ = true;
  attempt_at_ = now;
  ++attempt_;
  ++attempts_;
  ++attempts_total_;
  orders.connect = request_from(config_);
  orders.connect->attempt = attempt_;
  orders.connect->endpoint = in_use_;
  if (config_.assigned_client_id) orders.connect->client_id = assigned_id_;
}

/// Once in a wait: the wait is then as long as it may be.
bool Supervisor::spare_attempt(BootTime now) {
  const std::optional<env::Failure> hindrance = advice_.hindrance();
  if (!hindrance || insist_ || !attempted_ || now >= attempt_at_ + kSpareMost) return false;
  advice_.spared();
  verdict_ = hindrance->verdict;
  detail_ = hindrance->detail;
  ++verdicts_[static_cast<std::size_t>(verdict_)];
  wait_until(attempt_at_ + kSpareMost);
  say_offline(now, *hindrance);
  return true;
}

void Supervisor::fail(BootTime now, const env::Failure& seen, bool excused) {
  HF_CHECK(near());
  note_stable(now);
  const env::Failure failure = advice_.understood(seen, state_ == State::connected);
  // A peer that says goodbye without being asked is gone, however politely.
  const Verdict verdict = failure.verdict == Verdict::none ? Verdict::server_gone : failure.verdict;
  const bool was_up = state_ == State::connected;
  if (was_up) attempts_ = 0;
  verdict_ = verdict;
  detail_ = failure.detail.substr(0, limits::kErrorDetailMax);
  ++verdicts_[static_cast<std::size_t>(verdict)];
  if (advice_.ask_again(now, verdict)) check_network_ = true;
  const bool renew = std::exchange(renew_, false);
  enter(State::waiting);
  if (renew) {
    wait_until(std::max(now, earliest_attempt()));
  } else {
    wait_until(std::max({now + delay_for(verdict, was_up), earliest_attempt(), connect_budget()}));
  }
  endpoints_.failed(now, verdict, was_up ? last_sign(now, verdict) : attempt_at_, excused);
  if (desired_ == Desired::connected) decide_endpoint(now);
  say_offline(now, failure);
}

/// Since when nothing came, at the latest: the time in which it was not noticed counts, too.
BootTime Supervisor::last_sign(BootTime now, Verdict verdict) const {
  if (verdict != Verdict::silent_peer) return now;
  return std::max<BootTime>(up_at_, now - config_.timing.silent_after);
}

bool Supervisor::is_registering(Verdict verdict) const {
  if (!config_.tls.just_in_time || let_in_.test(in_use_) || registering_ >= kJustInTimeTries) {
    return false;
  }
  return verdict == Verdict::server_gone || verdict == Verdict::tls_failed ||
         verdict == Verdict::tls_client_refused || verdict == Verdict::protocol_error ||
         verdict == Verdict::not_authorized;
}

Duration Supervisor::delay_for(Verdict verdict, bool was_up) {
  const Policy& policy = policy_of(verdict);
  if (is_registering(verdict)) {
    ++registering_;
    constexpr auto kSpread =
        static_cast<std::uint64_t>((kJustInTimeMost - kJustInTimeLeast).count());
    return kJustInTimeLeast + Duration(static_cast<Duration::rep>(random_.below(kSpread + 1)));
  }
  if (policy.retry == Retry::paced) {
    const Duration delay = paced_delay(policy.at_least);
    paced_ += delay;
    return delay;
  }
  if (policy.retry == Retry::slower) {
    // Who asks for a short cap wants to be back soon; and a range that begins at the cap cannot
    // grow.
    backoff_.raise_to(std::min<Duration>(policy.at_least, config_.timing.backoff_cap / 8));
  } else if (policy.retry != Retry::ordinary) {
    backoff_.raise_to(policy.at_least);
  }
  Duration delay = backoff_.next(random_);
  if (policy.retry == Retry::hold_off) {
    // Both ends stay spread: the hold-off is a floor, the cap (if above it) still the ceiling.
    const Duration most = std::max<Duration>(config_.timing.backoff_cap, policy.at_least * 2);
    delay = std::min(policy.at_least + delay, most);
  }
  // Let in and thrown out again: whoever comes back sooner than before takes the place of others.
  if (was_up && paced_ > Duration::zero()) delay = std::max(delay, paced_delay(Duration::zero()));
  return delay;
}

Duration Supervisor::paced_delay(Duration at_least) {
  const Duration range = std::clamp<Duration>(paced_, at_least, kPacedMost);
  const Duration half = range / 2;
  return half + Duration(static_cast<Duration::rep>(
                    random_.below(static_cast<std::uint64_t>((range - half).count()) + 1)));
}

void Supervisor::after_leaving(BootTime now) {
  renew_ = false;
  endpoints_.left();
  leave_until_ = kNever;
  if (desired_ != Desired::connected && desired_ != Desired::away) return enter(State::stopped);
  attempts_ = 0;
  enter(State::waiting);
  wait_until(desired_ == Desired::away ? kNever : std::max(now, earliest_attempt()));
}

void Supervisor::enter(State state) {
  state_ = state;
  if (state != State::waiting) retry_at_ = kNever;
  if (state == State::stopped) session_present_ = false;
  if (state != State::connected) names_.down();
  ++version_;
}

void Supervisor::wait_until(BootTime at) {
  HF_CHECK(state_ == State::waiting);
  retry_at_ = at;
  ++version_;
}

void Supervisor::note_stable(BootTime now) {
  if (state_ != State::connected || stable_ || now < up_at_ + config_.timing.stable_after) return;
  stable_ = true;
  endpoints_.stable(now);
  backoff_.reset();
  paced_ = Duration::zero();
  said_.reset();
}

void Supervisor::say_offline(BootTime now, const env::Failure& failure) {
  const auto index = static_cast<std::size_t>(verdict_);
  if (said_.test(index) && now < said_at_ + kLogAgain) return;
  said_.set(index);
  said_at_ = now;
  offline_said_ = true;
  std::string text = "offline: ";
  if (endpoints_.count() > 1) text = config_.name + ": " + text;
  text += std::string(to_string(verdict_)) + ": ";
  std::string_view sentence = explain(verdict_);
  if (!sentence.empty() && sentence.back() == '.') sentence.remove_suffix(1);
  text += sentence;
  if (!failure.detail.empty()) text += " (" + detail_ + ")";
  if (failure.reason_code != 0) {
    char code[24];
    std::snprintf(code, sizeof code, " [reason 0x%02X]", unsigned{failure.reason_code});
    text += code;
  }
  LogFields fields{{"state", "waiting"},
                   {"endpoint", address_of(config_)},
                   {"endpoint_name", config_.name},
                   {"attempt", static_cast<std::int64_t>(attempts_total_)}};
  if (failure.reason_code != 0) fields.push_back({"reason_code", failure.reason_code});
  if (desired_ == Desired::connected) {
    text += "; next attempt in " + seconds_text(retry_at_ - now);
    fields.push_back({"retry_in_ms", in_ms(retry_at_ - now)});
  }
  lines_.push_back(
      {LogLevel::warning, LogArea::connection, std::move(text), verdict_, std::move(fields)});
}

// ---- what is ------------------------------------------------------------------------------------

BootTime Supervisor::earliest_attempt() const {
  return attempted_ ? attempt_at_ + kAttemptGap : BootTime::min();
}

BootTime Supervisor::connect_budget() const {
  return connect_times_.size() < kConnectsPerMinute ? BootTime::min()
                                                    : connect_times_.front() + kMinute;
}

Duration Supervisor::attempt_bound() const {
  const Config::Timing& timing = config_.timing;
  const Duration bound = timing.resolve + 2 * timing.connect + timing.connack + kAttemptMargin;
  // A connection of its own comes first: name, TCP, proxy, TLS, answer.
  const bool keys_first = !config_.sigv4.role_alias.empty();
  return keys_first ? bound + timing.resolve + 4 * timing.connect : bound;
}

BootTime Supervisor::next_wake(BootTime answer_due) const {
  BootTime at = health_at_;
  const bool moves = desired_ == Desired::connected && state_ != State::leaving;
  if (moves) at = std::min(at, endpoints_.next_wake());
  switch (state_) {
    case State::connecting:
      return std::min(at, attempt_at_ + attempt_bound());
    case State::connected:
      if (!stable_) at = std::min<BootTime>(at, up_at_ + config_.timing.stable_after);
      if (moves) at = std::min(at, names_.next_wake());
      return std::min(at, answer_due);
    case State::waiting:
      return std::min(at, retry_at_);
    case State::leaving:
      return std::min(at, leave_until_);
    case State::idle:
    case State::stopped:
      return at;
  }
  return at;
}

ConnectionState Supervisor::connection(BootTime now) const {
  ConnectionState view;
  switch (state_) {
    case State::idle:
      view.state = LinkState::idle;
      break;
    case State::connecting:
      view.state = LinkState::connecting;
      break;
    case State::connected:
      view.state = LinkState::connected;
      break;
    case State::waiting:
    case State::leaving:
      view.state = LinkState::waiting;
      break;
    case State::stopped:
      view.state = LinkState::stopped;
      break;
  }
  const bool leaving = desired_ == Desired::drained || desired_ == Desired::stopped;
  if (leaving && state_ != State::stopped) view.state = LinkState::stopping;
  view.verdict = verdict_;
  view.detail = detail_;
  view.session_present = up() && session_present_;
  view.attempts = attempts_;
  if (desired_ == Desired::away) view.detail = "left on purpose, until the power is back";
  if (state_ == State::waiting && retry_at_ > now && retry_at_ != kNever) {
    view.retry_in = std::chrono::ceil<milliseconds>(retry_at_ - now);
  }
  view.endpoint = address_of(config_);
  view.endpoint_name = config_.name;
  view.client_id = config_.assigned_client_id ? assigned_id_ : config_.client_id;
  return view;
}

}  // namespace holdfast::link
