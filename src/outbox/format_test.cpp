// Goal:   the format's parts: what is written is read back, and nothing else is.
// Method: known values, round trips, every truncation, every flipped bit, every wrong place.

#include "outbox/format.h"

#include <gtest/gtest.h>

#include <string_view>

#include "outbox/crc32c.h"
#include "outbox/segment.h"
#include "outbox/state.h"
#include "outbox/test_world.h"

namespace holdfast::outbox::test {
namespace {

constexpr StoreUuid kStore{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

StoredMessage rich_message() {
  StoredMessage m = make_message(2, "plant/7/temperature", 300);
  m.qos = Qos::at_most_once;
  m.retain = true;
  m.expiry_seconds = 3600;
  m.content_type = "application/json";
  m.user_properties = {{"a", "1"}, {"", ""}, {"a", "2"}};
  m.response_topic = "plant/7/answers";
  m.correlation_data = {std::byte{0}, std::byte{0xFF}};
  return m;
}

TEST(Crc32c, KnownValues) {
  const std::string_view digits = "123456789";
  const auto bytes = std::as_bytes(std::span(digits.data(), digits.size()));
  EXPECT_EQ(crc32c(0, bytes), 0xE3069283U);  // the check value of CRC-32C
  const std::vector<std::byte> zeros(32);
  EXPECT_EQ(crc32c(0, zeros), 0x8A9136AAU);  // RFC 3720 appendix B.4
  EXPECT_EQ(crc32c(crc32c(0, bytes.first(4)), bytes.subspan(4)), crc32c(0, bytes));
}

TEST(Crc32c, InstructionAndTableAgree) {
  std::vector<std::byte> bytes(300);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i + 7);
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t to = from; to <= bytes.size(); ++to) {
      const auto part = std::span<const std::byte>(bytes).subspan(from, to - from);
      ASSERT_EQ(crc32c(12345, part), crc32c_by_table(12345, part)) << from << " to " << to;
    }
  }
}

TEST(Format, MessageComesBackWhole) {
  const StoredMessage m = rich_message();
  std::vector<std::byte> out;
  append_put(out, m, make_id(3, 9), 5, {1'750'000'000'000, 4711, true});
  ASSERT_EQ(out.size(), stride(*put_size(m)));
  const auto header = decode_record_header(out);
  EXPECT_EQ(header.id, make_id(3, 9));
  EXPECT_EQ(put_lane(header), 5);
  const auto put = decode_put(std::span(out).first(header.length));
  ASSERT_TRUE(put.has_value());
  EXPECT_TRUE(same_message(put->message, m));
  EXPECT_EQ(put->message.accepted_wall_ms, 1'750'000'000'000);
  EXPECT_EQ(put->stamp.boot_ms, 4711);
  EXPECT_TRUE(put->stamp.wall_suspect);
}

TEST(Format, ShortenedMessageIsRefused) {
  std::vector<std::byte> out;
  append_put(out, rich_message(), 1, 0, {});
  const auto length = decode_record_header(out).length;
  for (std::uint32_t n = kRecordHeaderSize; n < length; ++n) {
    EXPECT_FALSE(decode_put(std::span(out).first(n)).has_value()) << n;
  }
}

TEST(Format, MessageThatDoesNotFitIsRefused) {
  StoredMessage m;
  m.topic.assign(65536, 't');
  EXPECT_FALSE(put_size(m).has_value());
  m.topic.assign(65535, 't');
  EXPECT_TRUE(put_size(m).has_value());
  m.user_properties.emplace_back(std::string(65536, 'n'), "v");
  EXPECT_FALSE(put_size(m).has_value());
  m.user_properties.assign(0x3FFF, {});
  m.topic = "t";
  EXPECT_TRUE(put_size(m).has_value());
  m.user_properties.emplace_back();
  EXPECT_FALSE(put_size(m).has_value()) << "its number would look like flags";
  m.user_properties.clear();
  m.correlation_data.resize(65536);
  EXPECT_FALSE(put_size(m).has_value());
}

