// JSON from strangers.
#include "lab/iot/json.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::lab::iot {
namespace {

TEST(LabJson, ReadsAndWritesInTheOrderGiven) {
  const auto value = parse_json(R"({"z":1,"a":[true,null,"x"]})");
  ASSERT_TRUE(value);
  EXPECT_EQ(dump(*value), R"({"z":1,"a":[true,null,"x"]})");
}

TEST(LabJson, NamesTheByteOfAMistake) {
  const auto value = parse_json(R"({"a":})");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, Errc::corrupt);
  EXPECT_EQ(value.error().message, "no JSON at byte 6");
}

TEST(LabJson, RefusesWhatIsNoUtf8) {
  EXPECT_EQ(parse_json("\"\xff\"").error().code, Errc::corrupt);
}

TEST(LabJson, RefusesNumbersNobodyCanHold) {
  EXPECT_EQ(parse_json("[1e999]").error().code, Errc::corrupt);
}

TEST(LabJson, IsBoundedInSizeAndDepth) {
  const std::string deep(100'000, '[');
  EXPECT_EQ(parse_json(deep).error().code, Errc::too_large);
  EXPECT_EQ(parse_json("[[[]]]", {100, 2}).error().code, Errc::too_large);
  EXPECT_TRUE(parse_json(R"(["[[[[[\"[[["])", {100, 1}));
  EXPECT_EQ(parse_json("[1, 2, 3]", {5, 2}).error().code, Errc::too_large);
}

TEST(LabJson, FindsMembersOfTheRightType) {
  const auto value = parse_json(R"({"s":"text","n":7,"t":"8","f":1.5,"big":18446744073709551615})");
  ASSERT_TRUE(value);
  ASSERT_NE(string_in(*value, "s"), nullptr);
  EXPECT_EQ(*string_in(*value, "s"), "text");
  EXPECT_EQ(string_in(*value, "n"), nullptr);
  EXPECT_EQ(string_in(Json::array(), "n"), nullptr);
  EXPECT_EQ(number_in(*value, "n"), 7);
  EXPECT_EQ(number_in(*value, "t"), 8);
  EXPECT_EQ(number_in(*value, "s"), std::nullopt);
  EXPECT_EQ(number_in(*value, "f"), std::nullopt);
  EXPECT_EQ(number_in(*value, "big"), std::nullopt);
  EXPECT_EQ(number_in(*value, "missing"), std::nullopt);
}

}  // namespace
}  // namespace holdfast::lab::iot
