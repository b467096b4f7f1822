#include "outbox/store.h"

#include <algorithm>

#include "base/check.h"
#include "outbox/bytes.h"

namespace holdfast::outbox {

Result<std::unique_ptr<Outbox>> Outbox::open(env::Disk& disk, env::Clock& clock,
                                             env::Random& random, Options options,
                                             RecoveryReport& report) {
  auto store = Store::open_store(disk, clock, random, std::move(options), report);
  if (!store) return std::move(store).error();
  return std::unique_ptr<Outbox>(std::move(store).value());
}

Store::Store(env::Disk& disk, env::Clock& clock, env::Random& random, Options options)
    : clock_(clock), random_(random), options_(std::move(options)), slots_(disk) {}

Result<std::unique_ptr<Store>> Store::open_store(env::Disk& disk, env::Clock& clock,
                                                 env::Random& random, Options options,
                                                 RecoveryReport& report) {
  report = {};
  if (options.lanes.empty() || options.lanes.size() > limits::kLanesMax) {
    return Error{Errc::invalid_argument, "an outbox has 1 to 8 lanes", 0};
  }
  if (Status locked = disk.lock(); !locked && locked.error().code != Errc::read_only) {
    return std::move(locked).error();
  }
  std::unique_ptr<Store> store(new Store(disk, clock, random, std::move(options)));
  auto recovered = recover(disk, store->slots_, store->reader_, random, store->options_);
  if (!recovered) return std::move(recovered).error();
  report = recovered->report;
  const bool created = report.created;
  Status begun = store->begin(std::move(recovered).value());
  if (!begun && created) return std::move(begun).error();
  // An existing store opens whatever its disk says: what is in it can still be sent.
  report.read_only = store->mode_ == Mode::read_only;
  return store;
}

Status Store::begin(Recovered recovered) {
  store_ = recovered.store;
  segment_bytes_ = recovered.segment_bytes;
  state_ = std::move(recovered.state);
  last_sequence_ = recovered.last_sequence;
  map_lanes();
  reader_.forget();
  if (recovered.report.read_only) {
    if (recovered.report.created) {
      return Error{Errc::read_only, "the directory is read-only and holds no outbox", 0};
    }
    begin_session();  // in RAM, until a retry can write it
    fail(Error{Errc::read_only, "the file system is read-only", 0});
    return {};
  }
  begin_session();
  if (recovered.append_to == 0) {
    Status started = start_segment();
    if (!started) fail(started.error());
    return started;
  }
  active_ = recovered.append_to;
  append_session(batch_, state_.session, state_.next_id);
  return flush();
}

// Names are what lanes are; indices in the store outlive the configuration that gave them. A name
// that is no longer configured keeps its index until its last message is gone.
void Store::map_lanes() {
  std::vector<std::string>& names = state_.session.lanes;
  if (names.empty()) names = options_.lanes;
  const auto configured = [&](const std::string& name) {
    return std::find(options_.lanes.begin(), options_.lanes.end(), name) != options_.lanes.end();
  };
  for (const std::string& lane : options_.lanes) {
    auto at = std::find(names.begin(), names.end(), lane);
    for (std::size_t i = 0; at == names.end() && i < names.size(); ++i) {
      if (configured(names[i]) || lane_pending(static_cast<StoreLane>(i)) > 0) continue;
      names[i] = lane;
      at = names.begin() + static_cast<std::ptrdiff_t>(i);
    }
    if (at == names.end() && names.size() < kStoreLanesMax) {
      names.push_back(lane);
      at = std::prev(names.end());
    }
    // 255 lanes with waiting messages and none of them configured: share the last.
    if (at == names.end()) --at;
    lane_map_.push_back(static_cast<StoreLane>(at - names.begin()));
  }
  cursors_.resize(names.size());
  fetched_by_lane_.resize(names.size());
}

void Store::begin_session() {
  SessionInfo& s = state_.session;
  const env::BootId boot = clock_.boot_id();
  const bool same_boot = s.epoch != 0 && s.boot == boot;
  ++s.epoch;
  HF_CHECK(s.epoch <= kEpochMax);
  if (!same_boot) s.boot_first_epoch = s.epoch;
  s.boot = boot;
  s.clean = false;
  observe_wall();
  s.wall_ms = clock_.wall().ms;
  s.boot_ms = boot_ms();
  s.accepted = state_.counters.accepted;
  s.corrupt = state_.counters.dropped[static_cast<std::size_t>(DropReason::corrupt)];
  state_.next_id = make_id(s.epoch, 1);
}

std::int64_t Store::boot_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now().time_since_epoch())
      .count();
}

void Store::observe_wall() {
  state_.session.max_wall_ms = std::max(state_.session.max_wall_ms, clock_.wall().ms);
}

Stamp Store::stamp() const {
  Stamp stamp;
  stamp.wall_ms = clock_.wall().ms;
  stamp.boot_ms = boot_ms();
  stamp.wall_suspect =
      stamp.wall_ms < kPlausibleWallMs || stamp.wall_ms < state_.session.max_wall_ms;
  return stamp;
}

