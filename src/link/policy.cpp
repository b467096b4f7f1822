// See policy.h. The table is the content; the rest finds its rows.
#include "link/policy.h"

#include <array>
#include <cstddef>

namespace holdfast::link {
namespace {

using std::chrono::seconds;

constexpr auto kNetwork = static_cast<std::uint8_t>(Mend::network);
constexpr auto kFiles = static_cast<std::uint8_t>(Mend::credentials);
constexpr auto kClock = static_cast<std::uint8_t>(Mend::clock);
constexpr Blame kNobody = Blame::nobody;
constexpr Blame kUnclear = Blame::unclear;
constexpr Blame kEndpoint = Blame::endpoint;

// Seen from the device, most failures look the same until they are over: they get the ordinary
// delay. What the broker itself asks for differs, and what a quick return would make worse: 15 s
// keep a fleet that was thrown out together below 12 % in any second, however soon the broker is
// back. A broker that says "too many" is there; so is one that another device with our id talks to.
// clang-format off
constexpr std::array<Policy, kVerdicts> kPolicies{{
    {Verdict::none,                 kNobody,   Retry::ordinary, seconds(0)},
    {Verdict::not_started,          kNobody,   Retry::ordinary, seconds(0)},
    {Verdict::no_credentials,       kEndpoint, Retry::ordinary, seconds(0), kFiles | kClock},
    {Verdict::link_down,            kNobody,   Retry::ordinary, seconds(0), kNetwork},
    {Verdict::no_route,             kUnclear,  Retry::ordinary, seconds(0), kNetwork},
    {Verdict::dns_failed,           kUnclear,  Retry::ordinary, seconds(0), kNetwork},
    {Verdict::dns_timeout,          kUnclear,  Retry::ordinary, seconds(0), kNetwork},
    {Verdict::tcp_refused,          kEndpoint, Retry::slower,   seconds(15)},  // it restarts
    {Verdict::tcp_timeout,          kEndpoint, Retry::ordinary, seconds(0), kNetwork},
    {Verdict::proxy_failed,         kUnclear,  Retry::ordinary, seconds(0), kNetwork},
    {Verdict::tls_clock,            kNobody,   Retry::ordinary, seconds(0), kClock},
    {Verdict::tls_server_name,      kEndpoint, Retry::ordinary, seconds(0)},
    {Verdict::tls_server_untrusted, kEndpoint, Retry::ordinary, seconds(0), kFiles},
    {Verdict::tls_server_expired,   kEndpoint, Retry::ordinary, seconds(0), kFiles | kClock},
    {Verdict::tls_client_refused,   kEndpoint, Retry::ordinary, seconds(0), kFiles},  // not yet?
    {Verdict::tls_failed,           kEndpoint, Retry::ordinary, seconds(0)},
    {Verdict::tls_timeout,          kEndpoint, Retry::ordinary, seconds(0), kNetwork},
    {Verdict::mqtt_timeout,         kEndpoint, Retry::ordinary, seconds(0), kNetwork},
    {Verdict::not_authorized,       kEndpoint, Retry::ordinary, seconds(0), kFiles | kClock},
    {Verdict::publish_denied,       kNobody,   Retry::ordinary, seconds(0), kFiles},  // stays back
    {Verdict::subscribe_denied,     kNobody,   Retry::ordinary, seconds(0), kFiles},
    {Verdict::bad_credentials,      kEndpoint, Retry::ordinary, seconds(0), kFiles},
    {Verdict::id_taken_over,        kNobody,   Retry::hold_off, seconds(15)},  // else they fight
    {Verdict::throttled,            kNobody,   Retry::paced,    seconds(4)},
    {Verdict::quota_exceeded,       kNobody,   Retry::paced,    seconds(4)},
    {Verdict::server_gone,          kEndpoint, Retry::slower,   seconds(15)},  // fleet and all
    {Verdict::protocol_error,       kEndpoint, Retry::slower,   seconds(5)},  // proves little
    {Verdict::silent_peer,          kEndpoint, Retry::ordinary, seconds(0), kNetwork},
    {Verdict::engine_failed,        kUnclear,  Retry::ordinary, seconds(0)},
    {Verdict::captive_portal,       kNobody,   Retry::ordinary, seconds(0), kNetwork},
}};
// clang-format on

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kPolicies.size(); ++i) {
    if (static_cast<std::size_t>(kPolicies[i].verdict) != i) return false;
  }
  return true;
}
static_assert(rows_in_order(), "a verdict without its row");

}  // namespace

const Policy& policy_of(Verdict verdict) noexcept {
  const auto index = static_cast<std::size_t>(verdict);
  return kPolicies[index < kPolicies.size() ? index : 0];
}

}  // namespace holdfast::link
