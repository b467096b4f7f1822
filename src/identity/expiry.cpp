#include "identity/expiry.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/calendar.h"
#include "base/check.h"

namespace holdfast::identity {
namespace {

constexpr std::int64_t kDayMs = std::int64_t{24} * 3600 * 1000;
/// A clock may be set meanwhile, and timers must not overflow: asked again after this.
constexpr std::int64_t kLookAgainMs = 30 * kDayMs;

std::int64_t left_ms(const SlotState& slot, WallTime now) { return slot.not_after * 1000 - now.ms; }

constexpr std::int64_t kLots = 0x10000;

/// Below kLots: the certificate draws it, so a restart changes nothing.
std::int64_t lot_of(std::string_view fingerprint) {
  std::int64_t lot = 0;
  const std::string_view digits = fingerprint.substr(0, 4);
  std::from_chars(digits.data(), digits.data() + digits.size(), lot, 16);
  return lot;
}

std::string words(const SlotState& slot, std::int64_t left) {
  const std::string when = iso_time(WallTime{slot.not_after * 1000});
  if (left <= 0) return "our certificate has expired at " + when + "; install another one";
  const std::int64_t days = left / kDayMs;
  const std::string rest = days == 0   ? "in less than a day"
                           : days == 1 ? "in 1 day"
                                       : "in " + std::to_string(days) + " days";
  return "our certificate expires " + rest + ", at " + when + "; install the next one";
}

}  // namespace

std::optional<std::int32_t> days_left(const SlotState& slot, WallTime now) {
  if (slot.not_after == 0) return std::nullopt;
  const std::int64_t left = left_ms(slot, now);
  const std::int64_t days = left >= 0 ? left / kDayMs : (left + 1) / kDayMs - 1;
  constexpr std::int64_t kMost = 1'000'000;  // a certificate for ever
  return static_cast<std::int32_t>(std::clamp(days, -kMost, kMost));
}

WallTime renewal_due(const SlotState& slot, Seconds every) {
  HF_CHECK(slot.not_after != 0);
  const std::int64_t life_ms = std::max<std::int64_t>(slot.not_after - slot.not_before, 0) * 1000;
  const std::int64_t every_ms = every.count() * 1000;
  const std::int64_t early_ms = every_ms / 10 * lot_of(slot.fingerprint) / kLots;
  const std::int64_t by_age = slot.not_before * 1000 + every_ms - early_ms;
  const std::int64_t by_end =
      slot.not_after * 1000 - std::min(kExpiryDays[0] * kDayMs, life_ms / 3);
  return WallTime{std::min(by_age, by_end)};
}

std::optional<std::string> ExpiryWatch::service(const SlotState& slot, WallTime now) {
  next_in_.reset();
  if (slot.not_after == 0) return std::nullopt;
  if (slot.fingerprint != fingerprint_) {
    fingerprint_ = slot.fingerprint;
    said_ = 0;
  }
  const std::int64_t left = left_ms(slot, now);
  std::size_t reached = 0;
  while (reached < kExpiryDays.size() && left <= kExpiryDays[reached] * kDayMs) ++reached;
  if (reached < kExpiryDays.size()) {
    const std::int64_t wait = left - kExpiryDays[reached] * kDayMs;
    next_in_ = std::chrono::milliseconds(std::min(wait, kLookAgainMs));
  }
  if (reached <= said_) return std::nullopt;
  said_ = reached;
  return words(slot, left);
}

}  // namespace holdfast::identity
