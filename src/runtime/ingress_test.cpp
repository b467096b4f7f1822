// Goal: what waits for the disk stays bounded, and is counted out exactly as it was counted in.
// Method: a small gate, filled and emptied.
#include "runtime/ingress.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace holdfast::runtime {
namespace {

TEST(Ingress, RefusesOverItsBytesAndOpensAgain) {
  Ingress gate(100);
  EXPECT_TRUE(gate.enter(60));
  EXPECT_TRUE(gate.enter(40));
  EXPECT_FALSE(gate.enter(1));
  gate.leave(1);
  EXPECT_TRUE(gate.enter(60));
  EXPECT_FALSE(gate.enter(1));
}

TEST(Ingress, OneMessageAlwaysFitsAnEmptyGate) {
  Ingress gate(100);
  EXPECT_TRUE(gate.enter(1000));
  EXPECT_FALSE(gate.enter(1));
  gate.leave(1);
  EXPECT_TRUE(gate.enter(100));
}

// Field lesson 28.
TEST(Ingress, RefusesOverItsCount) {
  Ingress gate(limits::kIngressMessages * 2);
  for (std::size_t i = 0; i < limits::kIngressMessages; ++i) ASSERT_TRUE(gate.enter(1));
  EXPECT_FALSE(gate.enter(1));
  gate.leave(limits::kIngressMessages);
  EXPECT_TRUE(gate.enter(1));
}

TEST(IngressDeathTest, LeavingMoreThanEnteredIsABug) {
  Ingress gate(100);
  ASSERT_TRUE(gate.enter(1));
  EXPECT_DEATH(gate.leave(2), "invariant broken");
}

}  // namespace
}  // namespace holdfast::runtime
