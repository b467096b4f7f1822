// Goal:   each alarm and its end are told once, however the figures swing.
#include "health/guards.h"

#include <gtest/gtest.h>

namespace holdfast::health {
namespace {

using std::chrono::seconds;

class GuardsTest : public testing::Test {
 protected:
  static Config::Guards rules() {
    Config::Guards guards;
    guards.every = Seconds(10);
    guards.temperature = 80;
    guards.flash = 0;
    return guards;
  }
  /// What has changed.
  std::vector<GuardState> is(double celsius, Duration later = seconds(10)) {
    now_ += later;
    GuardValues values;
    values.at(static_cast<std::size_t>(GuardKind::temperature)) = GuardValue{celsius, "cpu"};
    values.at(static_cast<std::size_t>(GuardKind::flash)) = GuardValue{100, "mmcblk0"};
    return guards_.look(now_, values);
  }

  BootTime now_{std::chrono::hours(1)};
  Guards guards_{rules()};
};

TEST_F(GuardsTest, AnAlarmTakesItsTimeAndIsToldOnce) {
  EXPECT_TRUE(is(79.9).empty());
  EXPECT_TRUE(is(80).empty());
  EXPECT_TRUE(is(85).empty());
  EXPECT_TRUE(is(85).empty());
  const auto told = is(85);
  ASSERT_EQ(told.size(), 1U) << "30 s at the limit or above";
  EXPECT_EQ(told[0].kind, GuardKind::temperature);
  EXPECT_TRUE(told[0].alarm);
  EXPECT_EQ(told[0].detail, "cpu");
  EXPECT_EQ(told[0].alarms, 1U);
  EXPECT_TRUE(is(120, seconds(1000)).empty());
}

TEST_F(GuardsTest, APeakIsNone) {
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(is(i % 2 == 0 ? 100 : 20, seconds(29)).empty());
}

TEST_F(GuardsTest, ItsEndIsBelowItsBeginningAndLastsToo) {
  is(90);
  ASSERT_EQ(is(90, seconds(30)).size(), 1U);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(is(77).empty()) << "not below 76";
  EXPECT_TRUE(is(75).empty());
  const auto told = is(75, seconds(30));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_FALSE(told[0].alarm);
  is(90);
  EXPECT_EQ(is(90, seconds(30)).at(0).alarms, 2U);
}

TEST_F(GuardsTest, WhatIsNotReadOrNotWantedIsNotThere) {
  EXPECT_TRUE(guards_.states().empty());
  is(50);
  ASSERT_EQ(guards_.states().size(), 1U);
  EXPECT_EQ(guards_.states()[0].value, 50);
  EXPECT_TRUE(guards_.look(now_, {}).empty());
  EXPECT_EQ(guards_.states()[0].value, 50) << "the last that was read";
}

}  // namespace
}  // namespace holdfast::health
