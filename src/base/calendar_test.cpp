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

TEST(Calendar, TimesAsHttpWritesThem) {
  EXPECT_EQ(http_date(WallTime{0}), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date(WallTime{784111777999}), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(WallTime{1795767330000}), "Fri, 27 Nov 2026 08:15:30 GMT");
}

TEST(Calendar, TimesAreReadInTheOneFormThatIsWritten) {
  EXPECT_EQ(parse_iso_time("2024-02-29T23:59:59Z"), WallTime{1709251199000});
  EXPECT_EQ(parse_iso_time("1969-12-31T23:59:59Z"), WallTime{-1000});
  EXPECT_EQ(parse_http_date("Thu, 29 Feb 2024 23:59:59 GMT"), WallTime{1709251199000});
  for (const char* wrong :
       {"", "2024-02-30T00:00:00Z", "2024-02-29T24:00:00Z", "2024-02-29T23:60:00Z",
        "2024-02-29t23:59:59Z", "2024-02-29T23:59:59", "2024-02-29T23:59:59ZZ"}) {
    EXPECT_FALSE(parse_iso_time(wrong)) << wrong;
  }
  for (const char* wrong : {"", "Thu, 29 Feb 2024 23:59:59 UTC", "Thu, 30 Feb 2024 23:59:59 GMT",
                            "Thu, 29 anF 2024 23:59:59 GMT", "Thursday, 29-Feb-24 23:59:59 GMT",
                            "Thu Feb 29 23:59:59 2024"}) {
    EXPECT_FALSE(parse_http_date(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace holdfast
