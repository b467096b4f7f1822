// Goal:   times are written as the calendar has them, before 1970 and in leap years, too.
// Method: times whose text is known from elsewhere (Python's datetime).
#include "base/calendar.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Calendar, TimesAsIso8601) {
  EXPECT_EQ(iso_time(WallTime{0}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(iso_time(WallTime{-1}), "1969-12-31T23:59:59Z");
  EXPECT_EQ(iso_time(WallTime{1709251199999}), "2024-02-29T23:59:59Z") << "parts are dropped";
  EXPECT_EQ(iso_time(WallTime{1795767330000}), "2026-11-27T08:15:30Z");
  EXPECT_EQ(iso_time(WallTime{2147483648000}), "2038-01-19T03:14:08Z");
}

}  // namespace
}  // namespace holdfast