// The number of user properties lends its two highest bits to what was added later: each of the
// four combinations comes back, and what has neither is written as it always was.
TEST(Format, ResponseTopicAndCorrelationDataAreThereOrNot) {
  for (unsigned kinds = 0; kinds < 4; ++kinds) {
    StoredMessage m = rich_message();
    if ((kinds & 1) == 0) m.response_topic.clear();
    if ((kinds & 2) == 0) m.correlation_data.clear();
    std::vector<std::byte> out;
    append_put(out, m, make_id(3, 9), 5, {});
    ASSERT_EQ(out.size(), stride(*put_size(m)));
    const auto header = decode_record_header(out);
    EXPECT_EQ(header.detail >> 48, 3U | (kinds & 1) << 15 | (kinds & 2) << 13);
    const auto put = decode_put(std::span(out).first(header.length));
    ASSERT_TRUE(put.has_value());
    EXPECT_TRUE(same_message(put->message, m)) << kinds;
  }
}

// What a salt is for: an attempt at the same sequence in the same slot that a cut took back leaves
// records in the very places where the next attempt looks.
TEST(Format, RecordIsValidOnlyInItsPlace) {
  std::vector<std::byte> out;
  append_put(out, rich_message(), make_id(1, 1), 0, {});
  const SegmentKey key = make_key(kStore, 7, 99);
  stamp_record(out, key, kDataStart, 4);
  const auto header = decode_record_header(out);
  const auto record = std::span<const std::byte>(out).first(header.length);
  EXPECT_TRUE(record_valid(record, header, key, kDataStart));
  EXPECT_FALSE(record_valid(record, header, key, kDataStart + 8));
  EXPECT_FALSE(record_valid(record, header, make_key(kStore, 8, 99), kDataStart));
  EXPECT_FALSE(record_valid(record, header, make_key(kStore, 7, 98), kDataStart));
  StoreUuid other = kStore;
  ++other[15];
  EXPECT_FALSE(record_valid(record, header, make_key(other, 7, 99), kDataStart));
  EXPECT_NE(make_key(kStore, 7, 98).tag, key.tag);
}

