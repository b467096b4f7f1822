// See quarantine.h.
#include "device/quarantine.h"

#include <algorithm>

namespace holdfast::device {
namespace {

/// SUBACK's, and that of MQTT 3.1.1.
constexpr std::uint8_t kNotAuthorized = 0x87;
constexpr std::uint8_t kFailureV311 = 0x80;

Milliseconds in_ms(Duration duration) {
  return std::chrono::ceil<Milliseconds>(std::max(duration, Duration::zero()));
}

}  // namespace

flow::Suspicion::End end_of(const env::Failure& failure) {
  using End = flow::Suspicion::End;
  if (failure.verdict == Verdict::not_authorized) return End::hang_up;
  if (failure.reason_code != 0 || failure.verdict == Verdict::none) return End::told;
  return failure.verdict == Verdict::server_gone ? End::hang_up : End::elsewhere;
}

bool is_denial(std::uint8_t suback_code, MqttVersion version) {
  return suback_code == kNotAuthorized ||
         (version == MqttVersion::v311 && suback_code == kFailureV311);
}

std::vector<Quarantined> quarantine_of(const flow::Suspicion& suspicion,
                                       const flow::Subscriptions& subscriptions,
                                       MqttVersion version, BootTime now) {
  std::vector<Quarantined> all;
  for (const flow::Suspicion::Case& c : suspicion.cases()) {
    all.push_back({c.operation.verdict(), c.operation.name, c.denied, c.code, c.strikes,
                   in_ms(now - c.since), in_ms(c.next - now)});
  }
  for (const flow::Subscriptions::Refusal& r : subscriptions.refusals()) {
    if (!is_denial(r.code, version)) continue;
    all.push_back({Verdict::subscribe_denied, r.filter, true, r.code, 0, in_ms(now - r.since),
                   in_ms(r.retry_at - now)});
  }
  return all;
}

}  // namespace holdfast::device
