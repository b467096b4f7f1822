// The on-disk format, version 1: constants, segment headers, record headers, message bodies.
//
// Purpose:  the one place that knows offsets. docs/outbox-format.md describes the same in tables.
// Threads:  pure functions.
// Errors:   decoding damaged bytes gives nullopt; it never reads outside its input.
//
// A record is only valid in its place: its checksum is seeded with store, segment sequence, the
// segment's salt and the record's offset, so bytes of an older use of the slot, of an attempt that
// was cut, of another store, or copied inside a payload never pass.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/limits.h"
#include "base/message.h"

namespace holdfast::outbox {

inline constexpr std::uint16_t kFormatVersion = 1;
inline constexpr std::uint32_t kBlock = 4096;  ///< Unit of padding; at least the page of the disk.
inline constexpr std::uint32_t kDataStart = 2 * kBlock;  ///< Behind the two header copies.
inline constexpr std::uint32_t kSegmentHeaderSize = 64;
inline constexpr std::uint32_t kRecordHeaderSize = 32;
inline constexpr std::uint32_t kAlign = 8;
inline constexpr std::uint32_t kRecordMax = (1U << 24) - 1;
inline constexpr std::uint32_t kPutFixed = kRecordHeaderSize + 24;
inline constexpr std::uint32_t kSealSize = 28;     ///< Behind the text of a sealed put: nonce, tag.
inline constexpr std::uint8_t kFlagSealed = 0x80;  ///< In the flags of a put.
inline constexpr std::uint32_t kSegmentFloor = 32 * 1024;  ///< Smallest Options::segment_bytes.
inline constexpr std::uint32_t kSlotsMax =
    96;  ///< Keeps the worst checkpoint below half a segment.
inline constexpr std::size_t kStoreLanesMax = 255;

static_assert(limits::kSegmentMax % kBlock == 0 && limits::kSegmentMin % kBlock == 0);
static_assert(limits::kMessageMax < kRecordMax);
static_assert(limits::kSegmentsWanted <= kSlotsMax);

// ---- ids ----------------------------------------------------------------------------------------

// A message id is epoch << 35 | counter. Every opening begins a new epoch, so an id given before a
// crash is never given again, even when the crash lost the record. Bit 63 stays clear.
inline constexpr unsigned kCounterBits = 35;
inline constexpr std::uint64_t kCounterMax = (std::uint64_t{1} << kCounterBits) - 1;
inline constexpr std::uint32_t kEpochMax = (1U << 27) - 1;

[[nodiscard]] constexpr MessageId make_id(std::uint32_t epoch, std::uint64_t counter) {
  return (MessageId{epoch} << kCounterBits) | counter;
}
[[nodiscard]] constexpr std::uint32_t epoch_of(MessageId id) {
  return static_cast<std::uint32_t>(id >> kCounterBits);
}
[[nodiscard]] constexpr std::uint64_t counter_of(MessageId id) { return id & kCounterMax; }

static_assert(make_id(kEpochMax, kCounterMax) < kDurableIdEnd);

// ---- segments -----------------------------------------------------------------------------------

using StoreUuid = std::array<std::uint8_t, 16>;

enum class SegmentKind : std::uint8_t {
  log = 0,      ///< Begins with a checkpoint; records were appended as they came.
  carried = 1,  ///< Puts copied out of older segments; counts only while a checkpoint names it.
};

struct SegmentHeader {
  StoreUuid store{};
  std::uint64_t sequence = 0;  ///< Grows by each use of a slot; never reused once it was seen.
  std::uint64_t salt = 0;      ///< Random, per use of a slot.
  std::uint32_t segment_bytes = 0;
  SegmentKind kind = SegmentKind::log;
  std::uint64_t key_id = 0;  ///< Names the key that its puts are sealed with; 0: they are not.
};

/// kSegmentHeaderSize bytes.
void encode(const SegmentHeader& header, std::span<std::byte> out);
[[nodiscard]] std::optional<SegmentHeader> decode_segment_header(std::span<const std::byte> in);
/// Whether this is the header of a segment that another version of this format wrote.
[[nodiscard]] bool is_other_version(std::span<const std::byte> in);

/// What makes records of one use of a slot recognisable.
struct SegmentKey {
  std::uint32_t seed = 0;  ///< Start of every record's checksum.
  std::uint32_t tag = 0;   ///< In every record header: cheap first test.
};
[[nodiscard]] SegmentKey make_key(const StoreUuid& store, std::uint64_t sequence,
                                  std::uint64_t salt);

// ---- records ------------------------------------------------------------------------------------

enum class RecordType : std::uint8_t {
  put = 1,         ///< A message.
  ack = 2,         ///< Ranges of delivered ids.
  drop = 3,        ///< Ranges of ids given up, with reasons.
  session = 4,     ///< An opening (or, with the clean flag, a closing in order).
  checkpoint = 5,  ///< Everything known, at the head of each segment, twice.
  pad = 6,         ///< Ends a commit; its body is not part of the checksum.
};

struct RecordHeader {
  std::uint32_t length = 0;  ///< Header and body, without the padding to 8.
  RecordType type = RecordType::pad;
  std::uint32_t tag = 0;
  std::uint32_t group = 0;   ///< Commit number: group g + 1 is written only after g was synced.
  MessageId id = 0;          ///< put: the message's; else the next one to be given.
  std::uint64_t detail = 0;  ///< put: lane, flags, lengths.
};

/// Bytes the record takes, padding to 8 included.
[[nodiscard]] constexpr std::uint32_t stride(std::uint32_t length) {
  return (length + kAlign - 1) / kAlign * kAlign;
}

/// `in` holds at least kRecordHeaderSize bytes.
[[nodiscard]] RecordHeader decode_record_header(std::span<const std::byte> in);

/// Appends a header whose length, tag, group and checksum finish() and stamp() fill in.
void begin_record(std::vector<std::byte>& out, RecordType type, MessageId id,
                  std::uint64_t detail = 0);
/// Sets the length of the record that begins at `start` and pads it to 8.
void finish_record(std::vector<std::byte>& out, std::size_t start);
/// Makes a finished record valid at `offset` of the segment with this key.
void stamp_record(std::span<std::byte> record, const SegmentKey& key, std::uint32_t offset,
                  std::uint32_t group);
/// `record` holds exactly header.length bytes.
[[nodiscard]] bool record_valid(std::span<const std::byte> record, const RecordHeader& header,
                                const SegmentKey& key, std::uint32_t offset);

// ---- messages -----------------------------------------------------------------------------------

using StoreLane = std::uint8_t;  ///< Index into the store's own table of lane names.

/// When a message was accepted, by both clocks.
struct Stamp {
  std::int64_t wall_ms = 0;
  std::int64_t boot_ms = 0;
  bool wall_suspect = false;  ///< The wall clock was unset or behind what had been seen before.
};

/// The size of a put record, not sealed, or nullopt when a field does not fit the format.
[[nodiscard]] std::optional<std::uint32_t> put_size(const StoredMessage& message);
void append_put(std::vector<std::byte>& out, const StoredMessage& message, MessageId id,
                StoreLane lane, const Stamp& stamp);

[[nodiscard]] StoreLane put_lane(const RecordHeader& header);

struct PutRecord {
  StoredMessage message;  ///< `lane` is left 0.
  Stamp stamp;
};
/// What a put tells without its text: id, QoS, retain, expiry and stamp; of sealed ones, too.
[[nodiscard]] std::optional<PutRecord> decode_put_cover(std::span<const std::byte> record);
/// Of a put that is not sealed.
[[nodiscard]] std::optional<PutRecord> decode_put(std::span<const std::byte> record);
/// Only the stamp, without the strings; of sealed ones, too.
[[nodiscard]] std::optional<Stamp> decode_put_stamp(std::span<const std::byte> record);

}  // namespace holdfast::outbox
