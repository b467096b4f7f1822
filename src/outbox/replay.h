// Applies the records behind a checkpoint to its State, counting what is missing.
//
// Ids are given without gaps within an epoch, so a missing id is a record that cannot be read.
// It was accepted (`corrupt`) if a later commit of the same opening exists, since that is written
// only after the earlier one was synced; else it was cut while being written (`torn`).
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "outbox/reader.h"
#include "outbox/slots.h"
#include "outbox/state.h"

namespace holdfast::outbox {

class Replay {
 public:
  Replay(State& state, SegmentReader& reader, const StoreUuid& store, std::uint32_t segment_bytes)
      : state_(state), reader_(reader), store_(store), segment_bytes_(segment_bytes) {}

  /// All records of a segment. `with_checkpoint`: its head replaces the state. Adds the segment to
  /// the state if it has a checkpoint or anything about messages, and returns whether it had. One
  /// that was cut while it was begun has not: its slot is free, or a row of such cuts would use up
  /// the reserve that draining needs.
  bool segment(Segment segment, env::File& file, bool with_checkpoint);

  /// A segment into which older ones were copied. Counts only if it is whole: if nothing of those
  /// that still exist (`exists`) is missing in it. What is missing of others may be in one that was
  /// carried later, since its own slot may have been used again. Without any checkpoint (`rebuild`)
  /// its messages may be known from nowhere else. One that is not `durable` counts only if older
  /// ones are gone.
  /// Returns whether it counts.
  bool carried(Segment segment, env::File& file, const std::function<bool(const Segment&)>& exists,
               bool rebuild, bool durable);

  /// After the last segment: what is still missing was torn, or is lost with what carried it.
  void finish();

  [[nodiscard]] std::uint64_t torn() const { return torn_; }
  /// Lost accepted messages that no earlier opening has reported.
  [[nodiscard]] std::uint64_t new_corrupt() const;
  [[nodiscard]] bool clean() const { return clean_; }
  /// Where the newest commit is that was found.
  [[nodiscard]] const Extent& newest_commit() const { return newest_commit_; }

 private:
  struct Gap {
    MessageId first = 0;
    std::uint64_t count = 0;
    std::uint32_t group = 0;  ///< Commit of the record behind the gap.
  };

  void apply(const RecordView& record, Segment& segment);
  void advance(const RecordHeader& header);
  void put(const RecordView& record, Segment& segment);
  void session(const RecordView& record);
  void settle(const Range& range, bool delivered, Segment& current);
  std::uint64_t settle_in(Segment& segment, const Range& range);
  void count_lost(std::uint64_t count);
  void end(MessageId first, std::uint64_t count, EndKind kind, DropReason reason);
  /// Ids that the epoch may have given, but to nothing that was accepted.
  void end_epoch();
  bool take_from_gap(MessageId id);
  /// Takes the ids of a range out of gaps; gives how many there were.
  static std::uint64_t take_range(std::vector<Gap>& gaps, const Range& range);
  /// The same for what carried segments lack.
  std::uint64_t take_lacking(const Range& range);

  State& state_;
  SegmentReader& reader_;
  const StoreUuid& store_;
  std::uint32_t segment_bytes_;
  std::vector<Gap> gaps_;        // missing, not yet decided
  std::vector<Gap> lost_;        // missing and counted as corrupt
  std::set<MessageId> lacking_;  // accepted, in no segment, and not decided
  std::uint64_t known_corrupt_ = 0;
  std::uint64_t torn_ = 0;
  BrokenPuts broken_;  // in the last segment; remains of earlier openings do not count
  bool clean_ = false;
  Extent newest_commit_;
};

/// Whether the head of a segment holds a readable checkpoint.
[[nodiscard]] bool has_checkpoint(const Segment& segment, env::File& file, SegmentReader& reader,
                                  const StoreUuid& store, std::uint32_t segment_bytes);

}  // namespace holdfast::outbox
