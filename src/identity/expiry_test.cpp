// Goal:   days left are right at the edges; each warning comes once, and the timer is exact.
// Method: a certificate with a known end, and times around each threshold.
#include "identity/expiry.h"

#include <gtest/gtest.h>

namespace holdfast::identity {
namespace {

constexpr std::int64_t kDay = std::int64_t{24} * 3600 * 1000;
constexpr std::int64_t kEnd = std::int64_t{1'800'000'000} * 1000;

SlotState certificate(const std::string& fingerprint = "aa") {
  SlotState slot;
  slot.condition = SlotCondition::complete;
  slot.fingerprint = fingerprint;
  slot.not_after = kEnd / 1000;
  return slot;
}

TEST(Expiry, CountsWholeDaysAndGoesBelowZeroAfterTheEnd) {
  const SlotState slot = certificate();
  EXPECT_EQ(days_left(slot, WallTime{kEnd - 30 * kDay}), 30);
  EXPECT_EQ(days_left(slot, WallTime{kEnd - 30 * kDay + 1}), 29);
  EXPECT_EQ(days_left(slot, WallTime{kEnd}), 0);
  EXPECT_EQ(days_left(slot, WallTime{kEnd + 1}), -1);
  EXPECT_EQ(days_left(slot, WallTime{kEnd + kDay + 1}), -2);
  EXPECT_EQ(days_left(SlotState{}, WallTime{kEnd}), std::nullopt);
}

TEST(Expiry, WarnsOnceEachAtThirtySevenAndOneDayAndAtTheEnd) {
  ExpiryWatch watch;
  const SlotState slot = certificate();
  EXPECT_FALSE(watch.service(slot, WallTime{kEnd - 31 * kDay}));
  ASSERT_TRUE(watch.next_in());
  EXPECT_EQ(*watch.next_in(), std::chrono::hours(24));
  std::size_t warnings = 0;
  for (std::int64_t hour = 31 * 24; hour >= -48; --hour) {
    const auto said = watch.service(slot, WallTime{kEnd - hour * kDay / 24});
    if (!said) continue;
    ++warnings;
    EXPECT_TRUE(hour == 30 * 24 || hour == 7 * 24 || hour == 24 || hour == 0) << hour << *said;
  }
  EXPECT_EQ(warnings, 4U);
  EXPECT_FALSE(watch.next_in()) << "nothing is due after the end";
}

TEST(Expiry, OfSeveralThresholdsOnlyTheNearestIsSaidAndAnotherCertificateBeginsAnew) {
  ExpiryWatch watch;
  const auto said = watch.service(certificate(), WallTime{kEnd - 3 * kDay});
  ASSERT_TRUE(said);
  EXPECT_NE(said->find("in 3 days, at 2027-01-15T08:00:00Z"), std::string::npos) << *said;
  EXPECT_FALSE(watch.service(certificate(), WallTime{kEnd - 3 * kDay}));
  EXPECT_TRUE(watch.service(certificate("bb"), WallTime{kEnd - 3 * kDay}));
}

}  // namespace
}  // namespace holdfast::identity
