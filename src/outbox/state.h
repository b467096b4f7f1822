// Everything the outbox knows beside the messages themselves, and how checkpoints carry it.
//
// A checkpoint holds the whole State; a session record holds a SessionInfo; ack and drop records
// hold Ranges. Decoding checks every field against the others, so that whatever passes is a state
// the outbox can work with, also when the bytes were made by somebody else.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "env/clock.h"
#include "holdfast/types.h"
#include "outbox/endings.h"
#include "outbox/segment.h"

namespace holdfast::outbox {

/// One opening of the store.
struct SessionInfo {
  std::uint32_t epoch = 0;
  bool clean = false;  ///< Written at closing: everything before it was synced.
  env::BootId boot{};
  std::uint32_t boot_first_epoch = 0;  ///< Messages of this epoch or later are of this boot.
  std::int64_t wall_ms = 0;
  std::int64_t boot_ms = 0;
  std::int64_t max_wall_ms = 0;    ///< Largest wall clock ever seen.
  std::uint64_t accepted = 0;      ///< Counters at this moment: they tell torn from corrupt, and
  std::uint64_t corrupt = 0;       ///< damage already reported from new, when this is read again.
  std::vector<std::string> lanes;  ///< The store's lane names; StoreLane is an index.
};

struct Counters {
  std::uint64_t accepted = 0;
  std::uint64_t delivered = 0;
  std::array<std::uint64_t, kDropReasons> dropped{};

  void add_drops(DropReason reason, std::uint64_t n) {
    dropped[static_cast<std::size_t>(reason)] += n;
  }
};

using SegmentMap = std::map<std::uint64_t, Segment>;  // by place

struct State {
  SessionInfo session;
  MessageId next_id = 0;
  std::uint32_t group = 0;  ///< The number the next commit gets.
  Counters counters;
  Endings endings;
  SegmentMap segments;

  [[nodiscard]] std::uint64_t pending() const;
  /// accepted == delivered + pending + dropped.
  [[nodiscard]] bool balanced() const;
};

/// Ids first … first + count - 1 of one lane with one end.
struct Range {
  MessageId first = 0;
  std::uint32_t count = 0;
  std::uint32_t bytes = 0;  ///< Of their records.
  StoreLane lane = 0;
  DropReason reason = DropReason::expired;  ///< Meaningful in drop records.

  /// Whether `next` begins where this one ends, with the same end.
  [[nodiscard]] bool continued_by(const Range& next) const {
    return lane == next.lane && reason == next.reason && first + count == next.first;
  }
  void join(const Range& next) {
    count += next.count;
    bytes += next.bytes;
  }
};
inline constexpr std::size_t kRangeSize = 20;
inline constexpr std::size_t kRangesPerRecord = 1024;

void append_session(std::vector<std::byte>& out, const SessionInfo& info, MessageId next_id);
[[nodiscard]] std::optional<SessionInfo> decode_session(std::span<const std::byte> record);

void append_ranges(std::vector<std::byte>& out, RecordType type, std::span<const Range> ranges,
                   MessageId next_id);
[[nodiscard]] std::vector<Range> decode_ranges(std::span<const std::byte> record);

/// Segments without waiting messages are left out.
void append_checkpoint(std::vector<std::byte>& out, const State& state, MessageId next_id);
/// `own` is the sequence of the segment it was found in: the table may only name earlier ones.
[[nodiscard]] std::optional<State> decode_checkpoint(std::span<const std::byte> record,
                                                     const StoreUuid& store, std::uint64_t own,
                                                     std::uint32_t segment_bytes);

}  // namespace holdfast::outbox
