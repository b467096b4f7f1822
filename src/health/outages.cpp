#include "health/outages.h"

#include <algorithm>
#include <chrono>
#include <ratio>
#include <utility>

namespace holdfast::health {

namespace {

bool away(LinkState state) {
  return state == LinkState::idle || state == LinkState::connecting || state == LinkState::waiting;
}

std::int64_t in_ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

std::optional<Outage> Outages::look(BootTime now, WallTime wall, const DeviceState& state) {
  const bool first_look = !seen_;
  seen_ = true;
  const LinkState link = state.connection.state;
  if (link == LinkState::connected) {
    const std::string from = std::exchange(at_, state.connection.endpoint_name);
    const std::string before = std::exchange(connection_, state.network.connection);
    if (!start_) return std::nullopt;
    Outage over = told(now, wall, state);
    over.connection_before = before;
    over.from = from;
    over.to = at_;
    over.over = true;
    const bool worth_it = told_ || !of_start_ || over.lasted >= kOutageLasts;
    start_.reset();
    tell_at_ = kNever;
    if (!worth_it) return std::nullopt;
    if (!told_ && !admitted(now)) return std::nullopt;
    over.left_out = std::exchange(left_out_, 0);
    return over;
  }
  if (!away(link)) return std::nullopt;
  if (!start_) {
    of_start_ = first_look;
    begin(now, state);
  }
  note_network(state.network);
  const Verdict verdict = state.connection.verdict;
  if (verdict != Verdict::none && verdict != Verdict::not_started) {
    if (first_ == Verdict::none) first_ = verdict;
    detail_ = state.connection.detail;
  }
  if (now < tell_at_) return std::nullopt;
  tell_at_ = kNever;
  if (!admitted(now)) return std::nullopt;
  told_ = true;
  return told(now, wall, state);
}

void Outages::begin(BootTime now, const DeviceState& state) {
  start_ = Start{now, state.verdicts, state.attempts_total, state.ledger.accepted,
                 state.ledger.dropped_total()};
  // The verdict that ended the connection is counted already.
  const auto verdict = static_cast<std::size_t>(state.connection.verdict);
  if (!of_start_ && start_->verdicts.at(verdict) > 0) --start_->verdicts.at(verdict);
  first_ = Verdict::none;
  detail_.clear();
  worst_ = Connectivity::unknown;
  modem_.reset();
  told_ = false;
  tell_at_ = now + kOutageLasts;
}

/// Of the connectivities none is the worst and full the best; unknown says nothing.
void Outages::note_network(const NetworkState& network) {
  const bool known = network.connectivity != Connectivity::unknown;
  if (known && (worst_ == Connectivity::unknown || network.connectivity < worst_)) {
    worst_ = network.connectivity;
  }
  if (network.modems.empty()) return;
  const ModemState& now = network.modems.front();
  if (!modem_ || now.signal < modem_->signal) modem_ = now;
}

Outage Outages::told(BootTime now, WallTime wall, const DeviceState& state) const {
  Outage outage;
  outage.lasted = now - start_->at;
  outage.began = WallTime{wall.ms - in_ms(outage.lasted)};
  for (std::size_t i = 0; i < kVerdicts; ++i) {
    outage.verdicts.at(i) = state.verdicts.at(i) - start_->verdicts.at(i);
  }
  outage.from = at_;
  outage.connection_before = connection_;
  outage.connection = state.network.connection;
  outage.worst = worst_;
  outage.modem = modem_;
  outage.first = first_;
  outage.detail = detail_;
  outage.attempts = state.attempts_total - start_->attempts;
  outage.accepted = state.ledger.accepted - start_->accepted;
  outage.dropped = state.ledger.dropped_total() - start_->dropped;
  outage.waiting = state.ledger.pending;
  return outage;
}

bool Outages::admitted(BootTime now) {
  constexpr double kCapacity = kOutagesPerHour;
  const std::chrono::duration<double, std::ratio<3600>> passed = now - filled_;
  tokens_ = std::min(kCapacity, tokens_ + passed.count() * kCapacity);
  filled_ = now;
  if (tokens_ < 1) {
    ++left_out_;
    return false;
  }
  tokens_ -= 1;
  return true;
}

}  // namespace holdfast::health
