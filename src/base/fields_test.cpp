// Goal:   lines, words and numbers are taken as they were written, and nothing else is.
#include "base/fields.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace holdfast {
namespace {

TEST(FieldsTest, WordsAreTakenOneAfterTheOther) {
  std::string_view text = "one two  three";
  EXPECT_EQ(take_word(text), "one");
  EXPECT_EQ(take_word(text), "two");
  EXPECT_EQ(take_word(text), "");
  EXPECT_EQ(take_word(text), "three");
  EXPECT_EQ(take_word(text), "");
  EXPECT_TRUE(text.empty());
}

TEST(FieldsTest, ALineIsTakenByItsNameOnly) {
  std::string_view text = "job a 1\njobs\nempty \nlast";
  EXPECT_FALSE(take_line(text, "jo"));
  EXPECT_EQ(take_line(text, "job"), "a 1");
  EXPECT_FALSE(take_line(text, "jobs")) << "without a blank there is no value";
  text.remove_prefix(5);
  EXPECT_EQ(take_line(text, "empty"), "");
  EXPECT_FALSE(take_line(text, "last")) << "it does not end";
  EXPECT_EQ(text, "last");
}

TEST(FieldsTest, ANumberIsTheWholeText) {
  std::int64_t number = 0;
  EXPECT_TRUE(to_number("-42", number));
  EXPECT_EQ(number, -42);
  std::uint8_t small = 0;
  EXPECT_TRUE(to_number("255", small));
  EXPECT_TRUE(to_number("0", small));
  for (const char* wrong : {"", " 1", "1 ", "0x1", "256", "-1", "1e3", "04", "00", "-0", "-04"}) {
    EXPECT_FALSE(to_number(wrong, small)) << wrong;
  }
}

}  // namespace
}  // namespace holdfast
