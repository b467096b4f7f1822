// Well-formed and malformed code points, each length at its edges.
#include "base/utf8.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Utf8, EdgesOfEveryLength) {
  for (const std::string_view good :
       {"", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(valid_utf8(good)) << good;
  }
  for (const std::string_view bad :
       {"\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
        "\xC2", "\xE2\x82", "\xF0\x9F\x98", "\xC2\x41", "\xF8\x88\x80\x80\x80", "\xFE"}) {
    EXPECT_FALSE(valid_utf8(bad));
  }
  EXPECT_FALSE(valid_utf8(std::string_view("\0", 1)));
}

}  // namespace
}  // namespace holdfast
