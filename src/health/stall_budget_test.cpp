// Goal:   the watchdog is fed as long as every part keeps within its own budget, and no longer.
// Method: a hand-turned clock and counts, budgets of 40 s and 80 s.
#include "health/stall_budget.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>

namespace holdfast::health {
namespace {

using std::chrono::seconds;

class StallBudgetTest : public testing::Test {
 protected:
  StallBudget::Answer after(int seconds_passed, bool loop, bool disk) {
    now_ += seconds(seconds_passed);
    counts_[0] += loop ? 1U : 0U;
    counts_[1] += disk ? 1U : 0U;
    return budget_.look(now_, counts_);
  }

  static constexpr std::array<StallRule, 2> kRules{
      {{"the loop", seconds(40)}, {"the disk", seconds(80)}}};
  BootTime now_{seconds(1000)};
  std::array<std::uint64_t, 2> counts_{};
  StallBudget budget_{kRules, now_};
};

TEST_F(StallBudgetTest, FeedsForEverWhileAllGoOn) {
  for (int i = 0; i < 1000; ++i) {
    const auto answer = after(39, true, true);
    EXPECT_TRUE(answer.feed);
    EXPECT_TRUE(answer.stalls.empty());
    EXPECT_FALSE(answer.over);
  }
}

TEST_F(StallBudgetTest, APartIsNamedThenStarvesTheWatchdogAndFeedsItAgain) {
  EXPECT_TRUE(after(29, false, true).stalls.empty());
  const auto named = after(1, false, true);
  EXPECT_TRUE(named.feed);
  ASSERT_EQ(named.stalls.size(), 1U);
  EXPECT_EQ(named.stalls[0].part, "the loop");
  EXPECT_EQ(named.stalls[0].lasts, seconds(30));
  EXPECT_EQ(named.stalls[0].left, seconds(10));
  EXPECT_TRUE(after(9, false, true).stalls.empty()) << "once";
  const auto starved = after(1, false, true);
  EXPECT_FALSE(starved.feed);
  ASSERT_EQ(starved.stalls.size(), 1U);
  EXPECT_EQ(starved.stalls[0].left, Duration::zero());
  EXPECT_FALSE(after(100, false, true).feed);
  const auto back = after(1, true, true);
  EXPECT_TRUE(back.feed);
  EXPECT_TRUE(back.over);
  EXPECT_FALSE(after(1, true, true).over) << "once";
}

TEST_F(StallBudgetTest, EachPartHasItsOwn) {
  EXPECT_TRUE(after(79, true, false).feed) << "the loop's budget is not the disk's";
  const auto answer = after(1, true, false);
  EXPECT_FALSE(answer.feed);
  ASSERT_EQ(answer.stalls.size(), 1U);
  EXPECT_EQ(answer.stalls[0].part, "the disk");
}

TEST_F(StallBudgetTest, AllThatStandStillAreNamed) {
  const auto answer = after(90, false, false);
  EXPECT_FALSE(answer.feed);
  EXPECT_EQ(answer.stalls.size(), 2U);
  EXPECT_FALSE(after(1, true, false).over) << "one of them goes on";
}

TEST_F(StallBudgetTest, TheShortestBudgetSetsThePaceWithinBounds) {
  EXPECT_EQ(budget_.pace(), seconds(10));
  const std::array<StallRule, 1> tiny{{{"x", std::chrono::milliseconds(1)}}};
  EXPECT_EQ(StallBudget(tiny, now_).pace(), std::chrono::milliseconds(50));
  const std::array<StallRule, 1> huge{{{"x", std::chrono::hours(100)}}};
  EXPECT_EQ(StallBudget(huge, now_).pace(), seconds(10));
}

}  // namespace
}  // namespace holdfast::health
