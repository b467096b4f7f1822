// How messages come back: cursors over the segments, expiry, and what to do about damage.
#include <algorithm>

#include "base/check.h"
#include "outbox/store.h"

namespace holdfast::outbox {

std::uint64_t Store::lane_pending(StoreLane lane) const {
  std::uint64_t sum = 0;
  for (const auto& [place, segment] : state_.segments) sum += segment.lane_live(lane);
  return sum;
}

// Messages are fetched in order, so none from a segment that cannot be read, nor from behind it.
std::uint64_t Store::lane_waiting(StoreLane lane) const {
  std::uint64_t pending = 0;
  for (const auto& [place, segment] : state_.segments) {
    if (seals_.locked(segment) || segment.lane_live(lane) == 0) continue;
    if (unread(segment)) break;
    pending += segment.lane_live(lane);
  }
  return pending - std::min(pending, fetched_by_lane_[lane]);
}

std::uint64_t Store::lane_unfetched(StoreLane lane) const {
  const std::uint64_t waiting = lane_waiting(lane);
  return waiting - std::min(waiting, parked_in(lane));
}

std::uint64_t Store::unfetched(LaneIndex lane) const {
  if (lane >= lane_map_.size()) return 0;
  std::uint64_t sum = lane_unfetched(lane_map_[lane]);
  if (std::size_t{lane} + 1 < lane_map_.size()) return sum;
  for (const StoreLane orphan : orphans()) sum += lane_unfetched(orphan);
  return sum;
}

std::vector<StoreLane> Store::orphans() const {
  std::vector<StoreLane> found;
  for (std::size_t i = 0; i < cursors_.size(); ++i) {
    const auto lane = static_cast<StoreLane>(i);
    if (std::find(lane_map_.begin(), lane_map_.end(), lane) == lane_map_.end()) {
      found.push_back(lane);
    }
  }
  return found;
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
  out.more = fetch_lane(lane_map_[lane], lane, max_count, max_bytes, bytes, &out);
  if (std::size_t{lane} + 1 < lane_map_.size()) return out;
  // Lanes that are no longer configured go last of all.
  for (const StoreLane orphan : orphans()) {
    out.more = fetch_lane(orphan, lane, max_count, max_bytes, bytes, &out) || out.more;
  }
  return out;
}

// Returns whether the lane has more. Without `out` it only gives up expired ones, up to the first
// that is not.
bool Store::search_lane(const Search& search, Cursor& cursor, StoreLane lane, LaneIndex as,
                        std::size_t max_count, std::size_t max_bytes, std::size_t& bytes,
                        Fetched* out) {
  const auto wanted = [&] {
    return search.what == Search::For::next ? lane_unfetched(lane) : lane_waiting(lane);
  };
  std::uint64_t left = wanted();
  while (left > 0) {
    if (out != nullptr && (out->messages.size() >= max_count || bytes >= max_bytes)) return true;
    const auto entry = state_.segments.lower_bound(cursor.place);
    if (entry == state_.segments.end()) return false;
    Segment& segment = entry->second;
    if (segment.place != cursor.place) cursor = cursor.in(segment.place);
    if (segment.lane_live(lane) == 0 || seals_.locked(segment)) {
      cursor.offset = segment.end;
      cursor.index = segment.size();
    }
    if (segment.lane_live(lane) > 0 && unread(segment)) return false;
    if (cursor.offset < segment.end) {
      const std::size_t before = out == nullptr ? 0 : out->messages.size();
      const Step done = step(search, lane, as, cursor, segment, out);
      if (done == Step::stopped) return true;
      if (done == Step::unread) return false;
      if (done == Step::passed) continue;
      const bool taken = out != nullptr && out->messages.size() > before;
      if (taken) bytes += out->messages.back()->cost();
      left = taken ? left - 1 : wanted();
      continue;
    }
    if (!leave_segment(cursor, segment)) return false;
    left = wanted();
    if (segment.place == active_) return false;
    if (active_ == 0 && std::next(entry) == state_.segments.end()) return false;
    cursor = cursor.in(segment.place + 1);
  }
  return false;
}

// One record forward.
Store::Step Store::step(const Search& search, StoreLane lane, LaneIndex as, Cursor& cursor,
                        Segment& segment, Fetched* out) {
  env::File* file = slots_.file(segment.slot);
  const auto record = file == nullptr ? std::nullopt
                                      : reader_.next(*file, segment.key, segment.sequence,
                                                     cursor.offset, segment.end);
  if (!record) {
    cursor.offset = segment.end;
    return Step::passed;
  }
  const auto index =
      record->header.type == RecordType::put ? segment.index_of(record->header.id) : std::nullopt;
  if (!index || *index < cursor.index) {
    cursor.offset = record->next;
    return Step::passed;
  }
  // Those passed over are damaged, or could not be read.
  if (missed(segment, cursor.index, *index)) {
    return look_for_missed(cursor, segment, *index) ? Step::changed : Step::unread;
  }
  const Cursor before = cursor;
  cursor.offset = record->next;
  cursor.index = *index + 1;
  const MessageId id = record->header.id;
  if (!segment.live_at(*index) || clamp_lane(put_lane(record->header)) != lane) return Step::passed;
  if (fetched_.contains(id)) return Step::passed;
  env::Sealer* const cover = sealer(segment);
  if (cover == nullptr && is_sealed(record->header)) {
    segment.key_id = kUnknownKey;  // both headers are damaged
    return Step::passed;
  }
  const std::uint32_t bytes = stride(record->header.length);
  auto put = decode_put(record->bytes, cover);
  if (search.topic != nullptr && put && put->message.topic != *search.topic) return Step::passed;
  std::optional<DropReason> useless;
  if (!put) {
    useless = DropReason::corrupt;
  } else if (expired(*put, lane)) {
    useless = DropReason::expired;
  } else if (search.patience && age(*put) >= *search.patience) {
    useless = DropReason::refused;
  }
  const bool next = search.what == Search::For::next;
  if (useless) {
    const Cursor behind = std::exchange(cursor, before);  // what ends ahead of it was never parked
    drop(id, {lane, bytes}, *useless);
    cursor = behind;
    return Step::changed;
  }
  if (next && parked_topics_.contains(put->message.topic)) {
    ++cursor.parked_here;
    return Step::changed;
  }
  if (out == nullptr) {
    cursor = before;
    return Step::stopped;
  }
  if (!next) unpark(segment, id, lane);
  hand_out(std::move(*put), lane, as, bytes, *out);
  return Step::changed;
}

void Store::hand_out(PutRecord put, StoreLane lane, LaneIndex as, std::uint32_t bytes,
                     Fetched& out) {
  StoredMessage& message = put.message;
  message.lane = as;
  const Duration old = age(put);
  const BootTime now = clock_.now();
  if (message.expiry_seconds) {
    message.expires = now + std::chrono::seconds(*message.expiry_seconds) - old;
    message.give_up = message.expires;
  }
  if (const Seconds limit = rules(lane).max_age; limit > Seconds::zero()) {
    message.give_up = std::min(message.give_up, now + limit - old);
  }
  fetched_.emplace(message.id, Held{lane, bytes});
  ++fetched_by_lane_[lane];
  out.messages.push_back(std::make_shared<const StoredMessage>(std::move(message)));
}

// Whatever waits in the rest of the segment has no readable record. False: not now.
bool Store::leave_segment(Cursor& cursor, Segment& segment) {
  if (missed(segment, cursor.index, segment.size()) &&
      !look_for_missed(cursor, segment, segment.size())) {
    return false;
  }
  cursor.index = segment.size();
  return true;
}

// Whether a message waits there that nobody has fetched.
bool Store::missed(const Segment& segment, std::uint32_t from, std::uint32_t until) const {
  for (std::uint32_t i = segment.next_live(from); i < until; i = segment.next_live(i + 1)) {
    if (!fetched_.contains(segment.id_at(i))) return true;
  }
  return false;
}

// Gives up those whose records are damaged. False: some could not be read, or only now; later the
// lane begins the segment again.
bool Store::look_for_missed(Cursor& cursor, Segment& segment, std::uint32_t until) {
  const bool whole = audit(segment, true);
  if (whole && !missed(segment, cursor.index, until)) return true;
  if (whole) note_unread(segment);
  cursor = cursor.in(segment.place);
  return false;
}

// Reads the whole segment and gives up the messages that are not in it. Their lanes are those of
// which fewer were found than are known to wait. False: sectors could not be read, and whoever is
// patient gives up nothing for that.
bool Store::audit(Segment& segment, bool patient) {
  reader_.forget();
  const std::uint64_t errors = reader_.errors();
  std::vector<bool> found(segment.size());
  std::vector<std::uint32_t> missing(cursors_.size());
  for (std::size_t i = 0; i < missing.size(); ++i) {
    missing[i] = segment.lane_live(static_cast<StoreLane>(i));
  }
  env::File* file = slots_.file(segment.slot);
  std::uint32_t at = kDataStart;
  std::uint32_t passed = 0;  // in order, as fetching passes them
  while (file != nullptr) {
    const auto record = reader_.next(*file, segment.key, segment.sequence, at, segment.end);
    if (!record) break;
    at = record->next;
    if (record->header.type != RecordType::put) continue;
    const auto index = segment.index_of(record->header.id);
    if (!index || *index < passed) continue;
    passed = *index + 1;
    if (!segment.live_at(*index)) continue;
    found[*index] = true;
    std::uint32_t& left = missing[clamp_lane(put_lane(record->header))];
    if (left > 0) --left;
  }
  const bool unread = file == nullptr || reader_.errors() != errors;
  for (std::uint32_t i = segment.next_live(0); i < segment.size(); i = segment.next_live(i + 1)) {
    const MessageId id = segment.id_at(i);
    if (found[i] || fetched_.contains(id)) continue;
    if (unread && patient) {
      note_unread(segment);
      return false;
    }
    const auto lane = std::find_if(missing.begin(), missing.end(), [](auto n) { return n > 0; });
    Held held;
    if (lane != missing.end()) {
      --*lane;
      held.lane = static_cast<StoreLane>(lane - missing.begin());
    }
    drop(id, held, DropReason::corrupt);
  }
  return true;
}

bool Store::unread(const Segment& segment) const {
  return std::any_of(unread_.begin(), unread_.end(),
                     [&](const Unread& u) { return u.sequence == segment.sequence; });
}

// Calls that fail prove nothing about what is on the disk.
void Store::note_unread(const Segment& segment) {
  reader_.forget();
  const BootTime now = clock_.now();
  unread_.push_back({segment.sequence, reader_.error_offset(), now, now + kReadRetry, 0});
}

void Store::read_again() {
  for (std::size_t i = unread_.size(); i > 0; --i) {
    if (resolved(unread_[i - 1])) {
      unread_.erase(unread_.begin() + static_cast<std::ptrdiff_t>(i - 1));
    }
  }
}

// Whether the segment can be read again, or nothing waits in it any more, or what cannot be read
// has been given up.
bool Store::resolved(Unread& unread) {
  const BootTime now = clock_.now();
  if (now < unread.next) return false;
  const auto entry =
      std::find_if(state_.segments.begin(), state_.segments.end(),
                   [&](const auto& s) { return s.second.sequence == unread.sequence; });
  if (entry == state_.segments.end() || entry->second.live_count() == 0) return true;
  reader_.forget();
  std::array<std::byte, kSector> sector{};
  env::File* file = slots_.file(entry->second.slot);
  if (file != nullptr && file->read_at(unread.offset, sector)) return true;
  ++unread.tries;
  unread.next = now + kReadRetry;
  if (unread.tries < kReadTries || now - unread.since < kReadPatience || !disk_lives()) {
    return false;
  }
  return audit(entry->second, false);
}

// A disk that is gone neither gives nor takes anything: that is no damage. It is if other places
// can be read, and be written through to the disk, which a full cache cannot feign.
bool Store::disk_lives() {
  std::array<std::byte, kSector> sector{};
  const auto slots = slots_.existing();
  const bool gives = std::any_of(slots.begin(), slots.end(), [&](std::uint32_t slot) {
    return slots_.file(slot)->read_at(0, sector).ok();
  });
  if (!gives || !flush().ok()) return false;
  std::vector<std::byte> record;
  append_session(record, state_.session, state_.next_id);
  if (!fits(static_cast<std::uint32_t>(record.size()))) return true;
  batch_ = std::move(record);
  return flush().ok();
}

void Store::drop(MessageId id, Held held, DropReason reason) {
  if (settle_one(id, held, false, reason)) news_.dropped.emplace_back(id, reason);
}

// At least so old. A message of this boot ages by the clock that never steps. One of an earlier
// boot is older than this boot; by how much only a wall clock can tell, and only one that was and
// is beyond doubt: a wrong clock must never drop anything.
Duration Store::age(const PutRecord& put) const {
  const SessionInfo& s = state_.session;
  std::int64_t ms = boot_ms();
  if (epoch_of(put.message.id) >= s.boot_first_epoch) {
    ms -= put.stamp.boot_ms;
  } else if (const std::int64_t wall = clock_.wall().ms;
             clock_.wall_synchronized() && !put.stamp.wall_suspect && wall >= kPlausibleWallMs &&
             wall >= s.max_wall_ms) {
    ms = std::max(ms, wall - put.stamp.wall_ms);
  }
  return std::chrono::milliseconds(std::max<std::int64_t>(ms, 0));
}

bool Store::expired(const PutRecord& put, StoreLane lane) const {
  Duration limit = Duration::max();
  if (put.message.expiry_seconds) limit = std::chrono::seconds(*put.message.expiry_seconds);
  const Seconds lane_limit = rules(lane).max_age;
  if (lane_limit > Seconds::zero()) limit = std::min<Duration>(limit, lane_limit);
  return limit != Duration::max() && age(put) >= limit;
}

std::uint64_t Store::audit_all() {
  HF_CHECK(!closed_);
  const std::uint64_t& corrupt =
      state_.counters.dropped[static_cast<std::size_t>(DropReason::corrupt)];
  const std::uint64_t before = corrupt;
  for (auto& [place, segment] : state_.segments) {
    if (segment.live_count() > 0) audit(segment, false);
  }
  return corrupt - before;
}

StoreView Store::view() const {
  StoreView view = view_of(state_, active_);
  view.store = store_;
  view.segment_bytes = segment_bytes_;
  view.slots = static_cast<std::uint32_t>(slots_.existing().size());
  view.bytes = std::uint64_t{view.slots} * segment_bytes_;
  return view;
}

Page Store::list(const ListCursor& from, const ListQuery& query) {
  HF_CHECK(!closed_);
  return list_messages(
      state_.segments, cursors_.size(), [this](std::uint32_t slot) { return slots_.file(slot); },
      reader_, [this](const Segment& segment) { return sealer(segment); }, from, query);
}

// For a settlement of a message that was not fetched: its record knows its lane and size.
std::optional<RecordView> Store::find_put(Segment& segment, MessageId id) {
  env::File* file = slots_.file(segment.slot);
  std::uint32_t at = kDataStart;
  while (file != nullptr) {
    const auto record = reader_.next(*file, segment.key, segment.sequence, at, segment.end);
    if (!record) break;
    at = record->next;
    if (record->header.type == RecordType::put && record->header.id == id) return record;
  }
  return std::nullopt;
}

}  // namespace holdfast::outbox
