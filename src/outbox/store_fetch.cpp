// How messages come back: cursors over the segments, expiry, and what to do about damage.
#include <algorithm>

#include "base/check.h"
#include "outbox/store.h"

namespace holdfast::outbox {

std::uint64_t Store::lane_pending(StoreLane lane) const {
  std::uint64_t sum = 0;
  for (const auto& [sequence, segment] : state_.segments) sum += segment.lane_live(lane);
  return sum;
}

std::uint64_t Store::lane_unfetched(StoreLane lane) const {
  const std::uint64_t pending = lane_pending(lane);
  return pending - std::min(pending, fetched_by_lane_[lane]);
}

std::uint64_t Store::unfetched(LaneIndex lane) const {
  if (lane >= lane_map_.size()) return 0;
  std::uint64_t sum = lane_unfetched(lane_map_[lane]);
  if (std::size_t{lane} + 1 < lane_map_.size()) return sum;
  for (std::size_t i = 0; i < cursors_.size(); ++i) {
    const auto orphan = static_cast<StoreLane>(i);
    if (std::find(lane_map_.begin(), lane_map_.end(), orphan) == lane_map_.end()) {
      sum += lane_unfetched(orphan);
    }
  }
  return sum;
}

StoreLane Store::clamp_lane(StoreLane lane) const {
  return static_cast<StoreLane>(std::min<std::size_t>(lane, cursors_.size() - 1));
}

Outbox::Fetched Store::fetch(LaneIndex lane, std::size_t max_count, std::size_t max_bytes) {
  HF_CHECK(!closed_);
  Fetched out;
  if (lane >= lane_map_.size()) return out;
  observe_wall();
  std::size_t bytes = 0;
  out.more = fetch_lane(lane_map_[lane], lane, max_count, max_bytes, bytes, out);
  if (std::size_t{lane} + 1 < lane_map_.size()) return out;
  // Lanes that are no longer configured go last of all.
  for (std::size_t i = 0; i < cursors_.size(); ++i) {
    const auto orphan = static_cast<StoreLane>(i);
    if (std::find(lane_map_.begin(), lane_map_.end(), orphan) != lane_map_.end()) continue;
    out.more = fetch_lane(orphan, lane, max_count, max_bytes, bytes, out) || out.more;
  }
  return out;
}

// Returns whether the lane has more.
bool Store::fetch_lane(StoreLane lane, LaneIndex as, std::size_t max_count, std::size_t max_bytes,
                       std::size_t& bytes, Fetched& out) {
  Cursor& cursor = cursors_[lane];
  std::uint64_t left = lane_unfetched(lane);
  while (left > 0) {
    if (out.messages.size() >= max_count || bytes >= max_bytes) return true;
    const auto entry = state_.segments.lower_bound(cursor.sequence);
    if (entry == state_.segments.end()) return false;
    Segment& segment = entry->second;
    if (segment.sequence != cursor.sequence) cursor = {segment.sequence, kDataStart, 0};
    if (segment.lane_live(lane) == 0) {
      cursor.offset = segment.end;
      cursor.index = segment.size();
    }
    if (cursor.offset < segment.end) {
      const std::size_t before = out.messages.size();
      if (!step(lane, as, cursor, segment, bytes, out)) continue;
      left = out.messages.size() > before ? left - 1 : lane_unfetched(lane);
      continue;
    }
    leave_segment(cursor, segment, out);
    left = lane_unfetched(lane);
    if (segment.sequence == active_) return false;
    if (active_ == 0 && std::next(entry) == state_.segments.end()) return false;
    cursor = {segment.sequence + 1, kDataStart, 0};
  }
  return false;
}

// One record forward. Returns whether the number of unfetched messages may have changed.
bool Store::step(StoreLane lane, LaneIndex as, Cursor& cursor, Segment& segment, std::size_t& bytes,
                 Fetched& out) {
  env::File* file = slots_.file(segment.slot);
  const auto record = file == nullptr ? std::nullopt
                                      : reader_.next(*file, segment.key, segment.sequence,
                                                     cursor.offset, segment.end);
  if (!record) {
    cursor.offset = segment.end;
    return false;
  }
  const auto index =
      record->header.type == RecordType::put ? segment.index_of(record->header.id) : std::nullopt;
  if (!index || *index < cursor.index) {
    cursor.offset = record->next;
    return false;
  }
  if (segment.next_live(cursor.index) < *index) {
    audit(segment, out);  // some were passed over: their records are damaged; then come back here
    cursor.index = *index;
    return true;
  }
  cursor.offset = record->next;
  cursor.index = *index + 1;
  const MessageId id = record->header.id;
  if (!segment.live_at(*index) || clamp_lane(put_lane(record->header)) != lane) return false;
  if (fetched_.contains(id)) return false;
  auto put = decode_put(record->bytes);
  if (!put) {
    drop(id, lane, DropReason::corrupt, out);
    return true;
  }
  if (expired(*put, clock_.wall().ms)) {
    drop(id, lane, DropReason::expired, out);
    return true;
  }
  put->message.lane = as;
  bytes += put->message.cost();
  out.messages.push_back(std::make_shared<const StoredMessage>(std::move(put->message)));
  fetched_.emplace(id, lane);
  ++fetched_by_lane_[lane];
  return true;
}

// Whatever waits in the rest of the segment has no readable record.
void Store::leave_segment(Cursor& cursor, Segment& segment, Fetched& out) {
  if (segment.next_live(cursor.index) < segment.size()) audit(segment, out);
  cursor.index = segment.size();
}

// Reads the whole segment and gives up the messages that are not in it. Their lanes are those of
// which fewer were found than are known to wait.
void Store::audit(Segment& segment, Fetched& out) {
  std::vector<bool> found(segment.size());
  std::vector<std::uint32_t> missing(cursors_.size());
  for (std::size_t i = 0; i < missing.size(); ++i) {
    missing[i] = segment.lane_live(static_cast<StoreLane>(i));
  }
  env::File* file = slots_.file(segment.slot);
  std::uint32_t at = kDataStart;
  while (file != nullptr) {
    const auto record = reader_.next(*file, segment.key, segment.sequence, at, segment.end);
    if (!record) break;
    at = record->next;
    if (record->header.type != RecordType::put) continue;
    const auto index = segment.index_of(record->header.id);
    if (!index || found[*index] || !segment.live_at(*index)) continue;
    found[*index] = true;
    std::uint32_t& left = missing[clamp_lane(put_lane(record->header))];
    if (left > 0) --left;
  }
  for (std::uint32_t i = segment.next_live(0); i < segment.size(); i = segment.next_live(i + 1)) {
    const MessageId id = segment.id_at(i);
    if (found[i] || fetched_.contains(id)) continue;
    const auto lane = std::find_if(missing.begin(), missing.end(), [](auto n) { return n > 0; });
    StoreLane charged = 0;
    if (lane != missing.end()) {
      --*lane;
      charged = static_cast<StoreLane>(lane - missing.begin());
    }
    drop(id, charged, DropReason::corrupt, out);
  }
}

void Store::drop(MessageId id, StoreLane lane, DropReason reason, Fetched& out) {
  if (settle_one(id, lane, false, reason)) out.dropped.emplace_back(id, reason);
}

// A message of this boot ages by the clock that never steps. One of an earlier boot ages by the
// wall clock, and only while that is beyond doubt: a wrong clock must never drop anything.
bool Store::expired(const PutRecord& put, std::int64_t wall_ms) const {
  if (!put.message.expiry_seconds) return false;
  const std::int64_t limit = std::int64_t{*put.message.expiry_seconds} * 1000;
  const SessionInfo& s = state_.session;
  if (epoch_of(put.message.id) >= s.boot_first_epoch) {
    return boot_ms() - put.stamp.boot_ms >= limit;
  }
  if (put.stamp.wall_suspect || wall_ms < kPlausibleWallMs || wall_ms < s.max_wall_ms) return false;
  return wall_ms - put.stamp.wall_ms >= limit;
}

// For a settlement of a message that was not fetched: its record knows its lane.
std::optional<StoreLane> Store::find_lane(Segment& segment, MessageId id) {
  env::File* file = slots_.file(segment.slot);
  std::uint32_t at = kDataStart;
  while (file != nullptr) {
    const auto record = reader_.next(*file, segment.key, segment.sequence, at, segment.end);
    if (!record) break;
    at = record->next;
    if (record->header.type == RecordType::put && record->header.id == id) {
      return clamp_lane(put_lane(record->header));
    }
  }
  return std::nullopt;
}

}  // namespace holdfast::outbox
