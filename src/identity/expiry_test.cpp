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

SlotState issued(std::int64_t life_days, const std::string& fingerprint) {
  SlotState slot = certificate(fingerprint);
  slot.not_before = slot.not_after - life_days * kDay / 1000;
  return slot;
}

TEST(Expiry, ASuccessorIsDueAtAnAgeAndTheDevicesOfAFleetSpreadOverATenthOfIt) {
  const SlotState last = issued(9000, "0000aa");
  const std::int64_t begin = last.not_before * 1000;
  constexpr Seconds kYear = std::chrono::hours(24 * 365);
  EXPECT_EQ(renewal_due(last, kYear).ms, begin + 365 * kDay);
  const std::int64_t first = renewal_due(issued(9000, "ffff00"), kYear).ms;
  EXPECT_GE(first, begin + 365 * kDay * 9 / 10);
  EXPECT_LT(first, begin + 365 * kDay * 91 / 100);
  EXPECT_EQ(renewal_due(issued(9000, "8000"), kYear).ms, begin + 365 * kDay * 95 / 100);
  EXPECT_EQ(renewal_due(issued(9000, ""), kYear).ms, begin + 365 * kDay) << "never malformed";
}

TEST(Expiry, ASuccessorIsDueBeforeTheEndWhateverItsAge) {
  constexpr Seconds kYear = std::chrono::hours(24 * 365);
  EXPECT_EQ(renewal_due(issued(90, "0000"), kYear).ms, kEnd - 30 * kDay);
  EXPECT_EQ(renewal_due(issued(6, "0000"), kYear).ms, kEnd - 2 * kDay) << "a short life";
  SlotState backwards = issued(90, "0000");
  backwards.not_before = backwards.not_after + 1000;
  EXPECT_LE(renewal_due(backwards, kYear).ms, kEnd);
}

}  // namespace
}  // namespace holdfast::identity
