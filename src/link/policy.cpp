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

// Seen from the device, most failures look the same until they are over: they get the ordinary
// delay. What the broker itself asks for differs, and what a quick return would make worse: 15 s
// keep a fleet that was thrown out together below 12 % in any second, however soon the broker is
// back.
// clang-format off
constexpr std::array<Policy, kVerdicts> kPolicies{{
    {Verdict::none,                 Retry::ordinary, seconds(0)},
    {Verdict::not_started,          Retry::ordinary, seconds(0)},
    {Verdict::no_credentials,       Retry::ordinary, seconds(0), kFiles | kClock},
    {Verdict::link_down,            Retry::ordinary, seconds(0), kNetwork},
    {Verdict::no_route,             Retry::ordinary, seconds(0), kNetwork},
    {Verdict::dns_failed,           Retry::ordinary, seconds(0), kNetwork},
    {Verdict::dns_timeout,          Retry::ordinary, seconds(0), kNetwork},
    {Verdict::tcp_refused,          Retry::slower,   seconds(15)},  // a broker that restarts
    {Verdict::tcp_timeout,          Retry::ordinary, seconds(0), kNetwork},
    {Verdict::proxy_failed,         Retry::ordinary, seconds(0), kNetwork},
    {Verdict::tls_clock,            Retry::ordinary, seconds(0), kClock},
    {Verdict::tls_server_name,      Retry::ordinary, seconds(0)},
    {Verdict::tls_server_untrusted, Retry::ordinary, seconds(0), kFiles},
    {Verdict::tls_server_expired,   Retry::ordinary, seconds(0), kFiles | kClock},
    {Verdict::tls_client_refused,   Retry::ordinary, seconds(0), kFiles},   // or not active yet
    {Verdict::tls_failed,           Retry::ordinary, seconds(0)},
    {Verdict::tls_timeout,          Retry::ordinary, seconds(0), kNetwork},
    {Verdict::mqtt_timeout,         Retry::ordinary, seconds(0), kNetwork},
    {Verdict::not_authorized,       Retry::ordinary, seconds(0), kFiles | kClock},
    {Verdict::publish_denied,       Retry::ordinary, seconds(0), kFiles},  // it stays behind
    {Verdict::subscribe_denied,     Retry::ordinary, seconds(0), kFiles},
    {Verdict::bad_credentials,      Retry::ordinary, seconds(0), kFiles},
    {Verdict::id_taken_over,        Retry::hold_off, seconds(15)},  // else two devices fight
    {Verdict::throttled,            Retry::paced,    seconds(4)},
    {Verdict::quota_exceeded,       Retry::paced,    seconds(4)},
    {Verdict::server_gone,          Retry::slower,   seconds(15)},  // ... and its whole fleet
    {Verdict::protocol_error,       Retry::slower,   seconds(5)},   // repeating it proves little
    {Verdict::silent_peer,          Retry::ordinary, seconds(0), kNetwork},
    {Verdict::engine_failed,        Retry::ordinary, seconds(0)},
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
