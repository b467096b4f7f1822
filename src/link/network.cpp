// See network.h.
#include "link/network.h"

#include <string>

namespace holdfast::link {
namespace {

bool is_way(Connectivity connectivity) {
  return connectivity != Connectivity::none && connectivity != Connectivity::portal;
}

/// What a portal that answers in the broker's place, or drops what is not for it, looks like.
bool looks_like_portal(Verdict verdict, bool was_up) {
  switch (verdict) {
    case Verdict::no_route:
    case Verdict::dns_failed:
    case Verdict::dns_timeout:
    case Verdict::tcp_refused:
    case Verdict::tcp_timeout:
    case Verdict::proxy_failed:
    case Verdict::tls_server_name:
    case Verdict::tls_server_untrusted:
    case Verdict::tls_server_expired:
    case Verdict::tls_failed:
    case Verdict::tls_timeout:
    case Verdict::mqtt_timeout:
    case Verdict::protocol_error:
    case Verdict::silent_peer:
      return true;
    case Verdict::server_gone:
      return !was_up;
    default:
      return false;
  }
}

/// What happens on no network at all.
bool looks_like_none(Verdict verdict) {
  switch (verdict) {
    case Verdict::link_down:
    case Verdict::no_route:
    case Verdict::dns_failed:
    case Verdict::dns_timeout:
    case Verdict::tcp_timeout:
    case Verdict::silent_peer:
    case Verdict::no_credentials:  // says nothing of the network
    case Verdict::engine_failed:
      return true;
    default:
      return false;
  }
}

/// Nothing comes back: a fresh look by the manager may tell why.
bool is_silence(Verdict verdict) {
  switch (verdict) {
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

}  // namespace

bool NetworkAdvice::told(const NetworkState& now) {
  const NetworkState before = state_;
  state_ = now;
  const bool other = now.connection != before.connection || now.device != before.device;
  if (other && (!before.connection.empty() || before.managed)) ++counts_.changes;
  const bool same = now.connectivity == before.connectivity && now.managed == before.managed;
  if (!same) contradicted_ = false;
  if (!now.managed || !is_way(now.connectivity)) return false;
  const bool opened = before.managed && !is_way(before.connectivity);
  const bool risen =
      now.connectivity == Connectivity::full && before.connectivity != Connectivity::full;
  return opened || risen || (other && !now.connection.empty());
}

void NetworkAdvice::up() {
  if (!is_way(state_.connectivity)) contradicted_ = true;
}

env::Failure NetworkAdvice::understood(const env::Failure& failure, bool was_up) {
  if (!believed()) return failure;
  if (state_.connectivity == Connectivity::none && !looks_like_none(failure.verdict)) {
    contradicted_ = true;  // somebody has answered
  }
  if (state_.connectivity != Connectivity::portal || !looks_like_portal(failure.verdict, was_up)) {
    return failure;
  }
  env::Failure portal = failure;
  portal.verdict = Verdict::captive_portal;
  portal.detail = "what failed behind it: " + std::string(to_string(failure.verdict));
  if (!failure.detail.empty()) portal.detail += ", " + failure.detail;
  return portal;
}

std::optional<env::Failure> NetworkAdvice::hindrance() const {
  if (!believed()) return std::nullopt;
  if (state_.connectivity == Connectivity::portal) {
    return env::Failure{Verdict::captive_portal, 0, "NetworkManager has found it"};
  }
  if (state_.connectivity == Connectivity::none) {
    return env::Failure{Verdict::link_down, 0, "NetworkManager is on no network"};
  }
  return std::nullopt;
}

bool NetworkAdvice::ask_again(BootTime now, Verdict verdict) {
  if (!state_.managed || state_.connectivity == Connectivity::none) return false;
  if (!is_silence(verdict) || now < check_at_) return false;
  check_at_ = now + kCheckGap;
  ++counts_.checks;
  return true;
}

}  // namespace holdfast::link
