// Base64: the vectors of the RFC, and nothing but them.
#include "base/base64.h"

#include <gtest/gtest.h>

#include <span>
#include <utility>

namespace holdfast {
namespace {

TEST(Base64, FollowsRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(text_to_base64(plain), coded);
    EXPECT_EQ(text_from_base64(coded), plain);
    const auto bytes = std::as_bytes(std::span(std::string_view(plain)));
    EXPECT_EQ(to_base64(bytes), coded);
    EXPECT_EQ(from_base64(coded), Bytes(bytes.begin(), bytes.end()));
  }
  for (const char* wrong :
       {"Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Z!==", "Zg==Zg==", " Zg="}) {
    EXPECT_EQ(from_base64(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace holdfast
