#include "outbox/replay.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::outbox {
namespace {

constexpr auto kCorrupt = static_cast<std::size_t>(DropReason::corrupt);

bool newer(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) > 0; }

}  // namespace

bool Replay::segment(Segment segment, env::File& file, bool with_checkpoint) {
  bool needed = with_checkpoint;
  bool head = with_checkpoint;
  std::uint32_t at = kDataStart;
  broken_ = {state_.session.epoch, 0};
  std::uint32_t commit_at = 0;  // the first one begins with the header
  std::optional<std::uint32_t> group;
  while (auto record =
             reader_.next(file, segment.key, segment.sequence, at, segment_bytes_, &broken_)) {
    at = record->next;
    segment.end = at;
    if (group && newer(record->header.group, *group)) commit_at = record->offset;
    group = record->header.group;
    if (record->header.type == RecordType::checkpoint) {
      auto state = head ? decode_checkpoint(record->bytes, store_, segment.sequence, segment_bytes_)
                        : std::nullopt;
      if (state) {
        state_ = std::move(*state);
        known_corrupt_ = state_.counters.dropped[kCorrupt];
        gaps_.clear();
        lost_.clear();
        broken_.epoch = state_.session.epoch;
      }
      continue;
    }
    head = false;
    needed = needed || record->header.type == RecordType::put ||
             record->header.type == RecordType::ack || record->header.type == RecordType::drop;
    apply(*record, segment);
    broken_.epoch = state_.session.epoch;
  }
  if (needed) newest_commit_ = {segment.slot, commit_at, segment.end};
  if (needed) state_.segments.insert_or_assign(segment.place, std::move(segment));
  return needed;
}

bool Replay::carried(Segment segment, env::File& file,
                     const std::function<bool(const Segment&)>& exists, bool rebuild,
                     bool durable) {
  std::uint32_t at = kDataStart;
  std::vector<std::uint64_t> sources;  // places, ascending
  std::vector<MessageId> found;        // of those that an earlier one lacks
  std::uint64_t unknown = 0;
  while (auto record = reader_.next(file, segment.key, segment.sequence, at, segment_bytes_)) {
    at = record->next;
    segment.end = at;
    const MessageId id = record->header.id;
    if (record->header.type != RecordType::put) continue;
    const auto from = std::find_if(state_.segments.begin(), state_.segments.end(),
                                   [id](const auto& entry) { return entry.second.live(id); });
    const bool lacked = from == state_.segments.end() && lacking_.contains(id);
    if (from == state_.segments.end() && !lacked && !rebuild) continue;
    const auto lane = static_cast<StoreLane>(std::min<std::size_t>(
        put_lane(record->header), std::max<std::size_t>(state_.session.lanes.size(), 1) - 1));
    if (!segment.add(id, lane, stride(record->header.length))) continue;
    if (lacked) {
      found.push_back(id);
    } else if (from == state_.segments.end()) {
      ++unknown;
    } else if (sources.empty() || sources.back() != from->first) {
      sources.push_back(from->first);
    }
  }
  // Neighbours were copied: one between them of which nothing is here is missing, too.
  std::vector<MessageId> missing;
  if (!sources.empty()) {
    const auto behind = state_.segments.upper_bound(sources.back());
    if (!durable && std::all_of(state_.segments.find(sources.front()), behind,
                                [&](const auto& entry) { return exists(entry.second); })) {
      return false;
    }
    for (auto at_place = state_.segments.find(sources.front()); at_place != behind; ++at_place) {
      const Segment& from = at_place->second;
      for (std::uint32_t i = from.next_live(0); i < from.size(); i = from.next_live(i + 1)) {
        if (segment.live(from.id_at(i))) continue;
        if (exists(from)) return false;
        missing.push_back(from.id_at(i));
      }
    }
    std::erase_if(state_.segments, [&](const auto& entry) {
      return entry.first >= sources.front() && entry.first <= sources.back() &&
             entry.second.live_count() > 0;
    });
  }
  if (segment.live_count() == 0) return false;
  state_.counters.accepted += unknown;
  lacking_.insert(missing.begin(), missing.end());
  for (const MessageId id : found) lacking_.erase(id);
  if (!sources.empty()) segment.place = sources.front();
  HF_CHECK(state_.segments.emplace(segment.place, std::move(segment)).second);
  return true;
}

