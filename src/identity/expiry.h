// When a certificate runs out: days left, and a warning once each at 30, 7 and 1 days, and at the
// end.
//
// Threads: one. Time comes in from outside.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "holdfast/types.h"

namespace holdfast::identity {

inline constexpr std::array<std::int32_t, 4> kExpiryDays{30, 7, 1, 0};

/// Whole days from `now` to the certificate's end; below 0 once it has passed. None: no
/// certificate.
[[nodiscard]] std::optional<std::int32_t> days_left(const SlotState& slot, WallTime now);

/// When a successor of this certificate is due: when it is `every` old, the devices of a fleet
/// spread over a tenth of that; but not later than 30 days, or a third of its life, before its end.
/// REQUIRES: a certificate was read.
[[nodiscard]] WallTime renewal_due(const SlotState& slot, Seconds every);

class ExpiryWatch {
 public:
  /// The warning to give now, if one of kExpiryDays has been reached since the last call for this
  /// certificate; of several only the nearest. Another certificate begins anew.
  [[nodiscard]] std::optional<std::string> service(const SlotState& slot, WallTime now);

  /// How long nothing will be due, by the time of the last service(). None: nothing ever.
  [[nodiscard]] std::optional<Duration> next_in() const { return next_in_; }

 private:
  std::string fingerprint_;
  std::size_t said_ = 0;  ///< So many of kExpiryDays.
  std::optional<Duration> next_in_;
};

}  // namespace holdfast::identity
