// What each verdict means for the next attempt: one row per verdict, as data.
//
// Purpose:  the recovery fits the failure, and a reader sees all of them in one grid.
// Rule:     every verdict is retried for ever. A policy may only make the wait longer, since any
//           failure seen from a device (a wrong policy, a deactivated certificate) may be repaired
//           at the other end without anybody visiting.
// Source:   DESIGN section 3; MQTT 5.0 section 4.13 for the reason codes behind the verdicts.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "holdfast/types.h"

namespace holdfast::link {

/// How the delay before the next attempt is chosen.
enum class Retry : std::uint8_t {
  ordinary,  ///< Full jitter over the present range.
  slower,    ///< The same, but the range starts at `at_least`, or an eighth of the cap if that is
             ///< less: we are hardly alone with this.
  hold_off,  ///< `at_least` first, then full jitter: coming back at once would do harm.
  /// Too many come at once: between half and all of the time for which the peer has been saying so,
  /// `at_least` at the beginning, whatever the cap of the others. A fleet of any size is then back
  /// about as fast as the peer takes it, without knowing how large it is (docs/fleet.md).
  paced,
};

/// What may mend a failure before its wait is over: then no wait is worth its time.
enum class Mend : std::uint8_t {
  network = 1,      ///< A carrier, an address or a default route has come.
  credentials = 2,  ///< A file of certificates, keys or passwords has changed.
  clock = 4,        ///< The wall clock was set.
  identity = 8,     ///< Other credentials are to be used from now on: also a connection is renewed.
};

/// Whom a failure speaks against, where there are several endpoints (link/endpoints.h).
enum class Blame : std::uint8_t {
  nobody,  ///< The endpoint is there, or the device itself is the cause: no reason to leave it.
  /// It may be the endpoint, or every way out: only another one that works shows which. The others
  /// are tried once, and again no sooner than after another failover.after.
  unclear,
  endpoint,  ///< It does not let us in, or no longer answers, whatever the cause behind it.
};

struct Policy {
  Verdict verdict = Verdict::none;
  Blame blame = Blame::nobody;
  Retry retry = Retry::ordinary;
  Duration at_least{};
  std::uint8_t mends = 0;  ///< Bits of Mend.

  [[nodiscard]] constexpr bool mended_by(Mend what) const noexcept {
    return (mends & static_cast<std::uint8_t>(what)) != 0;
  }
};

/// The row of a verdict.
[[nodiscard]] const Policy& policy_of(Verdict verdict) noexcept;

}  // namespace holdfast::link