void Replay::finish() {
  for (const Gap& gap : gaps_) {
    torn_ += gap.count;
    end(gap.first, gap.count, EndKind::never_accepted, {});
  }
  torn_ += broken_.count;
  gaps_.clear();
  state_.counters.add_drops(DropReason::corrupt, lacking_.size());
  for (const MessageId id : lacking_) end(id, 1, EndKind::dropped, DropReason::corrupt);
  lacking_.clear();
}

std::uint64_t Replay::new_corrupt() const {
  const std::uint64_t now = state_.counters.dropped[kCorrupt];
  return now > known_corrupt_ ? now - known_corrupt_ : 0;
}

void Replay::count_lost(std::uint64_t count) {
  state_.counters.accepted += count;
  state_.counters.add_drops(DropReason::corrupt, count);
}

void Replay::end(MessageId first, std::uint64_t count, EndKind kind, DropReason reason) {
  const auto bounded = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, kAllIds));
  state_.endings.add({first, bounded, kind, reason}, Endings::limit(segment_bytes_));
}

void Replay::end_epoch() {
  if (state_.session.epoch != 0) end(state_.next_id, kAllIds, EndKind::never_accepted, {});
}

void Replay::advance(const RecordHeader& header) {
  if (epoch_of(header.id) > state_.session.epoch) {
    // The session record of this epoch is damaged, or was torn with the fresh segment it began: no
    // proof for the gaps of the last one. A later record's accepted counter may still give it.
    end_epoch();
    state_.session.epoch = epoch_of(header.id);
    state_.session.boot = {};
    state_.session.boot_first_epoch = state_.session.epoch;
    state_.next_id = make_id(state_.session.epoch, 1);
  }
  const auto unproven = std::stable_partition(gaps_.begin(), gaps_.end(), [&](const Gap& gap) {
    return newer(header.group, gap.group) && epoch_of(gap.first) == epoch_of(header.id);
  });
  for (auto gap = gaps_.begin(); gap != unproven; ++gap) {
    count_lost(gap->count);
    end(gap->first, gap->count, EndKind::dropped, DropReason::corrupt);
  }
  lost_.insert(lost_.end(), gaps_.begin(), unproven);
  gaps_.erase(gaps_.begin(), unproven);
  if (header.id > state_.next_id) {
    gaps_.push_back({state_.next_id, header.id - state_.next_id, header.group});
    state_.next_id = header.id;
  }
}

void Replay::apply(const RecordView& record, Segment& segment) {
  const RecordHeader& header = record.header;
  if (epoch_of(header.id) < state_.session.epoch || epoch_of(header.id) >= kEpochMax) {
    return;  // stale, or made up
  }
  if (header.type != RecordType::pad) clean_ = false;
  if (header.type == RecordType::session) {
    session(record);
  } else {
    advance(header);
  }
  if (!newer(state_.group, header.group)) state_.group = header.group + 1;
  switch (header.type) {
    case RecordType::put:
      put(record, segment);
      break;
    case RecordType::ack:
    case RecordType::drop:
      for (const Range& range : decode_ranges(record.bytes)) {
        settle(range, header.type == RecordType::ack, segment);
      }
      break;
    case RecordType::session:
    case RecordType::checkpoint:
    case RecordType::pad:
      break;
  }
}

void Replay::put(const RecordView& record, Segment& segment) {
  const MessageId id = record.header.id;
  const auto stamp = decode_put_stamp(record.bytes);
  if (!stamp) return;
  const auto lanes = state_.session.lanes.size();
  const auto lane = static_cast<StoreLane>(
      std::min<std::size_t>(put_lane(record.header), lanes == 0 ? 0 : lanes - 1));
  // An id that was passed already: a second copy, written after the first could not be synced.
  if (id < state_.next_id && !take_from_gap(id)) return;
  if (!segment.add(id, lane, stride(record.header.length))) return;
  ++state_.counters.accepted;
  state_.next_id = std::max(state_.next_id, id + 1);
  if (!stamp->wall_suspect) {
    state_.session.max_wall_ms = std::max(state_.session.max_wall_ms, stamp->wall_ms);
  }
}

bool Replay::take_from_gap(MessageId id) {
  const auto gap = std::find_if(gaps_.begin(), gaps_.end(), [id](const Gap& g) {
    return id >= g.first && id - g.first < g.count;
  });
  if (gap == gaps_.end()) return false;
  const Gap behind{id + 1, gap->count - (id - gap->first) - 1, gap->group};
  gap->count = id - gap->first;
  if (gap->count == 0) gaps_.erase(gap);
  if (behind.count > 0) gaps_.push_back(behind);
  return true;
}