PutResult Store::refuse(RejectReason reason) {
  ++rejected_[static_cast<std::size_t>(reason)];
  if (reason == RejectReason::outbox_full) full_ = true;
  return {0, reason};
}

PutResult Store::put(const StoredMessage& message) {
  HF_CHECK(!closed_);
  if (message.lane >= lane_map_.size()) return refuse(RejectReason::unknown_lane);
  const auto size = put_size(message);
  if (!size || *size > segment_bytes_ / 2 - 3 * kBlock) return refuse(RejectReason::too_large);
  if (mode_ != Mode::ok) return refuse(RejectReason::storage_failed);
  const RejectReason no_room = make_room(stride(*size));
  if (no_room != RejectReason::none) return refuse(no_room);
  observe_wall();
  const MessageId id = state_.next_id++;
  const StoreLane lane = lane_map_[message.lane];
  append_put(batch_, message, id, lane, stamp());
  batch_puts_.push_back({id, lane});
  return {id, RejectReason::none};
}

Status Store::commit(std::vector<MessageId>& lost) {
  HF_CHECK(!closed_);
  Status status = flush();
  lost.insert(lost.end(), lost_.begin(), lost_.end());
  if (status.ok() && !lost_.empty()) status = last_error_;
  lost_.clear();
  HF_CHECK(state_.balanced());
  return status;
}

void Store::settle_delivered(MessageId id) { settle(id, true, DropReason::expired); }

void Store::settle_dropped(MessageId id, DropReason reason) { settle(id, false, reason); }

void Store::settle(MessageId id, bool delivered, DropReason reason) {
  if (const auto known = fetched_.find(id); known != fetched_.end()) {
    settle_one(id, known->second, delivered, reason);
    return;
  }
  for (auto& [sequence, segment] : state_.segments) {
    if (!segment.live(id)) continue;
    const auto lane = find_lane(segment, id);
    settle_one(id, lane.value_or(0), delivered, reason);
    return;
  }
}

bool Store::settle_one(MessageId id, StoreLane lane, bool delivered, DropReason reason) {
  for (auto& [sequence, segment] : state_.segments) {
    StoreLane charged = lane;
    if (!segment.settle(id, charged)) continue;
    if (const auto known = fetched_.find(id); known != fetched_.end()) {
      --fetched_by_lane_[known->second];
      fetched_.erase(known);
    }
    if (delivered) {
      ++state_.counters.delivered;
    } else {
      state_.counters.add_drops(reason, 1);
    }
    remember_settled({id, 1, charged, reason}, delivered);
    return true;
  }
  return false;
}

void Store::remember_settled(const Range& range, bool delivered) {
  // While nothing can be written the bits in RAM are enough: the next checkpoint carries them.
  if (mode_ != Mode::ok) return;
  if (settled_.empty()) settled_since_ = clock_.now();
  if (!settled_.empty()) {
    auto& [last, last_delivered] = settled_.back();
    if (last_delivered == delivered && last.continued_by(range)) {
      last.join(range);
      return;
    }
  }
  settled_.emplace_back(range, delivered);
}

void Store::tick() {
  const BootTime now = clock_.now();
  if (mode_ != Mode::ok) {
    if (now < retry_at_) return;
    if (Status started = start_segment(); !started) fail(started.error());
    return;
  }
  const bool too_many = settled_.size() >= kSettledMax;
  const bool due = options_.ack_flush > Duration::zero() && !settled_.empty() &&
                   now >= settled_since_ + options_.ack_flush;
  if (too_many || due) static_cast<void>(flush());  // a failure shows in health() and commit()
}

BootTime Store::next_due() const {
  if (mode_ != Mode::ok) return retry_at_;
  if (settled_.empty()) return kNever;
  if (settled_.size() >= kSettledMax) return settled_since_;
  return options_.ack_flush > Duration::zero() ? settled_since_ + options_.ack_flush : kNever;
}

Status Store::close() {
  HF_CHECK(!closed_);
  Status status = flush();
  if (mode_ == Mode::ok) {
    SessionInfo closing = state_.session;
    closing.clean = true;
    closing.accepted = state_.counters.accepted;
    closing.corrupt = state_.counters.dropped[static_cast<std::size_t>(DropReason::corrupt)];
    observe_wall();
    closing.max_wall_ms = state_.session.max_wall_ms;
    std::vector<std::byte> record;
    append_session(record, closing, state_.next_id);
    // No room for it is no failure: the next opening only reports that it was not told.
    if (fits(static_cast<std::uint32_t>(record.size()))) {
      batch_ = std::move(record);
      status = flush();
    }
  }
  closed_ = true;
  return status;
}

Ledger Store::ledger() const {
  Ledger out;
  out.accepted = state_.counters.accepted;
  out.delivered = state_.counters.delivered;
  out.dropped = state_.counters.dropped;
  out.pending = state_.pending();
  out.rejected = rejected_;
  return out;
}

StorageHealth Store::health() const {
  if (mode_ == Mode::read_only) return StorageHealth::read_only;
  if (mode_ == Mode::degraded) return StorageHealth::degraded;
  return full_ ? StorageHealth::full : StorageHealth::ok;
}

}  // namespace holdfast::outbox
