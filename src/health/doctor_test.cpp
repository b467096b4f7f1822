// Goal:   the frame holds together: names, order, what rests on what, and words for figures.
// Method: the table itself, looked at from outside.
#include "health/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace holdfast::health {

namespace {

using testing::ElementsAre;

std::vector<Check> all() {
  std::vector<Check> list;
  for (std::size_t i = 0; i < kChecks; ++i) list.push_back(static_cast<Check>(i));
  return list;
}

TEST(Doctor, EachCheckHasANameOfItsOwnByWhichItIsFound) {
  std::set<std::string_view> names;
  for (const Check check : all()) {
    EXPECT_TRUE(names.insert(info_of(check).name).second) << info_of(check).name;
    EXPECT_EQ(check_of(info_of(check).name), check);
    EXPECT_FALSE(info_of(check).about.empty());
  }
  EXPECT_EQ(check_of("no-such"), std::nullopt);
  EXPECT_EQ(check_of(""), std::nullopt);
}

TEST(Doctor, WhatACheckRestsOnComesBeforeIt) {
  for (const Check check : all()) {
    for (const auto& need : info_of(check).needs) {
      if (need) {
        EXPECT_LT(*need, check) << info_of(check).name;
      }
    }
  }
  EXPECT_EQ(with_needs(all()), all());
}

TEST(Doctor, OneCheckBringsAllThatItRestsOnOnce) {
  EXPECT_THAT(with_needs({Check::tcp, Check::route}),
              ElementsAre(Check::configuration, Check::dns, Check::route, Check::tcp));
  EXPECT_THAT(with_needs({Check::clock}), ElementsAre(Check::clock));
  const std::vector<Check> publish = with_needs({Check::publish});
  EXPECT_NE(std::find(publish.begin(), publish.end(), Check::credentials), publish.end());
  EXPECT_EQ(std::find(publish.begin(), publish.end(), Check::disk), publish.end());
}

TEST(Doctor, FiguresAreWrittenForPeople) {
  EXPECT_EQ(in_ms(0.42), "0.4 ms");
  EXPECT_EQ(in_ms(12.4), "12 ms");
  EXPECT_EQ(in_ms(3210), "3.2 s");
  EXPECT_EQ(in_bytes(512), "512 B");
  EXPECT_EQ(in_bytes(64ULL << 20U), "64 MiB");
  EXPECT_EQ(in_bytes(3ULL << 50U), "3072 TiB");
  EXPECT_EQ(in_words({}), "");
  EXPECT_EQ(in_words({"a"}), "a");
  EXPECT_EQ(in_words({"a", "b", "c"}), "a, b and c");
  EXPECT_EQ(counted(1, "day", "days"), "1 day");
  EXPECT_EQ(counted(0, "day", "days"), "0 days");
}

TEST(Doctor, SkippedNamesWhatItNeeds) {
  const Finding finding = skipped(Check::dns);
  EXPECT_EQ(finding.result, CheckResult::skipped);
  EXPECT_EQ(finding.found, "needs dns");
  EXPECT_EQ(to_string(CheckResult::not_applicable), "not_applicable");
}

}  // namespace

}  // namespace holdfast::health
