#include "outbox/format.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "outbox/bytes.h"
#include "outbox/crc32c.h"

namespace holdfast::outbox {
namespace {

constexpr std::array<char, 8> kMagic{'H', 'F', 'O', 'U', 'T', 'B', 'X', '1'};
constexpr std::size_t kSegmentCrcAt = kSegmentHeaderSize - 4;
constexpr std::size_t kKeyIdAt = kSegmentCrcAt - 8;

constexpr std::uint8_t kFlagQosMask = 0x03;
constexpr std::uint8_t kFlagRetain = 0x04;
constexpr std::uint8_t kFlagExpiry = 0x08;
constexpr std::uint8_t kFlagWallSuspect = 0x10;
constexpr std::uint8_t kFlagKey = 0x20;
constexpr std::uint8_t kFlagAlias = 0x40;

// The flags are used up; the number of user properties has bits to spare.
constexpr std::uint16_t kPropertiesMask = 0x3FFF;
constexpr std::uint16_t kMoreResponse = 0x8000;
constexpr std::uint16_t kMoreCorrelation = 0x4000;

std::span<const std::byte> bytes_of(std::span<const std::uint8_t> in) { return std::as_bytes(in); }

std::uint32_t record_crc(std::span<const std::byte> record, RecordType type, const SegmentKey& key,
                         std::uint32_t offset) {
  std::array<std::byte, 4> place{};
  store_le(place.data(), offset);
  const std::size_t end = type == RecordType::pad ? kRecordHeaderSize : record.size();
  return crc32c(crc32c(key.seed, place), record.subspan(4, end - 4));
}

}  // namespace

void encode(const SegmentHeader& header, std::span<std::byte> out) {
  HF_CHECK(out.size() >= kSegmentHeaderSize);
  std::vector<std::byte> bytes;
  ByteWriter w(bytes);
  w.bytes(std::as_bytes(std::span(kMagic)));
  w.u16(kFormatVersion);
  w.u16(static_cast<std::uint16_t>(kSegmentHeaderSize));
  w.u32(header.segment_bytes);
  w.bytes(bytes_of(header.store));
  w.u64(header.sequence);
  w.u64(header.salt);
  w.u8(static_cast<std::uint8_t>(header.kind));
  w.zeros(kKeyIdAt - bytes.size());
  w.u64(header.key_id);
  w.u32(crc32c(0, std::span(bytes)));
  std::copy(bytes.begin(), bytes.end(), out.begin());
}

std::optional<SegmentHeader> decode_segment_header(std::span<const std::byte> in) {
  if (in.size() < kSegmentHeaderSize) return std::nullopt;
  const auto magic = std::as_bytes(std::span(kMagic));
  if (!std::equal(magic.begin(), magic.end(), in.begin())) return std::nullopt;
  if (load_le<std::uint32_t>(in.data() + kSegmentCrcAt) != crc32c(0, in.first(kSegmentCrcAt))) {
    return std::nullopt;
  }
  ByteReader r(in.subspan(magic.size()));
  if (r.u16() != kFormatVersion || r.u16() != kSegmentHeaderSize) return std::nullopt;
  SegmentHeader header;
  header.segment_bytes = r.u32();
  const auto store = r.bytes(header.store.size());
  std::transform(store.begin(), store.end(), header.store.begin(),
                 [](std::byte b) { return static_cast<std::uint8_t>(b); });
  header.sequence = r.u64();
  header.salt = r.u64();
  const std::uint8_t kind = r.u8();
  if (kind > static_cast<std::uint8_t>(SegmentKind::carried)) return std::nullopt;
  header.kind = static_cast<SegmentKind>(kind);
  header.key_id = load_le<std::uint64_t>(in.data() + kKeyIdAt);
  if (header.sequence == 0 || header.segment_bytes % kBlock != 0 ||
      header.segment_bytes < kSegmentFloor || header.segment_bytes > limits::kSegmentMax) {
    return std::nullopt;
  }
  return header;
}

bool is_other_version(std::span<const std::byte> in) {
  if (in.size() < kSegmentHeaderSize) return false;
  // The last byte of the magic is the major version, in case that the header itself changes.
  const auto magic = std::as_bytes(std::span(kMagic)).first(kMagic.size() - 1);
  if (!std::equal(magic.begin(), magic.end(), in.begin())) return false;
  if (load_le<std::uint8_t>(in.data() + magic.size()) != static_cast<std::uint8_t>(kMagic.back())) {
    return true;
  }
  return load_le<std::uint16_t>(in.data() + kMagic.size()) != kFormatVersion &&
         load_le<std::uint32_t>(in.data() + kSegmentCrcAt) == crc32c(0, in.first(kSegmentCrcAt));
}

SegmentKey make_key(const StoreUuid& store, std::uint64_t sequence, std::uint64_t salt) {
  std::array<std::byte, 16> numbers{};
  store_le(numbers.data(), sequence);
  store_le(numbers.data() + 8, salt);
  SegmentKey key;
  key.seed = crc32c(crc32c(0, bytes_of(store)), numbers);
  constexpr std::array<char, 3> kTagWord{'t', 'a', 'g'};
  key.tag = crc32c(key.seed, std::as_bytes(std::span(kTagWord)));
  return key;
}

RecordHeader decode_record_header(std::span<const std::byte> in) {
  RecordHeader header;
  const auto word = load_le<std::uint32_t>(in.data() + 4);
  header.length = word & kRecordMax;
  header.type = static_cast<RecordType>(word >> 24);
  header.tag = load_le<std::uint32_t>(in.data() + 8);
  header.group = load_le<std::uint32_t>(in.data() + 12);
  header.id = load_le<std::uint64_t>(in.data() + 16);
  header.detail = load_le<std::uint64_t>(in.data() + 24);
  return header;
}

void begin_record(std::vector<std::byte>& out, RecordType type, MessageId id,
                  std::uint64_t detail) {
  std::array<std::byte, kRecordHeaderSize> header{};
  store_le(header.data() + 4, static_cast<std::uint32_t>(type) << 24);
  store_le(header.data() + 16, id);
  store_le(header.data() + 24, detail);
  out.insert(out.end(), header.begin(), header.end());
}

void finish_record(std::vector<std::byte>& out, std::size_t start) {
  const std::size_t length = out.size() - start;
  HF_CHECK(length >= kRecordHeaderSize && length <= kRecordMax);
  std::byte* word = out.data() + start + 4;
  store_le(word, (load_le<std::uint32_t>(word) & ~kRecordMax) | static_cast<std::uint32_t>(length));
  out.resize(start + stride(static_cast<std::uint32_t>(length)));
}

void stamp_record(std::span<std::byte> record, const SegmentKey& key, std::uint32_t offset,
                  std::uint32_t group) {
  const RecordHeader header = decode_record_header(record);
  HF_CHECK(header.length <= record.size() && offset % kAlign == 0);
  store_le(record.data() + 8, key.tag);
  store_le(record.data() + 12, group);
  store_le(record.data(), record_crc(record.first(header.length), header.type, key, offset));
}

bool record_valid(std::span<const std::byte> record, const RecordHeader& header,
                  const SegmentKey& key, std::uint32_t offset) {
  if (record.size() < kRecordHeaderSize || record.size() != header.length) return false;
  if (header.type < RecordType::put || header.type > RecordType::pad) return false;
  return load_le<std::uint32_t>(record.data()) == record_crc(record, header.type, key, offset);
}

std::optional<std::uint32_t> put_size(const StoredMessage& message) {
  constexpr std::size_t kShort = std::numeric_limits<std::uint16_t>::max();
  if (message.topic.size() > kShort || message.content_type.size() > kShort ||
      message.key.size() > kShort || message.response_topic.size() > kShort ||
      message.correlation_data.size() > kShort ||
      message.user_properties.size() > kPropertiesMask) {
    return std::nullopt;
  }
  std::size_t size = kPutFixed + message.topic.size() + message.content_type.size();
  if (message.alias != 0) size += 8;
  for (const std::size_t optional :
       {message.key.size(), message.response_topic.size(), message.correlation_data.size()}) {
    if (optional != 0) size += 2 + optional;
  }
  for (const auto& [name, value] : message.user_properties) {
    if (name.size() > kShort || value.size() > kShort) return std::nullopt;
    size += 4 + name.size() + value.size();
  }
  if (message.payload.size() > kRecordMax ||
      size + message.payload.size() > kRecordMax - kSealSize) {
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(size + message.payload.size());
}

void append_put(std::vector<std::byte>& out, const StoredMessage& message, MessageId id,
                StoreLane lane, const Stamp& stamp) {
  std::uint8_t flags = static_cast<std::uint8_t>(message.qos) & kFlagQosMask;
  if (message.retain) flags |= kFlagRetain;
  if (message.expiry_seconds) flags |= kFlagExpiry;
  if (stamp.wall_suspect) flags |= kFlagWallSuspect;
  if (!message.key.empty()) flags |= kFlagKey;
  if (message.alias != 0) flags |= kFlagAlias;
  auto properties = static_cast<std::uint16_t>(message.user_properties.size());
  if (!message.response_topic.empty()) properties |= kMoreResponse;
  if (!message.correlation_data.empty()) properties |= kMoreCorrelation;
  const std::uint64_t detail =
      std::uint64_t{lane} | std::uint64_t{flags} << 8 | std::uint64_t{message.topic.size()} << 16 |
      std::uint64_t{message.content_type.size()} << 32 | std::uint64_t{properties} << 48;
  const std::size_t start = out.size();
  begin_record(out, RecordType::put, id, detail);
  ByteWriter w(out);
  w.i64(stamp.wall_ms);
  w.i64(stamp.boot_ms);
  w.u32(message.expiry_seconds.value_or(0));
  w.u32(static_cast<std::uint32_t>(message.payload.size()));
  if (message.alias != 0) w.u64(message.alias);
  if (!message.key.empty()) {
    w.u16(static_cast<std::uint16_t>(message.key.size()));
    w.text(message.key);
  }
  if (!message.response_topic.empty()) {
    w.u16(static_cast<std::uint16_t>(message.response_topic.size()));
    w.text(message.response_topic);
  }
  if (!message.correlation_data.empty()) {
    w.u16(static_cast<std::uint16_t>(message.correlation_data.size()));
    w.bytes(message.correlation_data);
  }
  w.text(message.topic);
  w.text(message.content_type);
  for (const auto& [name, value] : message.user_properties) {
    w.u16(static_cast<std::uint16_t>(name.size()));
    w.u16(static_cast<std::uint16_t>(value.size()));
    w.text(name);
    w.text(value);
  }
  w.bytes(message.payload);
  finish_record(out, start);
}

StoreLane put_lane(const RecordHeader& header) {
  return static_cast<StoreLane>(header.detail & 0xFF);
}

std::optional<Stamp> decode_put_stamp(std::span<const std::byte> record) {
  if (record.size() < kPutFixed) return std::nullopt;
  ByteReader r(record.subspan(kRecordHeaderSize));
  Stamp stamp;
  stamp.wall_ms = r.i64();
  stamp.boot_ms = r.i64();
  stamp.wall_suspect = (load_le<std::uint8_t>(record.data() + 25) & kFlagWallSuspect) != 0;
  return stamp;
}

std::optional<PutRecord> decode_put_cover(std::span<const std::byte> record) {
  const auto stamp = decode_put_stamp(record);
  if (!stamp) return std::nullopt;
  const RecordHeader header = decode_record_header(record);
  const auto flags = static_cast<std::uint8_t>(header.detail >> 8);
  PutRecord put;
  put.stamp = *stamp;
  StoredMessage& m = put.message;
  m.id = header.id;
  m.qos = (flags & kFlagQosMask) == 0 ? Qos::at_most_once : Qos::at_least_once;
  m.retain = (flags & kFlagRetain) != 0;
  m.accepted_wall_ms = stamp->wall_ms;
  const auto expiry = load_le<std::uint32_t>(record.data() + kRecordHeaderSize + 16);
  if ((flags & kFlagExpiry) != 0) m.expiry_seconds = expiry;
  return put;
}

std::optional<PutRecord> decode_put(std::span<const std::byte> record) {
  auto put = decode_put_cover(record);
  if (!put) return std::nullopt;
  const RecordHeader header = decode_record_header(record);
  const auto flags = static_cast<std::uint8_t>(header.detail >> 8);
  if ((flags & kFlagSealed) != 0) return std::nullopt;
  const auto topic = static_cast<std::size_t>((header.detail >> 16) & 0xFFFF);
  const auto content_type = static_cast<std::size_t>((header.detail >> 32) & 0xFFFF);
  const auto more = static_cast<std::uint16_t>(header.detail >> 48);
  StoredMessage& m = put->message;
  ByteReader r(record.subspan(kRecordHeaderSize + 20));
  const std::uint32_t payload = r.u32();
  if ((flags & kFlagAlias) != 0) m.alias = r.u64();
  if ((flags & kFlagKey) != 0) m.key = r.text(r.u16());
  if ((more & kMoreResponse) != 0) m.response_topic = r.text(r.u16());
  if ((more & kMoreCorrelation) != 0) {
    const auto data = r.bytes(r.u16());
    m.correlation_data.assign(data.begin(), data.end());
  }
  m.topic = r.text(topic);
  m.content_type = r.text(content_type);
  for (std::size_t i = 0; i < (more & kPropertiesMask) && r.ok(); ++i) {
    const std::uint16_t name = r.u16();
    const std::uint16_t value = r.u16();
    std::string name_text = r.text(name);
    m.user_properties.emplace_back(std::move(name_text), r.text(value));
  }
  const auto body = r.bytes(payload);
  if (!r.ok() || r.left() != 0) return std::nullopt;
  if (m.alias != 0 && !is_volatile(m.alias)) return std::nullopt;
  m.payload.assign(body.begin(), body.end());
  return put;
}

}  // namespace holdfast::outbox
