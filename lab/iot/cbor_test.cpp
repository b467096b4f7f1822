// CBOR from strangers.
#include "lab/iot/cbor.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::lab::iot {
namespace {

using namespace std::string_literals;

TEST(LabCbor, ComesBackAsItWas) {
  const Json value = {{"a", {1, -2, 2.5, true, nullptr, "\u00fc"}}, {"b", Json::object()}};
  const auto back = parse_cbor(to_cbor(value));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(dump(*back), dump(value));
}

TEST(LabCbor, KnowsTheBytesOfTheSpecification) {
  // RFC 8949, appendix A.
  EXPECT_EQ(to_cbor({{"a", 1}}), "\xa1\x61\x61\x01"s);
  EXPECT_EQ(dump(*parse_cbor("\xbf\x61\x61\x01\x61\x62\x9f\x02\x03\xff\xff"s)),
            R"({"a":1,"b":[2,3]})");
}

TEST(LabCbor, RefusesWhatJsonCannotHold) {
  EXPECT_EQ(parse_cbor("").error().code, Errc::corrupt);
  EXPECT_EQ(parse_cbor("\xa1\x61"s).error().code, Errc::corrupt);
  EXPECT_EQ(parse_cbor("\x01\x01"s).error().code, Errc::corrupt);      // more than one
  EXPECT_EQ(parse_cbor("\x61\xff"s).error().code, Errc::corrupt);      // no UTF-8
  EXPECT_EQ(parse_cbor("\x41\x00"s).error().code, Errc::corrupt);      // bytes
  EXPECT_EQ(parse_cbor("\xf9\x7e\x00"s).error().code, Errc::corrupt);  // NaN
  EXPECT_EQ(parse_cbor("\xa1\x01\x01"s).error().code, Errc::corrupt);  // a key of 1
  EXPECT_EQ(parse_cbor("\x9b"s + std::string(8, '\x7f')).error().code, Errc::corrupt);
}

TEST(LabCbor, TakesBytesWhereTheyAreWanted) {
  const auto value = parse_cbor("\xa1\x61\x61\x42\x00\xff"s, {}, true);
  ASSERT_TRUE(value);
  EXPECT_EQ((*value)["a"].get_binary().size(), 2U);
}

TEST(LabCbor, IsBoundedInSizeAndDepth) {
  for (const char opening : {'\x81', '\x9f', '\x7f', '\x5f', '\xbf'}) {
    EXPECT_FALSE(parse_cbor(std::string(100'000, opening), {}, true)) << static_cast<int>(opening);
  }
  std::string maps;  // that announce more members than there are bytes
  while (maps.size() < 100'000) maps += "\xba\x00\x03\x0d\x40\x61\x61"s;
  EXPECT_EQ(parse_cbor(maps).error().code, Errc::too_large);
  EXPECT_TRUE(parse_cbor("\x82\x81\x01\x81\x01"s, {100, 2}));
  EXPECT_TRUE(parse_cbor("\x82\x9f\x01\xff\xbf\x61\x61\x80\xff"s, {100, 3}));
  EXPECT_EQ(parse_cbor(std::string(100'000, '\x81')).error().code, Errc::too_large);
  EXPECT_EQ(parse_cbor("\x81\x81\x01"s, {100, 1}).error().code, Errc::too_large);
  EXPECT_TRUE(parse_cbor("\x81\x81\x01"s, {100, 2}));
  EXPECT_FALSE(parse_cbor("\x81\x81\x80"s, {100, 2}));  // an empty one counts, too
  EXPECT_EQ(parse_cbor("\x82\x01\x02"s, {2, 2}).error().code, Errc::too_large);
}

}  // namespace
}  // namespace holdfast::lab::iot
