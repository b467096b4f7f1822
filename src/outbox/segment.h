// One segment as it is known in RAM: which ids it holds, and one bit each for those still waiting.
//
// Threads:  one thread at a time, as the outbox.
// Memory:   a bit per message plus a few words per run of ids; no index of messages.
// Order:    segments are read in the order of `place`. A log segment's place is its sequence; one
//           that carries the messages of older segments has the place of the first of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "outbox/format.h"

namespace holdfast::outbox {

/// Ids first, first + 1, … of which the first has bit `base`.
struct Run {
  MessageId first = 0;
  std::uint32_t count = 0;
  std::uint32_t base = 0;
};

/// The waiting messages of a lane. Bytes are those of their records; after damage they are an
/// estimate, and exact again when none waits.
struct LaneLoad {
  std::uint32_t count = 0;
  std::uint32_t bytes = 0;
};

class Segment {
 public:
  Segment() = default;
  Segment(const SegmentHeader& header, std::uint32_t its_slot)
      : place(header.sequence),
        sequence(header.sequence),
        salt(header.salt),
        slot(its_slot),
        key_id(header.key_id),
        key(make_key(header.store, header.sequence, header.salt)) {}

  std::uint64_t place = 0;
  std::uint64_t sequence = 0;
  std::uint64_t salt = 0;
  std::uint32_t slot = 0;
  std::uint64_t key_id = 0;  ///< As in its header; it is not in a checkpoint.
  SegmentKey key;
  std::uint32_t end = kDataStart;  ///< Records that count end here.

  /// Adds a waiting message. False, and nothing done, if the id does not grow.
  bool add(MessageId id, StoreLane lane, std::uint32_t bytes);
  /// Takes a message out; false if it was not waiting here. When the lane has none here (only
  /// after damage), another lane that has is charged; the one charged is given back in `lane`.
  bool settle(MessageId id, StoreLane& lane);
  /// The bytes of messages taken out; whoever took them out knows how many.
  void release_bytes(StoreLane lane, std::uint64_t bytes);

  /// The position of an id among all ids of this segment.
  [[nodiscard]] std::optional<std::uint32_t> index_of(MessageId id) const;
  [[nodiscard]] MessageId id_at(std::uint32_t index) const;
  [[nodiscard]] bool live_at(std::uint32_t index) const {
    return (bits_[index / 64] >> (index % 64) & 1) != 0;
  }
  [[nodiscard]] bool live(MessageId id) const {
    const auto index = index_of(id);
    return index && live_at(*index);
  }
  /// The first waiting message at `index` or behind it; size() if there is none.
  [[nodiscard]] std::uint32_t next_live(std::uint32_t index) const;

  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] std::uint32_t live_count() const { return live_; }
  [[nodiscard]] LaneLoad load(StoreLane lane) const {
    return lane < lanes_.size() ? lanes_[lane] : LaneLoad{};
  }
  [[nodiscard]] std::uint32_t lane_live(StoreLane lane) const { return load(lane).count; }
  /// Bytes of the records of all waiting messages.
  [[nodiscard]] std::uint64_t live_bytes() const;
  [[nodiscard]] const std::vector<Run>& runs() const { return runs_; }
  [[nodiscard]] const std::vector<LaneLoad>& lanes() const { return lanes_; }

  /// Rebuilds the table from a checkpoint; false if the parts contradict each other.
  bool restore(std::vector<Run> runs, std::vector<std::uint64_t> bits, std::vector<LaneLoad> lanes);

 private:
  std::vector<Run> runs_;  // first ids ascend
  std::vector<std::uint64_t> bits_;
  std::vector<LaneLoad> lanes_;  // waiting messages by store lane
  std::uint32_t size_ = 0;
  std::uint32_t live_ = 0;
};

}  // namespace holdfast::outbox
