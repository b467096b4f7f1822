// See escalation.h.
#include "health/escalation.h"

#include <algorithm>
#include <utility>

#include "base/fields.h"

namespace holdfast::health {
namespace {

constexpr std::array<std::string_view, kRungs> kNames{"reconnect", "bearer", "modem", "reboot"};
constexpr std::string_view kHead = "holdfast-escalation 1\n";
constexpr std::size_t kTakenMost = 64;  // of the file; a day never has more

/// Nothing has come back: neither from the endpoint, nor from a proxy, a portal or our own files.
bool nothing_comes_back(Verdict verdict) {
  switch (verdict) {
    case Verdict::link_down:
    case Verdict::no_route:
    case Verdict::dns_failed:
    case Verdict::dns_timeout:
    case Verdict::tcp_timeout:
    case Verdict::tls_timeout:
    case Verdict::mqtt_timeout:
    case Verdict::silent_peer:
      return true;
    default:
      return false;
  }
}

std::int64_t in_ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

std::optional<Taken> read_line(std::string_view line) {
  Taken taken;
  const std::string_view name = take_word(line);
  const bool wall = to_number(take_word(line), taken.wall.ms);
  const std::string_view boot = take_word(line);
  std::int64_t up = 0;
  if (!wall || boot.empty() || !to_number(line, up) || up < 0) return std::nullopt;
  const std::optional<Rung> rung = rung_of(name);
  if (!rung) return std::nullopt;
  taken.rung = *rung;
  taken.boot = boot;
  taken.up = std::chrono::milliseconds(up);
  return taken;
}

/// Whether a day has passed since: what is not certain has not.
bool is_over(const Taken& taken, const Moment& moment) {
  if (moment.wall_right && moment.wall.ms - taken.wall.ms >= in_ms(kBudgetTime)) return true;
  const Duration up = moment.now.time_since_epoch();
  if (moment.boot == taken.boot) return up - taken.up >= kBudgetTime;
  return up >= kBudgetTime;  // this boot alone has lasted for longer
}

}  // namespace

std::string_view to_string(Rung rung) noexcept { return kNames[static_cast<std::size_t>(rung)]; }

std::optional<Rung> rung_of(std::string_view name) noexcept {
  const auto* const found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Rung>(found - kNames.begin());
}

std::string escalation_text(const std::vector<Taken>& taken) {
  std::string text(kHead);
  for (const Taken& one : taken) {
    text += std::string(to_string(one.rung)) + ' ' + std::to_string(one.wall.ms) + ' ' + one.boot +
            ' ' + std::to_string(in_ms(one.up)) + '\n';
  }
  return text;
}

Result<std::vector<Taken>> parse_escalation(std::string_view text) {
  if (!text.starts_with(kHead)) return Error{Errc::corrupt, "it has another first line"};
  text.remove_prefix(kHead.size());
  std::vector<Taken> all;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return Error{Errc::corrupt, "it was cut"};
    auto one = read_line(text.substr(0, end));
    if (!one || all.size() == kTakenMost) {
      return Error{Errc::corrupt, "line " + std::to_string(all.size() + 2) + " is no step"};
    }
    all.push_back(*std::move(one));
    text.remove_prefix(end + 1);
  }
  return all;
}

Escalation::Escalation(const Config::Escalation& rules, std::vector<Taken> taken)
    : taken_(std::move(taken)) {
  reconfigure(rules);
}

void Escalation::reconfigure(const Config::Escalation& rules) {
  rules_ = rules;
  ladder_.clear();
  for (std::size_t i = 0; i < kRungs; ++i) {
    const auto rung = static_cast<Rung>(i);
    const auto& steps = rules_.steps;
    if (std::find(steps.begin(), steps.end(), to_string(rung)) != steps.end()) {
      ladder_.push_back(rung);
    }
  }
  place_ = 0;
  state_ = State::resting;
  due_ = kNever;
}

Escalation::Decision Escalation::service(const Moment& moment, const ConnectionState& connection) {
  Decision decision;
  if (ladder_.empty()) return decision;
  const bool away =
      connection.state == LinkState::waiting || connection.state == LinkState::connecting;
  if (!away || !nothing_comes_back(connection.verdict)) {
    // An attempt that is under way says nothing new; what it found before holds.
    if (away && connection.verdict == Verdict::not_started) return decision;
    if (connection.state == LinkState::connected) place_ = 0;
    state_ = State::resting;
    due_ = kNever;
    return decision;
  }
  if (state_ == State::resting) {
    state_ = State::waiting;
    due_ = moment.now + rules_.after;
  }
  if (state_ == State::waiting && moment.now >= due_) {
    state_ = State::asking;
    due_ = kNever;
    decision.ask = true;
  } else if (state_ == State::taking) {
    decision.take = next_rung(moment);
    state_ = State::waiting;
    due_ = moment.now + rules_.after;
  }
  return decision;
}

void Escalation::answered(BootTime now, bool reached) {
  if (state_ != State::asking) return;
  if (!reached) {
    state_ = State::taking;
    due_ = now;
    return;
  }
  state_ = State::waiting;  // the cloud is away, not the network
  place_ = 0;
  due_ = now + rules_.after;
}

/// The next one on the ladder that can be afforded; none: all are used up for now.
std::optional<Rung> Escalation::next_rung(const Moment& moment) {
  for (std::size_t tried = 0; tried < ladder_.size(); ++tried) {
    const Rung rung = ladder_[place_];
    place_ = (place_ + 1) % ladder_.size();
    if (!affordable(moment, rung)) continue;
    ++counts_.at(static_cast<std::size_t>(rung));
    return rung;
  }
  return std::nullopt;
}

bool Escalation::affordable(const Moment& moment, Rung rung) const {
  if (!has_budget(rung)) return true;
  const auto used = std::count_if(taken_.begin(), taken_.end(), [&](const Taken& one) {
    return one.rung == rung && !is_over(one, moment);
  });
  const std::uint32_t most =
      rung == Rung::modem ? rules_.modem_resets_per_day : rules_.reboots_per_day;
  return static_cast<std::uint64_t>(used) < most;
}

const std::vector<Taken>& Escalation::remember(const Moment& moment, Rung rung) {
  std::erase_if(taken_, [&](const Taken& one) { return is_over(one, moment); });
  taken_.push_back({rung, moment.wall, moment.boot, moment.now.time_since_epoch()});
  return taken_;
}

BootTime Escalation::next_wake() const { return due_; }

}  // namespace holdfast::health
