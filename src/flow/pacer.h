// How fast to send: a rate with a small burst, without any timer while nothing waits.
//
// Purpose:  stay below a broker's quota by our own choice instead of finding out by its anger.
// Method:   one instant instead of a bucket: `next_` is when the last unit sent would have been
//           due at the exact rate. A unit may go up to kBurst ahead of it. Nothing is refilled, so
//           nothing has to wake up.
// Threads:  plain value, one thread.
// Source:   generic cell rate algorithm (ITU-T I.371, virtual scheduling).
#pragma once

#include <cstdint>

#include "base/time.h"

namespace holdfast::flow {

/// What may be sent at once after a rest: the units of this much time.
inline constexpr Duration kBurst = std::chrono::milliseconds(100);

class Pacer {
 public:
  /// 0 units per second means unlimited.
  explicit Pacer(std::uint32_t per_second) { set_rate(per_second); }

  void set_rate(std::uint32_t per_second) { per_second_ = per_second; }

  /// When the next unit may go; in the past or present: now. One unit may always go after enough
  /// rest, however large, and is paid for afterwards.
  [[nodiscard]] BootTime ready_at() const;

  /// Notes `units` as sent at `now`.
  void sent(BootTime now, std::uint64_t units);

 private:
  std::uint32_t per_second_ = 0;
  BootTime next_ = BootTime::min();
};

}  // namespace holdfast::flow
