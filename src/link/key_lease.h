// When temporary keys are asked for: for an attempt that has none that serve, and ahead of their
// end.
//
// Purpose:  a connection never waits for keys that could have been there, a fleet does not ask in
//           step, and keys that cannot be renewed serve until they end.
// Method:   events only note what happened; due() and serves() say what follows. The keys
//           themselves are elsewhere (runtime/role_keys.h). An attempt without keys has the wait of
//           its verdict (link/policy.h); only renewals have a wait of their own.
// Threads:  plain value, one thread. Time and randomness come in from outside.
// Errors:   none.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "env/random.h"
#include "holdfast/types.h"
#include "link/backoff.h"

namespace holdfast::link {

/// Keys that end sooner are not worth an attempt.
inline constexpr Duration kLeaseLeast = std::chrono::seconds(5);
/// No temporary keys live longer (role alias, credentialDurationSeconds); who says so has a clock
/// that is wrong.
inline constexpr Duration kLeaseMost = std::chrono::hours(12);
/// They are renewed within the last third of their time, or its last ten minutes if that is less:
/// at a random moment of the first half of that.
inline constexpr Duration::rep kRenewShare = 3;
inline constexpr Duration kRenewAhead = std::chrono::minutes(10);
/// The range of the wait after a renewal that failed.
inline constexpr Duration kRenewAgainFirst = std::chrono::seconds(5);
inline constexpr Duration kRenewAgainCap = std::chrono::minutes(5);
static_assert(kRenewAgainCap < kRenewAhead && kRenewAhead < kLeaseMost / kRenewShare);

class KeyLease {
 public:
  /// `random` must outlive it.
  explicit KeyLease(env::Random& random);

  /// Keys are at hand that `asker` got (with that certificate, for that role), and last long enough
  /// to begin with.
  [[nodiscard]] bool serves(BootTime now, std::string_view asker) const;
  /// Whatever is at hand has not ended.
  [[nodiscard]] bool held(BootTime now) const { return now < until_; }
  /// New keys are to be asked for, though nobody waits for them.
  [[nodiscard]] bool due(BootTime now) const;
  /// The next due(); kNever: not by itself.
  [[nodiscard]] BootTime next_due() const;

  /// Somebody has been asked.
  void asked();
  /// Keys have come that last so long.
  void granted(BootTime now, Duration lasts, std::string asker);
  /// None have come.
  void refused(BootTime now, Verdict why);
  /// The broker does not take the keys at hand.
  void forget();
  /// What kept keys from coming may be over.
  void mended(BootTime now);

 private:
  enum class State : std::uint8_t {
    /// Waits for: an attempt to connect that wants keys. Next: asking (asked).
    none,
    /// Waits for: the answer, within the deadlines of who asks. Next: held (granted); none, or held
    /// as before (refused).
    asking,
    /// Waits for: ask_at_, at most the end of the keys. Interrupted by: an attempt of another
    /// asker (asked), forget(). Next: asking; none (forgotten).
    held,
  };

  env::Random& random_;
  Backoff backoff_;
  State state_ = State::none;
  BootTime until_{};  ///< Of the keys at hand; in the past: there are none.
  BootTime ask_at_ = kNever;
  bool failing_ = false;  ///< The last renewal has failed.
  std::string asker_;
};

}  // namespace holdfast::link
