// Goal:   a fleet that returns to its first endpoint never offers more connects in a second than
//         that one's quota, and all of it comes back.
// Method: the figure's own size once, and smaller fleets; return_sim has more seeds.
#include "sim/return_fleet.h"

#include <gtest/gtest.h>

namespace holdfast::sim {
namespace {

TEST(ReturnFleet, AHundredThousandStayBelowTheQuota) {
  const ReturnResult result = run_return({100'000, 3000, 1, 0});
  EXPECT_EQ(result.away, 0U);
  EXPECT_LE(result.pressure, 1.0);
  EXPECT_LE(result.back_s, 600 + 60 + 120 + 60) << "healthy_for, the probes' gaps, and the spread";
}

TEST(ReturnFleet, ASmallQuotaIsKeptToo) {
  const ReturnResult result = run_return({5'000, 100, 2, 0});
  EXPECT_EQ(result.away, 0U);
  EXPECT_LE(result.pressure, 1.0);
}

// Who fails goes back to where it was, and comes again later: that is no second wave.
TEST(ReturnFleet, ReturnsThatFailMakeNoSecondWave) {
  const ReturnResult result = run_return({5'000, 100, 3, 30});
  EXPECT_EQ(result.away, 0U);
  EXPECT_LE(result.pressure, 1.0);
}

}  // namespace
}  // namespace holdfast::sim
