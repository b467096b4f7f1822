// Goal: a broken invariant ends the process with its condition and place; a kept one costs nothing.
// Method: death tests; the condition must be evaluated exactly once.
#include "base/check.h"

#include <gtest/gtest.h>

#include <csignal>

namespace holdfast {
namespace {

TEST(Check, IsSilentAndEvaluatesOnceWhenTheInvariantHolds) {
  int evaluated = 0;
  HF_CHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckDeathTest, NamesConditionAndPlace) {
  const int accepted = 1;
  EXPECT_EXIT(HF_CHECK(accepted == 2), testing::KilledBySignal(SIGABRT),
              "invariant broken: accepted == 2 at .*check_test\\.cpp:[0-9]+");
}

// As the condition of a loop's step it must be one expression, not a block.
TEST(Check, IsOneExpression) {
  int turns = 0;
  for (; turns < 3; HF_CHECK(turns <= 3)) ++turns;
  EXPECT_EQ(turns, 3);
}

}  // namespace
}  // namespace holdfast
