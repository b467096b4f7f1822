// How long to wait before the next attempt: full jitter over a range that doubles.
//
// Purpose:  spread the attempts of a fleet evenly (uniform in [0, range]) and grow the range, not
//           the delay, so that the cap limits the spread and nothing piles up at it.
// Threads:  plain value, one thread.
// Errors:   none.
// Source:   DESIGN sections 3 and 5.
#pragma once

#include "base/time.h"
#include "env/random.h"

namespace holdfast::link {

class Backoff {
 public:
  /// `first` and `cap` are positive; a `first` above the cap counts as the cap.
  Backoff(Duration first, Duration cap);

  /// Changed limits; the present range is kept within them.
  void reconfigure(Duration first, Duration cap);

  /// The next range is at least `range` (never above the cap).
  void raise_to(Duration range);

  /// The range of the next delay.
  [[nodiscard]] Duration range() const { return range_; }

  /// Draws a delay uniformly from [0, range] and doubles the range, up to the cap.
  [[nodiscard]] Duration next(env::Random& random);

  /// Starts over. Only a connection that proved stable earns it.
  void reset() { range_ = first_; }

 private:
  Duration first_;
  Duration cap_;
  Duration range_;
};

}  // namespace holdfast::link
