#include "link/key_lease.h"

#include <algorithm>
#include <utility>

#include "link/policy.h"

namespace holdfast::link {

KeyLease::KeyLease(env::Random& random)
    : random_(random), backoff_(kRenewAgainFirst, kRenewAgainCap) {}

bool KeyLease::serves(BootTime now, std::string_view asker) const {
  return now + kLeaseLeast <= until_ && asker == asker_;
}

bool KeyLease::due(BootTime now) const { return held(now) && now >= next_due(); }

BootTime KeyLease::next_due() const {
  return state_ == State::held && ask_at_ < until_ ? ask_at_ : kNever;
}

void KeyLease::asked() { state_ = State::asking; }

void KeyLease::granted(BootTime now, Duration lasts, std::string asker) {
  state_ = State::held;
  until_ = now + std::min(lasts, kLeaseMost);
  asker_ = std::move(asker);
  failing_ = false;
  backoff_.reset();
  const Duration ahead = std::min(Duration((until_ - now) / kRenewShare), kRenewAhead);
  const auto spread = static_cast<std::uint64_t>((ahead / 2).count());
  ask_at_ = until_ - ahead + Duration(static_cast<Duration::rep>(random_.below(spread)));
}

void KeyLease::refused(BootTime now, Verdict why) {
  if (!held(now)) return forget();
  state_ = State::held;
  failing_ = true;
  const Policy& policy = policy_of(why);
  const bool asked_to_wait = policy.retry == Retry::paced || policy.retry == Retry::hold_off;
  ask_at_ = now + (asked_to_wait ? policy.at_least : Duration()) + backoff_.next(random_);
}

void KeyLease::forget() {
  state_ = State::none;
  until_ = {};
}

void KeyLease::mended(BootTime now) {
  if (state_ == State::held && failing_) ask_at_ = now;
}

}  // namespace holdfast::link