TEST(Format, EveryFlippedBitIsNoticed) {
  std::vector<std::byte> out;
  append_put(out, rich_message(), make_id(1, 1), 0, {});
  const SegmentKey key = make_key(kStore, 7, 99);
  stamp_record(out, key, kDataStart, 4);
  const auto length = decode_record_header(out).length;
  for (std::size_t bit = 0; bit < std::size_t{length} * 8; ++bit) {
    out[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const auto header = decode_record_header(out);
    const bool fits = header.length <= out.size() && header.length >= kRecordHeaderSize;
    EXPECT_FALSE(fits && record_valid(std::span(out).first(header.length), header, key, kDataStart))
        << bit;
    out[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  }
}

TEST(Format, SegmentHeader) {
  std::vector<std::byte> out(kSegmentHeaderSize);
  encode(SegmentHeader{kStore, 12, 34, 1 << 20}, out);
  const auto header = decode_segment_header(out);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->store, kStore);
  EXPECT_EQ(header->sequence, 12U);
  EXPECT_EQ(header->salt, 34U);
  EXPECT_EQ(header->segment_bytes, 1U << 20);
  for (std::size_t bit = 0; bit < out.size() * 8; ++bit) {
    out[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(decode_segment_header(out).has_value()) << bit;
    out[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  }
}

Segment make_segment(std::uint64_t sequence, std::uint64_t salt, std::uint32_t slot) {
  return {{.store = kStore, .sequence = sequence, .salt = salt}, slot};
}

TEST(Segment, KnowsWhatWaits) {
  Segment s = make_segment(1, 2, 0);
  for (const MessageId id : {10U, 11U, 12U, 20U, 21U})
    EXPECT_TRUE(s.add(id, id % 2 == 0 ? 0 : 1, 100));
  EXPECT_FALSE(s.add(15, 0, 100)) << "ids must grow";
  EXPECT_EQ(s.live_bytes(), 500U);
  EXPECT_EQ(s.runs().size(), 2U);
  EXPECT_EQ(s.index_of(20), 3U);
  EXPECT_FALSE(s.index_of(13).has_value());
  EXPECT_EQ(s.id_at(4), 21U);
  StoreLane lane = 0;
  EXPECT_TRUE(s.settle(10, lane));
  EXPECT_FALSE(s.settle(10, lane)) << "only once";
  EXPECT_EQ(s.next_live(0), 1U);
  EXPECT_EQ(s.lane_live(0), 2U);
  EXPECT_EQ(s.lane_live(1), 2U);
  lane = 3;  // nothing waits there: another is charged, never below zero
  EXPECT_TRUE(s.settle(11, lane));
  EXPECT_EQ(lane, 0);
  EXPECT_EQ(s.live_count(), 3U);
  s.release_bytes(0, 1000);
  EXPECT_EQ(s.load(0).bytes, 0U) << "never below nothing";
  EXPECT_EQ(s.live_bytes(), 200U);
}

State sample_state() {
  State state;
  state.session.epoch = 4;
  state.session.boot_first_epoch = 2;
  state.session.boot = {9, 8, 7};
  state.session.max_wall_ms = 1'750'000'000'000;
  state.session.lanes = {"urgent", "normal"};
  state.next_id = make_id(4, 1000);
  for (const std::uint64_t sequence : {3U, 5U, 6U}) {
    Segment s = make_segment(sequence, sequence * 77, static_cast<std::uint32_t>(sequence));
    s.end = kDataStart + 4096;
    for (std::uint64_t i = 1; i <= 200; ++i) s.add(make_id(4, sequence * 100 - 100 + i), i % 2, 64);
    state.segments.emplace(sequence, s);
  }
  StoreLane lane = 0;
  // One segment fully waiting, one with a settled stretch, one with every second settled.
  for (std::uint64_t i = 1; i <= 50; ++i) {
    lane = i % 2;
    state.segments.at(5).settle(make_id(4, 400 + i), lane);
  }
  for (std::uint64_t i = 2; i <= 200; i += 2) {
    lane = 0;
    state.segments.at(6).settle(make_id(4, 500 + i), lane);
  }
  state.counters.accepted = 600;
  state.counters.delivered = 140;
  state.counters.dropped[1] = 10;
  return state;
}

TEST(Checkpoint, CarriesTheWholeState) {
  const State state = sample_state();
  ASSERT_TRUE(state.balanced());
  std::vector<std::byte> out;
  append_checkpoint(out, state, state.next_id);
  const auto record = std::span<const std::byte>(out).first(decode_record_header(out).length);
  const auto back = decode_checkpoint(record, kStore, 7, 1 << 20);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->next_id, state.next_id);
  EXPECT_EQ(back->session.lanes, state.session.lanes);
  EXPECT_EQ(back->session.boot, state.session.boot);
  EXPECT_EQ(back->pending(), 450U);
  for (const auto& [sequence, segment] : state.segments) {
    const Segment& other = back->segments.at(sequence);
    EXPECT_EQ(other.salt, segment.salt);
    EXPECT_EQ(other.lane_live(0), segment.lane_live(0));
    ASSERT_EQ(other.size(), segment.size());
    for (std::uint32_t i = 0; i < segment.size(); ++i) {
      ASSERT_EQ(other.live_at(i), segment.live_at(i)) << sequence << " " << i;
    }
  }
  EXPECT_FALSE(decode_checkpoint(record, kStore, 6, 1 << 20).has_value())
      << "it names a segment as new as itself";
}

TEST(Checkpoint, ContradictionsAreRefused) {
  State state = sample_state();
  ++state.counters.delivered;
  std::vector<std::byte> out;
  append_checkpoint(out, state, state.next_id);
  EXPECT_FALSE(decode_checkpoint(out, kStore, 7, 1 << 20).has_value());
}

}  // namespace
}  // namespace holdfast::outbox::test
