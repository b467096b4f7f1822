// Room: a lane's own limits, eviction when the outbox is full, and compaction of segments in which
// little still waits.
//
// Compaction copies what waits in neighbouring segments into one new segment that takes their place
// in the order. Recovery believes such a segment as soon as all of it is there, so the old ones are
// free once it is synced; the next checkpoint names it.
#include <algorithm>

#include "base/check.h"
#include "outbox/bytes.h"
#include "outbox/store.h"

namespace holdfast::outbox {
namespace {

// What a carried segment needs beside its records: headers, and room for the reader's last look.
constexpr std::uint32_t kCarriedOverhead = kDataStart + kBlock;
// Rounds of eviction for one message; each frees about a segment's worth of records.
constexpr int kEvictRounds = 4;

}  // namespace

/// How many messages of average size are too many.
std::uint64_t Store::excess(StoreLane lane) const {
  const LaneRules& rule = rules(lane);
  const Total& total = totals_[lane];
  if (total.count == 0) return 0;
  std::uint64_t count = 0;
  if (rule.max_messages > 0 && total.count > rule.max_messages) {
    count = total.count - rule.max_messages;
  }
  if (rule.max_bytes > 0 && total.bytes > rule.max_bytes) {
    const std::uint64_t average = std::max<std::uint64_t>(total.bytes / total.count, 1);
    count = std::max(count, (total.bytes - rule.max_bytes + average - 1) / average);
  }
  return std::min(count, total.count);
}

// Whether one more message of this size is within the lane's limits, room made for it if the lane
// gives up old ones. What flow holds is not ours to give up: then the limit is passed for a moment,
// and News::over says so.
bool Store::keep_limit(StoreLane lane, std::uint32_t bytes) {
  const LaneRules& rule = rules(lane);
  const Total& total = totals_[lane];
  const auto within = [&] {
    return (rule.max_messages == 0 || total.count < rule.max_messages) &&
           (rule.max_bytes == 0 || total.bytes + bytes <= rule.max_bytes);
  };
  if (within()) return true;
  if (rule.when_full != WhenFull::drop_oldest) return false;
  if (rule.max_bytes > 0 && bytes > rule.max_bytes) return false;
  while (!within()) {
    if (fetched_by_lane_[lane] > 0 && parked_in(lane) == 0) return true;
    const std::uint64_t surplus =
        total.bytes + bytes - std::min(total.bytes + bytes, rule.max_bytes);
    if (evict_from(lane, 1, rule.max_bytes == 0 ? 0 : surplus) > 0) continue;
    // What is left is in the batch.
    if (batch_puts_.empty() || !flush().ok() || lane_unfetched(lane) == 0) return false;
  }
  return true;
}

void Store::evict(LaneIndex lane, std::uint64_t count) {
  HF_CHECK(!closed_);
  if (lane < lane_map_.size()) evict_from(lane_map_[lane], count, 0);
}

// The oldest of a lane that were not fetched: at least `count`, and records of at least `bytes`.
// Returns how many messages were given up.
std::uint64_t Store::evict_from(StoreLane lane, std::uint64_t count, std::uint64_t bytes) {
  std::uint64_t evicted = 0;
  std::uint64_t freed = 0;
  while (evicted < count || freed < bytes) {
    Fetched oldest;
    std::size_t read = 0;
    const std::uint64_t before = totals_[lane].count;
    if (parked_in(lane) == 0) {
      fetch_lane(lane, 0, 1, limits::kMessageMax, read, &oldest);
    } else {
      search_lane({Search::For::oldest}, oldest_[lane], lane, 0, 1, limits::kMessageMax, read,
                  &oldest);
    }
    for (const MessagePtr& message : oldest.messages) {
      const Held held = fetched_.at(message->id);
      freed += held.bytes;
      drop(message->id, held, DropReason::evicted);
    }
    if (totals_[lane].count >= before) break;
    evicted += before - totals_[lane].count;
  }
  return evicted;
}

// The outbox is full: dead records first, then messages of lanes that give up old ones, from the
// lane that goes last up to this one.
bool Store::make_space(LaneIndex lane) {
  if (compact()) return true;
  if (rules(lane_map_[lane]).when_full != WhenFull::drop_oldest) return false;
  for (int round = 0; round < kEvictRounds; ++round) {
    std::uint64_t evicted = 0;
    for (std::size_t i = lane_map_.size(); i > lane && evicted == 0; --i) {
      const StoreLane victim = lane_map_[i - 1];
      if (rules(victim).when_full != WhenFull::drop_oldest) continue;
      evicted = evict_from(victim, 1, segment_bytes_);
    }
    if (evicted == 0 || !flush().ok()) return false;
    if (slot_allowed() || compact()) return true;
  }
  return false;
}

// Replaces neighbouring segments by one until a fresh one is allowed, or nothing is gained.
bool Store::compact() {
  if (!flush().ok()) return false;
  while (!slot_allowed()) {
    auto [first, behind] = longest_run(state_.segments.find(active_));
    bool fresh = false;
    if (first == behind) {
      // Then together with the active one, which a fresh one must succeed first. That takes two of
      // the slots in reserve for a moment, and gives both back.
      first = longest_run(state_.segments.end()).first;
      if (first == state_.segments.end() || !make_slots(2) || !start_segment()) return false;
      behind = state_.segments.find(active_);
      fresh = true;
    }
    if (!make_slots(1) || !carry(first, behind).ok()) return false;
    if (fresh) break;
  }
  full_ = false;
  return true;
}

// The most neighbours before `end`, two at least, whose waiting messages fit into one segment.
std::pair<Store::SegmentAt, Store::SegmentAt> Store::longest_run(SegmentAt end) {
  const std::uint64_t capacity = segment_bytes_ - kCarriedOverhead;
  std::pair<SegmentAt, SegmentAt> best{state_.segments.end(), state_.segments.end()};
  std::ptrdiff_t best_length = 1;
  for (auto first = state_.segments.begin(); first != end; ++first) {
    std::uint64_t bytes = 0;
    auto behind = first;
    for (; behind != end; ++behind) {
      bytes += carried_bytes(behind->second);
      if (bytes > capacity || seals_.locked(behind->second) || unread(behind->second)) break;
    }
    const std::ptrdiff_t length = std::distance(first, behind);
    // The active one is the last there is: of no use if the run does not reach it.
    if (length <= best_length || (end == state_.segments.end() && behind != end)) continue;
    best = {first, behind};
    best_length = length;
  }
  return best;
}

// Sealed on the way, records grow.
std::uint64_t Store::carried_bytes(const Segment& segment) const {
  const bool grows = segment.key_id == 0 && seals_.current() != 0;
  return segment.live_bytes() +
         (grows ? std::uint64_t{segment.live_count()} * stride(kSealSize) : 0);
}

// Copies and syncs; only then is anything in RAM changed.
Status Store::carry(SegmentAt first, SegmentAt behind) {
  const auto slot = slots_.take();
  if (!slot) return slot.error();
  const SegmentHeader header = next_header(SegmentKind::carried);
  Segment to(header, *slot);
  to.place = first->second.place;
  std::vector<std::byte> buffer(kDataStart);
  encode(header, buffer);
  encode(header, std::span(buffer).subspan(kBlock));
  to.end = 0;  // where the buffer goes
  Status status;
  for (auto entry = first; entry != behind && status.ok(); ++entry) {
    status = copy_live(entry->second, to, buffer);
  }
  if (status.ok()) status = write_carried(to, buffer);
  if (status.ok()) status = slots_.file(to.slot)->sync();
  if (!status) {
    slots_.mark_bad(to.slot);
    slots_.release(to.slot);
    return status;
  }
  replace(first, behind, std::move(to));
  return {};
}

void Store::replace(SegmentAt first, SegmentAt behind, Segment to) {
  for (auto entry = first; entry != behind; ++entry) {
    Segment& from = entry->second;
    for (std::uint32_t i = from.next_live(0); i < from.size(); i = from.next_live(i + 1)) {
      const MessageId id = from.id_at(i);
      if (!to.live(id)) drop(id, {}, DropReason::corrupt);
    }
  }
  const std::uint64_t last = std::prev(behind)->first;
  for (auto entry = first; entry != behind; entry = state_.segments.erase(entry)) {
    slots_.release(entry->second.slot);
  }
  move_cursors(to.place, last);
  state_.segments.emplace(to.place, std::move(to));
}

// Copies the waiting messages of `from`. One that flow holds may have no readable record any more;
// it goes along without.
Status Store::copy_live(Segment& from, Segment& to, std::vector<std::byte>& buffer) {
  std::uint32_t index = from.next_live(0);
  bool whole = true;
  const auto pass_until = [&](std::uint32_t end) {
    for (; index < end; index = from.next_live(index + 1)) {
      whole = false;
      const auto held = fetched_.find(from.id_at(index));
      if (held != fetched_.end()) to.add(held->first, held->second.lane, held->second.bytes);
    }
  };
  env::File* file = slots_.file(from.slot);
  std::uint32_t at = kDataStart;
  reader_.forget();
  const std::uint64_t errors = reader_.errors();
  while (file != nullptr && index < from.size()) {
    const auto record = reader_.next(*file, from.key, from.sequence, at, from.end);
    if (!record) break;
    at = record->next;
    const MessageId id = record->header.id;
    if (record->header.type != RecordType::put || !from.live(id)) continue;
    pass_until(*from.index_of(id));
    index = from.next_live(index + 1);
    const std::size_t start = buffer.size();
    if (!seals_.copy(buffer, record->bytes, sealer(from), sealer(to))) continue;
    if (to.end + buffer.size() > segment_bytes_) {
      return Error{Errc::internal, "more waits than was counted", 0};
    }
    const auto bytes = static_cast<std::uint32_t>(buffer.size() - start);
    if (!to.add(id, clamp_lane(put_lane(record->header)), bytes)) {
      buffer.resize(start);
      continue;
    }
    if (buffer.size() < kBatchMax) continue;
    if (Status written = write_carried(to, buffer); !written) return written;
  }
  pass_until(from.size());
  if (whole || reader_.errors() == errors) return {};
  note_unread(from);
  return Error{Errc::io, "a segment cannot be read now", 0};
}

Status Store::write_carried(Segment& to, std::vector<std::byte>& buffer) {
  const std::uint32_t skip = to.end == 0 ? kDataStart : 0;  // headers are no records
  stamp_all(std::span(buffer).subspan(skip), to.key, to.end + skip);
  Status status = slots_.file(to.slot)->write_at(to.end, buffer);
  to.end += static_cast<std::uint32_t>(buffer.size());
  buffer.clear();
  return status;
}

// Whoever stood in one of the old segments begins the new one again; what it fetched is known, and
// a key that is read twice changes nothing.
void Store::move_cursors(std::uint64_t first, std::uint64_t last) {
  if (scan_place_ > first && scan_place_ <= last) scan_place_ = first;
  for (auto* cursors : {&cursors_, &oldest_}) {
    for (Cursor& cursor : *cursors) {
      if (cursor.place < first || cursor.place > last) continue;
      // What is parked before it is known for whole segments only, and some of them are no more.
      cursor = cursor.parked + cursor.parked_here > 0 ? Cursor{} : Cursor{first, kDataStart};
    }
  }
}

}  // namespace holdfast::outbox
