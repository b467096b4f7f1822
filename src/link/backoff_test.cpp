// Goal: delays are uniform over a range that doubles up to its cap and starts over when told to.
// Method: a seeded generator; ranges compared exactly, the spread by counting draws per tenth.
#include "link/backoff.h"

#include <gtest/gtest.h>

#include <array>

#include "sim/seeded_random.h"

namespace holdfast::link {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using sim::SeededRandom;

TEST(Backoff, RangeDoublesUpToTheCapAndDelaysStayInside) {
  SeededRandom random(1);
  Backoff backoff(seconds(1), seconds(120));
  for (const int range : {1, 2, 4, 8, 16, 32, 64, 120, 120, 120}) {
    EXPECT_EQ(backoff.range(), seconds(range));
    const Duration delay = backoff.next(random);
    EXPECT_GE(delay, Duration::zero());
    EXPECT_LE(delay, seconds(range));
  }
}

TEST(Backoff, DelaysFillTheWholeRangeEvenly) {
  SeededRandom random(2);
  Backoff backoff(seconds(10), seconds(10));
  std::array<int, 10> tenths{};
  constexpr int kDraws = 10000;
  for (int i = 0; i < kDraws; ++i) {
    const Duration delay = backoff.next(random);
    ++tenths.at(static_cast<std::size_t>(std::min<Duration::rep>(delay / milliseconds(1000), 9)));
  }
  for (const int count : tenths) {
    EXPECT_GT(count, kDraws / 10 * 8 / 10);
    EXPECT_LT(count, kDraws / 10 * 12 / 10);
  }
}

TEST(Backoff, SameSeedSameDelaysOtherSeedOthers) {
  SeededRandom a(7);
  SeededRandom b(7);
  SeededRandom c(8);
  Backoff x(seconds(1), seconds(120));
  Backoff y(seconds(1), seconds(120));
  Backoff z(seconds(1), seconds(120));
  int differ = 0;
  for (int i = 0; i < 10; ++i) {
    const Duration delay = x.next(a);
    EXPECT_EQ(delay, y.next(b));
    differ += delay != z.next(c) ? 1 : 0;
  }
  EXPECT_GE(differ, 9);
}

TEST(Backoff, ResetStartsOverRaiseLiftsReconfigureKeepsWithinLimits) {
  SeededRandom random(3);
  Backoff backoff(seconds(1), seconds(60));
  for (int i = 0; i < 5; ++i) EXPECT_LE(backoff.next(random), seconds(60));
  backoff.reset();
  EXPECT_EQ(backoff.range(), seconds(1));
  backoff.raise_to(seconds(15));
  EXPECT_EQ(backoff.range(), seconds(15));
  backoff.raise_to(seconds(5));
  EXPECT_EQ(backoff.range(), seconds(15)) << "raising never lowers";
  backoff.raise_to(seconds(1000));
  EXPECT_EQ(backoff.range(), seconds(60)) << "the cap holds";
  backoff.reconfigure(seconds(2), seconds(8));
  EXPECT_EQ(backoff.range(), seconds(8));
  backoff.reset();
  EXPECT_EQ(backoff.range(), seconds(2));
  EXPECT_EQ(Backoff(seconds(9), seconds(3)).range(), seconds(3)) << "first above the cap";
}

}  // namespace
}  // namespace holdfast::link
