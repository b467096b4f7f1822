// Base64: what is written is read back, and what is wrong is refused.
#include "lab/iot/base64.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace holdfast::lab::iot {
namespace {

using namespace std::string_literals;

TEST(LabBase64, KnowsTheExamplesOfTheStandard) {
  const std::pair<std::string, std::string> examples[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : examples) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
  EXPECT_EQ(from_base64(to_base64("\x00\xff\x80"s)), "\x00\xff\x80"s);
}

TEST(LabBase64, RefusesWhatIsNone) {
  for (const std::string text :
       {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Zm 9v", "Z===", "Zg==Zg=="}) {
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace holdfast::lab::iot
