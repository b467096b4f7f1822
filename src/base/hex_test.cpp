// Hexadecimal: all bytes there and back, and nothing but digits.
#include "base/hex.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Hex, WritesAndReadsEveryByte) {
  std::string all;
  for (int byte = 0; byte <= 0xFF; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(text_to_hex(all).substr(0, 8), "00010203");
  EXPECT_EQ(text_to_hex("\xab\xff"), "abff");
  EXPECT_EQ(text_from_hex(text_to_hex(all)), all);
  EXPECT_EQ(text_from_hex("ABcd"), "\xab\xcd");
  EXPECT_EQ(text_to_hex(""), "");
  EXPECT_EQ(text_from_hex(""), "");
}

TEST(Hex, RefusesWhatIsNoPairOfDigits) {
  for (const char* wrong : {"0", "abc", "0g", "g0", " 0", "0 ", "-1", "+1", "0x", "\xc3\xa9"}) {
    EXPECT_EQ(text_from_hex(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace holdfast
