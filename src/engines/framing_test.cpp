// Goal:   packet boundaries, lengths and kept bodies are found wherever the bytes are cut.
// Method: every stream is fed in chunks of every size; malformed and truncated bodies are parsed.
#include "engines/framing.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::engines {
namespace {

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

std::vector<std::uint8_t> body(std::initializer_list<int> values) {
  std::vector<std::uint8_t> result;
  for (const int value : values) result.push_back(static_cast<std::uint8_t>(value));
  return result;
}

struct Seen {
  PacketType type;
  std::uint32_t length;
  std::vector<std::uint8_t> body;
  bool operator==(const Seen&) const = default;
};

/// Feeds `stream` in chunks of `size`; checks that each packet's header is told before its end.
std::vector<Seen> follow(std::span<const std::byte> stream, std::size_t size) {
  Framing framing;
  std::vector<Seen> seen;
  unsigned headers = 0;
  while (!stream.empty()) {
    std::span<const std::byte> chunk = stream.first(std::min(size, stream.size()));
    stream = stream.subspan(chunk.size());
    for (Framing::Step step = framing.next(chunk); step != Framing::Step::more;
         step = framing.next(chunk)) {
      if (step == Framing::Step::header) ++headers;
      if (step != Framing::Step::packet) continue;
      EXPECT_TRUE(framing.at_boundary());
      seen.push_back(
          {framing.type(), framing.length(), {framing.body().begin(), framing.body().end()}});
      EXPECT_EQ(headers, seen.size());
    }
    EXPECT_TRUE(chunk.empty());
  }
  return seen;
}

TEST(Framing, FindsPacketsHoweverTheBytesAreCut) {
  std::vector<std::byte> stream = bytes({0x20, 3, 0, 0x87, 0,  // CONNACK
                                         0xD0, 0,              // PINGRESP
                                         0x30, 0x80, 0x01});   // PUBLISH of 128 bytes
  stream.insert(stream.end(), 128, std::byte{0x20});
  const auto tail = bytes({0xE0, 0, 0xB0, 4, 0, 9, 0, 0x11});
  stream.insert(stream.end(), tail.begin(), tail.end());
  const std::vector<Seen> expected{{PacketType::connack, 3, body({0, 0x87, 0})},
                                   {PacketType::pingresp, 0, {}},
                                   {PacketType::publish, 128, {}},
                                   {PacketType::disconnect, 0, {}},
                                   {PacketType::unsuback, 4, body({0, 9, 0, 0x11})}};
  for (std::size_t size = 1; size <= stream.size(); ++size) {
    EXPECT_EQ(follow(stream, size), expected) << "chunks of " << size;
  }
}

TEST(Framing, RefusesALengthOfFiveBytes) {
  const auto stream = bytes({0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01});
  Framing framing;
  std::span<const std::byte> rest(stream);
  EXPECT_EQ(framing.next(rest), Framing::Step::malformed);
}

TEST(Framing, ReadsTheLargestLengthWithoutKeepingAnything) {
  const auto stream = bytes({0xB0, 0xFF, 0xFF, 0xFF, 0x7F});
  Framing framing;
  std::span<const std::byte> rest(stream);
  ASSERT_EQ(framing.next(rest), Framing::Step::header);
  EXPECT_EQ(framing.length(), 268435455U);
  const std::vector<std::byte> much(100000);
  std::span<const std::byte> more(much);
  EXPECT_EQ(framing.next(more), Framing::Step::more);
  EXPECT_EQ(framing.body().size(), Framing::kBodyKept);
  EXPECT_FALSE(framing.at_boundary());
}

TEST(ParseDisconnect, ReadsCodeAndReasonString) {
  EXPECT_EQ(parse_disconnect({}).reason_code, 0);
  EXPECT_EQ(parse_disconnect(body({0x8E})).reason_code, 0x8E);
  const auto full = parse_disconnect(
      body({0x98, 17, 0x11, 0, 0, 0, 1, 0x26, 0, 1, 'a', 0, 1, 'b', 0x1F, 0, 2, 'n', 'o'}));
  EXPECT_EQ(full.reason_code, 0x98);
  EXPECT_EQ(full.reason, "no");
}

TEST(ParseDisconnect, SurvivesEveryTruncation) {
  const auto whole = body({0x98, 10, 0x1C, 0, 2, 'x', 'y', 0x1F, 0, 2, 'n', 'o'});
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const auto cut = parse_disconnect(std::span(whole).first(size));
    EXPECT_EQ(cut.reason_code, 0x98);
    EXPECT_EQ(cut.reason, "") << size;
  }
  EXPECT_EQ(parse_disconnect(whole).reason, "no");
}

TEST(ParseUnsuback, ReadsIdAndCodesAndRefusesTheRest) {
  const auto good = parse_unsuback(body({0x12, 0x34, 3, 0x1F, 0, 0, 0x00, 0x11, 0x87}));
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(good->packet_id, 0x1234);
  EXPECT_EQ(good->codes, body({0x00, 0x11, 0x87}));
  EXPECT_FALSE(parse_unsuback(body({})).has_value());
  EXPECT_FALSE(parse_unsuback(body({0, 0, 0})).has_value());
  EXPECT_FALSE(parse_unsuback(body({0, 1, 9, 0})).has_value());
  EXPECT_FALSE(parse_unsuback(body({0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0})).has_value());
}

}  // namespace
}  // namespace holdfast::engines
