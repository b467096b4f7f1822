// Goal:   signs of life come twice within the limit while every part goes on, stop when one stands
//         still, and what stands still is named once, before the limit.
// Method: pure; the test is the clock and the parts.
#include "health/progress_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace holdfast::health {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;

constexpr Duration kLimit = seconds(16);

struct ProgressGateTest : ::testing::Test {
  ProgressGate gate{kLimit};
  BootTime now{seconds(1000)};
  std::array<Proof, 3> parts{{{"loop", 0}, {"storage", 0}, {"callbacks", 0}}};

  ProgressGate::Answer look_when_due() {
    now = std::max(now, gate.next_look());
    return gate.look(now, parts);
  }
  void all_go_on() {
    for (Proof& part : parts) ++part.finished;
  }
};

TEST_F(ProgressGateTest, SignsComeTwiceWithinTheLimitWhileAllGoOn) {
  EXPECT_TRUE(look_when_due().alive);
  for (int i = 0; i < 10; ++i) {
    const BootTime before = now;
    all_go_on();
    const auto answer = look_when_due();
    EXPECT_TRUE(answer.alive);
    EXPECT_TRUE(answer.stuck.empty());
    EXPECT_EQ(now - before, kLimit / 2);
  }
}

TEST_F(ProgressGateTest, OnePartThatStandsStillKeepsTheSignBackAndIsNamedOnceInTime) {
  ASSERT_TRUE(look_when_due().alive);
  const BootTime alive_at = now;
  std::vector<std::string_view> named;
  BootTime named_at{};
  while (now < alive_at + 3 * kLimit) {
    ++parts[0].finished;
    ++parts[2].finished;
    const auto answer = look_when_due();
    EXPECT_FALSE(answer.alive);
    if (!answer.stuck.empty()) named_at = now;
    named.insert(named.end(), answer.stuck.begin(), answer.stuck.end());
  }
  EXPECT_THAT(named, ElementsAre("storage"));
  EXPECT_GE(named_at - alive_at, kLimit / 2);
  EXPECT_LT(named_at - alive_at, kLimit);
}

TEST_F(ProgressGateTest, AllThatAreStuckAreNamedTogether) {
  ASSERT_TRUE(look_when_due().alive);
  now += kLimit - seconds(1);
  EXPECT_THAT(gate.look(now, parts).stuck, ElementsAre("loop", "storage", "callbacks"));
}

TEST_F(ProgressGateTest, APartThatGoesOnLateGetsItsSignAtOnceAndMayBeNamedAgain) {
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(look_when_due().alive);
    const BootTime alive_at = now;
    bool named = false;
    while (!named && now < alive_at + kLimit) named = !look_when_due().stuck.empty();
    EXPECT_TRUE(named);
    all_go_on();
    const BootTime before = now;
    EXPECT_TRUE(look_when_due().alive);
    EXPECT_LE(now - before, kLimit / 8) << "it looks closely while something is stuck";
    all_go_on();
  }
}

TEST_F(ProgressGateTest, ALimitOfNothingStillPausesBetweenLooks) {
  ProgressGate none{Duration::zero()};
  EXPECT_TRUE(none.look(now, parts).alive);
  EXPECT_GT(none.next_look(), now);
  EXPECT_FALSE(none.look(now, parts).alive);
  EXPECT_GT(none.next_look(), now);
}

}  // namespace
}  // namespace holdfast::health
