// Goal:   the later of two versions is known, as people who number releases mean it.
#include "update/version.h"

#include <gtest/gtest.h>

namespace holdfast::update {
namespace {

TEST(VersionTest, TheLaterOneIsKnown) {
  const char* const order[] = {"0.9",   "1.0-alpha", "1.0-rc1", "1.0-rc2",  "1.0-rc10", "1.0",
                               "1.0.1", "1.0.10",    "1.1",     "1.2.3",    "1.10",     "2",
                               "10.0",  "2025.1.31", "2025.12", "20260101", "a1"};
  const std::size_t count = sizeof order / sizeof *order;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < count; ++j) {
      const int want = i < j ? -1 : i > j ? 1 : 0;
      EXPECT_EQ(compare_versions(order[i], order[j]), want) << order[i] << ' ' << order[j];
    }
  }
}

TEST(VersionTest, WhatDoesNotCountDoesNotCount) {
  EXPECT_EQ(compare_versions("1.0+build7", "1.0+build9"), 0);
  EXPECT_EQ(compare_versions("1.01", "1.1"), 0);
  EXPECT_EQ(compare_versions("", ""), 0);
  EXPECT_LT(compare_versions("", "1"), 0);
  EXPECT_EQ(compare_versions("99999999999999999999999", "99999999999999999999998"), 1);
}

// The order is that of dpkg --compare-versions, which lab/package_update_test.py asks.
TEST(VersionTest, DebiansHaveAnOrderOfTheirOwn) {
  const char* const order[] = {"0",     "1.0~~",  "1.0~rc1-1", "1.0~rc1-1+b1", "1.0~rc2", "1.0",
                               "1.0-1", "1.0-1a", "1.0-1+b1",  "1.0-2",        "1.0-10",  "1.0a",
                               "1.0+x", "1.0.1",  "1.2",       "1.10",         "1:0.1",   "2:0"};
  const std::size_t count = sizeof order / sizeof *order;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < count; ++j) {
      const int want = i < j ? -1 : i > j ? 1 : 0;
      EXPECT_EQ(compare_debian_versions(order[i], order[j]), want) << order[i] << ' ' << order[j];
    }
  }
  EXPECT_EQ(compare_debian_versions("0:1.0", "1.0"), 0);
  EXPECT_EQ(compare_debian_versions("1.0-0", "1.0"), 0);
  EXPECT_EQ(compare_debian_versions("1.00", "1.0"), 0);
}

}  // namespace
}  // namespace holdfast::update