std::uint64_t Replay::take_range(std::vector<Gap>& gaps, const Range& range) {
  const MessageId behind = range.first + range.count;
  std::uint64_t taken = 0;
  std::vector<Gap> left;
  for (const Gap& gap : gaps) {
    const MessageId end = gap.first + gap.count;
    const MessageId from = std::max(gap.first, range.first);
    const MessageId to = std::min(end, behind);
    if (from >= to) {
      left.push_back(gap);
      continue;
    }
    taken += to - from;
    if (gap.first < from) left.push_back({gap.first, from - gap.first, gap.group});
    if (to < end) left.push_back({to, end - to, gap.group});
  }
  if (taken > 0) gaps = std::move(left);
  return taken;
}

std::uint64_t Replay::take_lacking(const Range& range) {
  const auto from = lacking_.lower_bound(range.first);
  const auto to = lacking_.lower_bound(range.first + range.count);
  const auto taken = static_cast<std::uint64_t>(std::distance(from, to));
  lacking_.erase(from, to);
  return taken;
}

void Replay::session(const RecordView& record) {
  auto info = decode_session(record.bytes);
  if (!info || info->epoch != epoch_of(record.header.id)) {
    advance(record.header);
    return;
  }
  if (info->epoch > state_.session.epoch) {
    // The opening that wrote this knew how many messages it had found; fewer now means damage.
    const bool damage = info->accepted > state_.counters.accepted;
    for (const Gap& gap : gaps_) {
      end(gap.first, gap.count, damage ? EndKind::dropped : EndKind::never_accepted,
          DropReason::corrupt);
    }
    end_epoch();
    lost_.insert(lost_.end(), gaps_.begin(), gaps_.end());
    gaps_.clear();
    state_.next_id = make_id(info->epoch, 1);
    state_.session.epoch = info->epoch;
  }
  advance(record.header);
  if (info->accepted > state_.counters.accepted) {
    count_lost(info->accepted - state_.counters.accepted);
  }
  known_corrupt_ = std::max(known_corrupt_, info->corrupt);
  info->max_wall_ms = std::max(info->max_wall_ms, state_.session.max_wall_ms);
  for (std::size_t i = info->lanes.size(); i < state_.session.lanes.size(); ++i) {
    info->lanes.push_back(state_.session.lanes[i]);  // records before may use them
  }
  state_.session = std::move(*info);
  clean_ = state_.session.clean;
}

std::uint64_t Replay::settle_in(Segment& segment, const Range& range) {
  std::uint64_t settled = 0;
  const MessageId behind = range.first + range.count;
  for (const Run& run : segment.runs()) {
    const MessageId from = std::max(range.first, run.first);
    const MessageId to = std::min(behind, run.first + run.count);
    for (MessageId id = from; id < to; ++id) {
      StoreLane lane = range.lane;
      if (segment.settle(id, lane)) ++settled;
    }
  }
  if (settled > 0) segment.release_bytes(range.lane, range.bytes * settled / range.count);
  return settled;
}

void Replay::settle(const Range& range, bool delivered, Segment& current) {
  std::uint64_t settled = settle_in(current, range);
  for (auto& [sequence, segment] : state_.segments) {
    if (segment.live_count() > 0) settled += settle_in(segment, range);
  }
  // A settled message whose own record is damaged was not lost: it had come to its end before.
  const std::uint64_t undecided = take_range(gaps_, range);
  state_.counters.accepted += undecided;
  std::uint64_t& corrupt = state_.counters.dropped[kCorrupt];
  const std::uint64_t not_lost = std::min(take_range(lost_, range), corrupt);
  corrupt -= not_lost;
  settled += undecided + not_lost + take_lacking(range);
  if (delivered) {
    state_.counters.delivered += settled;
    if (not_lost > 0) end(range.first, range.count, EndKind::delivered, {});
  } else {
    end(range.first, range.count, EndKind::dropped, range.reason);
    state_.counters.add_drops(range.reason, settled);
    if (range.reason == DropReason::corrupt) known_corrupt_ += settled;
  }
}

bool has_checkpoint(const Segment& segment, env::File& file, SegmentReader& reader,
                    const StoreUuid& store, std::uint32_t segment_bytes) {
  std::uint32_t at = kDataStart;
  while (auto record = reader.next(file, segment.key, segment.sequence, at, segment_bytes)) {
    if (record->header.type != RecordType::checkpoint) return false;
    if (decode_checkpoint(record->bytes, store, segment.sequence, segment_bytes)) return true;
    at = record->next;
  }
  return false;
}

}  // namespace holdfast::outbox
