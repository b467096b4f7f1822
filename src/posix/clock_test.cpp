// Goal:   the kernel is asked once a second whether the clock is right, and at once after a step.
// Method: a KeptAnswer, and hand-made times.
#include "posix/kept_answer.h"

#include <gtest/gtest.h>

namespace holdfast::posix {
namespace {

using std::chrono::milliseconds;

class KeptAnswerTest : public testing::Test {
 protected:
  bool get() {
    return kept_.get(now_, wall_, [this] {
      ++asked_;
      return truth_;
    });
  }
  void pass(int boot_ms, int wall_ms) {
    now_ += milliseconds(boot_ms);
    wall_.ms += wall_ms;
  }

  KeptAnswer kept_;
  BootTime now_{milliseconds(5000)};
  WallTime wall_{1'750'000'000'000};
  bool truth_ = true;
  int asked_ = 0;
};

TEST_F(KeptAnswerTest, IsKeptForASecond) {
  EXPECT_TRUE(get());
  truth_ = false;
  pass(999, 999);
  EXPECT_TRUE(get());
  EXPECT_EQ(asked_, 1);
  pass(1, 1);
  EXPECT_FALSE(get());
  EXPECT_EQ(asked_, 2);
}

TEST_F(KeptAnswerTest, AStepOfTheWallClockEndsItAtOnce) {
  EXPECT_TRUE(get());
  truth_ = false;
  pass(10, 10 + 50);
  EXPECT_FALSE(get());
  truth_ = true;
  pass(10, 10 - 50);
  EXPECT_TRUE(get());
  EXPECT_EQ(asked_, 3);
}

TEST_F(KeptAnswerTest, AClockThatIsOnlySlewedKeepsIt) {
  EXPECT_TRUE(get());
  pass(500, 501);
  EXPECT_TRUE(get());
  EXPECT_EQ(asked_, 1);
}

}  // namespace
}  // namespace holdfast::posix
