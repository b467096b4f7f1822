// Goal: the rate is kept to the unit, the burst stays at a tenth of a second's worth, and a rest
//       earns no more than that.
// Method: a greedy sender on virtual time that always waits exactly until ready_at().
#include "flow/pacer.h"

#include <gtest/gtest.h>

namespace holdfast::flow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr BootTime kStart{std::chrono::hours(1)};

TEST(Pacer, UnlimitedNeverWaits) {
  Pacer pacer(0);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_LE(pacer.ready_at(), kStart);
    pacer.sent(kStart, 1000000);
  }
}

TEST(Pacer, ATenthOfASecondAtOnceThenTheRate) {
  for (const std::uint32_t rate : {10U, 80U, 100U, 1000U}) {
    Pacer pacer(rate);
    unsigned burst = 0;
    while (pacer.ready_at() <= kStart) {
      pacer.sent(kStart, 1);
      ++burst;
    }
    EXPECT_EQ(burst, rate / 10) << rate;
    unsigned sent = burst;
    for (BootTime now = kStart; now < kStart + seconds(10); now = pacer.ready_at()) {
      if (pacer.ready_at() > now) continue;
      pacer.sent(now, 1);
      ++sent;
    }
    EXPECT_LE(sent, 10 * rate + rate / 10) << rate;
    EXPECT_GE(sent, 10 * rate - 1) << rate;
  }
}

TEST(Pacer, SlowRatesSendOneByOne) {
  Pacer pacer(2);
  pacer.sent(kStart, 1);
  EXPECT_EQ(pacer.ready_at(), kStart + milliseconds(500));
}

TEST(Pacer, ARestEarnsOneBurstOnly) {
  Pacer pacer(100);
  pacer.sent(kStart, 1);
  const BootTime later = kStart + std::chrono::hours(10);
  unsigned burst = 0;
  for (; pacer.ready_at() <= later; ++burst) pacer.sent(later, 1);
  EXPECT_EQ(burst, 10U);
}

TEST(Pacer, ALargeUnitGoesAndIsPaidForAfterwards) {
  Pacer pacer(1000);
  ASSERT_LE(pacer.ready_at(), kStart);
  pacer.sent(kStart, 5000);
  EXPECT_GE(pacer.ready_at(), kStart + milliseconds(4900));
  EXPECT_LE(pacer.ready_at(), kStart + seconds(5));
}

}  // namespace
}  // namespace holdfast::flow
