// Goal:   every level and area has one name, and is found by it.
// Method: all of them, there and back.
#include <gtest/gtest.h>

#include <set>

#include "holdfast/log.h"

namespace holdfast {
namespace {

TEST(LogNames, ArePairwiseDifferentAndFoundAgain) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kLogAreas; ++i) {
    const auto area = static_cast<LogArea>(i);
    EXPECT_TRUE(names.insert(to_string(area)).second) << to_string(area);
    EXPECT_EQ(log_area_of(to_string(area)), area);
  }
  for (std::size_t i = 0; i < kLogLevels; ++i) {
    const auto level = static_cast<LogLevel>(i);
    EXPECT_TRUE(names.insert(to_string(level)).second) << "also apart from the areas";
    EXPECT_EQ(log_level_of(to_string(level)), level);
  }
}

TEST(LogNames, OthersAreNone) {
  for (const char* name : {"", "Info", "loud", "unknown", "local_api"}) {
    EXPECT_FALSE(log_area_of(name)) << name;
    EXPECT_FALSE(log_level_of(name)) << name;
  }
  EXPECT_EQ(to_string(static_cast<LogLevel>(9)), "unknown");
  EXPECT_EQ(to_string(static_cast<LogArea>(99)), "unknown");
}

}  // namespace
}  // namespace holdfast
