#include "outbox/store.h"

#include <algorithm>
#include <span>

#include "base/check.h"
#include "outbox/bytes.h"

namespace holdfast::outbox {

std::vector<std::string> lane_names(const Options& options) {
  std::vector<std::string> names;
  for (const LaneOptions& lane : options.lanes) names.push_back(lane.name);
  return names;
}

Result<std::unique_ptr<Outbox>> Outbox::open(env::Disk& disk, env::Clock& clock,
                                             env::Random& random, Options options,
                                             RecoveryReport& report) {
  auto store = Store::open_store(disk, clock, random, std::move(options), report);
  if (!store) return std::move(store).error();
  return std::unique_ptr<Outbox>(std::move(store).value());
}

Result<std::unique_ptr<Outbox>> Outbox::open_patiently(
    env::Disk& disk, env::Clock& clock, env::Random& random, Options options,
    RecoveryReport& report, const std::function<bool(const Error& error)>& wait) {
  for (int tries = 1;; ++tries) {
    options.unreadable_is_damage = tries > kOpenTries;
    auto opened = open(disk, clock, random, options, report);
    if (opened || opened.error().code != Errc::io || options.unreadable_is_damage) return opened;
    if (!wait(opened.error())) return opened;
  }
}

Store::Store(env::Disk& disk, env::Clock& clock, env::Random& random, Options options)
    : clock_(clock),
      random_(random),
      options_(std::move(options)),
      slots_(disk),
      seals_(options_.keys, &random) {}

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
  for (const auto& [place, segment] : store->state_.segments) {
    if (store->seals_.locked(segment)) report.locked += segment.live_count();
  }
  report.epoch = store->state_.session.epoch;
  report.last_id = store->state_.next_id - 1;
  report.store = load_le<std::uint32_t>(std::as_bytes(std::span(store->store_)).data());
  return store;
}

Status Store::begin(Recovered recovered) {
  store_ = recovered.store;
  segment_bytes_ = recovered.segment_bytes;
  state_ = std::move(recovered.state);
  last_sequence_ = recovered.last_sequence;
  sweep_at_ = clock_.now() + kSweepEvery;
  map_lanes();
  count_totals();
  reader_.forget();
  // What a process of this boot wrote last may be in the page cache only.
  if (recovered.newest_commit.to != 0 && !recovered.report.clean &&
      state_.session.boot == clock_.boot_id()) {
    doubtful_ = recovered.newest_commit;
  }
  if (recovered.report.read_only) {
    if (recovered.report.created) {
      return Error{Errc::read_only, "the directory is read-only and holds no outbox", 0};
    }
    begin_session();  // in RAM, until a retry can write it
    fail(Error{Errc::read_only, "the file system is read-only", 0});
    return {};
  }
  begin_session();
  if (recovered.append_to == 0 || !write_doubtful()) return start_anew();
  active_ = recovered.append_to;
  append_session(batch_, state_.session, state_.next_id);
  return flush();
}

Status Store::write_doubtful() {
  if (!doubtful_) return {};
  Status written = slots_.write_again(*doubtful_);
  if (!written && written.error().code == Errc::read_only) return written;  // later
  if (!written) slots_.mark_bad(doubtful_->slot);
  doubtful_.reset();
  return written;
}

// Nothing is put before what is in doubt was written again: while mode_ is ok there is no doubt.
Status Store::start_anew() {
  Status status = write_doubtful();
  if (!doubtful_) status = start_segment();
  if (!status) fail(status.error());
  return status;
}

// Names are what lanes are; indices in the store outlive the configuration that gave them. A name
// that is no longer configured keeps its index until its last message is gone.
void Store::map_lanes() {
  std::vector<std::string>& names = state_.session.lanes;
  if (names.empty()) names = lane_names(options_);
  const auto configured = [&](const std::string& name) {
    return std::any_of(options_.lanes.begin(), options_.lanes.end(),
                       [&](const LaneOptions& lane) { return lane.name == name; });
  };
  for (const LaneOptions& lane : options_.lanes) {
    auto at = std::find(names.begin(), names.end(), lane.name);
    for (std::size_t i = 0; at == names.end() && i < names.size(); ++i) {
      if (configured(names[i]) || lane_pending(static_cast<StoreLane>(i)) > 0) continue;
      names[i] = lane.name;
      at = names.begin() + static_cast<std::ptrdiff_t>(i);
    }
    if (at == names.end() && names.size() < kStoreLanesMax) {
      names.push_back(lane.name);
      at = std::prev(names.end());
    }
    // 255 lanes with waiting messages and none of them configured: share the last.
    if (at == names.end()) --at;
    lane_map_.push_back(static_cast<StoreLane>(at - names.begin()));
  }
  cursors_.resize(names.size());
  oldest_.resize(names.size());
  fetched_by_lane_.resize(names.size());
  rules_.resize(names.size());
  for (std::size_t i = 0; i < lane_map_.size(); ++i) {
    rules_[lane_map_[i]] = options_.lanes[i].rules;
    conflates_ = conflates_ || options_.lanes[i].rules.conflate;
  }
  news_.over.resize(lane_map_.size());
  if (!conflates_) return;
  key_seed_ = random_.next();
  scan_place_ = 0;
}

void Store::set_rules(const std::vector<LaneRules>& rules) {
  HF_CHECK(rules.size() == lane_map_.size());
  for (std::size_t i = 0; i < rules.size(); ++i) {
    LaneRules& now = rules_[lane_map_[i]];
    const bool conflates = now.conflate;
    now = rules[i];
    now.conflate = conflates;
  }
  sweep_at_ = clock_.now();  // a shorter age may have passed already
}

void Store::count_totals() {
  totals_.assign(cursors_.size(), {});
  for (const auto& [place, segment] : state_.segments) {
    for (std::size_t i = 0; i < segment.lanes().size(); ++i) {
      Total& total = totals_[clamp_lane(static_cast<StoreLane>(i))];
      total.count += segment.lanes()[i].count;
      total.bytes += segment.lanes()[i].bytes;
    }
  }
}

void Store::begin_session() {
  SessionInfo& s = state_.session;
  const env::BootId boot = clock_.boot_id();
  const bool same_boot = s.epoch != 0 && s.boot == boot;
  if (s.epoch != 0) {
    state_.endings.add({state_.next_id, kAllIds, EndKind::never_accepted, {}},
                       Endings::limit(segment_bytes_));
  }
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

// A clock that nothing keeps right may be decades ahead; taken as seen, it would make the right
// time look wrong for ever.
void Store::observe_wall() {
  if (!clock_.wall_synchronized()) return;
  state_.session.max_wall_ms = std::max(state_.session.max_wall_ms, clock_.wall().ms);
}

// When the message was accepted: now, unless it has waited in RAM; what is left of its expiry tells
// for how long.
Stamp Store::stamp(const StoredMessage& message) const {
  Stamp stamp;
  stamp.wall_ms = clock_.wall().ms;
  stamp.boot_ms = boot_ms();
  if (message.expiry_seconds && message.expires != kNever) {
    const Duration waited = std::chrono::seconds(*message.expiry_seconds) -
                            std::min<Duration>(message.expires - clock_.now(),
                                               std::chrono::seconds(*message.expiry_seconds));
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(waited).count();
    stamp.wall_ms -= ms;
    stamp.boot_ms -= ms;
  }
  stamp.wall_suspect = !clock_.wall_synchronized() || stamp.wall_ms < kPlausibleWallMs ||
                       stamp.wall_ms < state_.session.max_wall_ms;
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
  auto size = put_size(message);
  if (size && seals_.current() != 0) *size += kSealSize;
  if (!size || *size > batch_max()) return refuse(RejectReason::too_large);
  if (mode_ != Mode::ok) return refuse(RejectReason::storage_failed);
  const StoreLane lane = lane_map_[message.lane];
  const std::uint32_t bytes = stride(*size);
  if (!keep_limit(lane, bytes)) {
    const bool quietly = rules(lane).when_full == WhenFull::drop_newest;
    return quietly ? give_up_at_once(lane) : refuse(RejectReason::lane_full);
  }
  RejectReason no_room = make_room(bytes);
  if (no_room == RejectReason::outbox_full && make_space(message.lane)) no_room = make_room(bytes);
  if (no_room == RejectReason::outbox_full && rules(lane).when_full == WhenFull::drop_newest) {
    full_ = true;
    return give_up_at_once(lane);
  }
  if (no_room != RejectReason::none) return refuse(no_room);
  observe_wall();
  const MessageId id = state_.next_id++;
  const std::size_t start = batch_.size();
  append_put(batch_, message, id, lane, stamp(message));
  if (env::Sealer* cover = sealer(*active())) seals_.seal(batch_, start, *cover);
  HF_CHECK(batch_.size() == start + bytes);
  stamp_batch();  // while it is in the processor's cache; the commit has less to do
  batch_puts_.push_back({id, lane, bytes, true});
  ++totals_[lane].count;
  totals_[lane].bytes += bytes;
  if (rules(lane).conflate) note_key(lane, message, id, bytes);
  return {id, RejectReason::none};
}

// Accepted, and evicted before it was written: only its end is recorded, so that the books and its
// fate are right after a restart, too.
PutResult Store::give_up_at_once(StoreLane lane) {
  const std::uint32_t size = kRecordHeaderSize + stride(kRangeSize);
  if (!fits(size)) {
    static_cast<void>(flush());
    const RejectReason no_room = fits(size) ? RejectReason::none : make_room(size);
    if (no_room != RejectReason::none) return refuse(no_room);
  }
  const MessageId id = state_.next_id++;
  const Range range{id, 1, 0, lane, DropReason::evicted};
  append_ranges(batch_, RecordType::drop, std::span(&range, 1), state_.next_id);
  batch_puts_.push_back({id, lane, 0, false});
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
  for (auto& [place, segment] : state_.segments) {
    if (!segment.live(id)) continue;
    Held held;
    if (const auto record = find_put(segment, id)) {
      held = {clamp_lane(put_lane(record->header)), stride(record->header.length)};
    }
    settle_one(id, held, delivered, reason);
    return;
  }
}

bool Store::settle_one(MessageId id, Held held, bool delivered, DropReason reason) {
  for (auto& [place, segment] : state_.segments) {
    StoreLane charged = held.lane;
    if (!segment.settle(id, charged)) continue;
    segment.release_bytes(charged, held.bytes);
    Total& total = totals_[charged];
    total.count -= std::min<std::uint64_t>(total.count, 1);
    total.bytes =
        total.count == 0 ? 0 : total.bytes - std::min<std::uint64_t>(total.bytes, held.bytes);
    if (const auto known = fetched_.find(id); known != fetched_.end()) {
      --fetched_by_lane_[known->second.lane];
      fetched_.erase(known);
    } else {
      unpark(segment, id, charged);
    }
    if (delivered) {
      ++state_.counters.delivered;
    } else {
      state_.counters.add_drops(reason, 1);
      remember_end(id, EndKind::dropped, reason);
    }
    remember_settled({id, 1, held.bytes, charged, reason}, delivered);
    return true;
  }
  return false;
}

void Store::remember_end(MessageId id, EndKind kind, DropReason reason) {
  state_.endings.add({id, 1, kind, reason}, Endings::limit(segment_bytes_));
}

// In order of their ids, as ranges: most that come out of order are joined until they are written.
void Store::remember_settled(const Range& range, bool delivered) {
  // While nothing can be written the bits in RAM are enough: the next checkpoint carries them.
  if (mode_ != Mode::ok) return;
  if (settled_.empty()) settled_since_ = clock_.now();
  auto at =
      std::upper_bound(settled_.begin(), settled_.end(), range.first,
                       [](MessageId id, const auto& settled) { return id < settled.first.first; });
  at = settled_.emplace(at, range, delivered);
  const auto join = [this](auto first, auto next) {
    if (first->second != next->second || !first->first.continued_by(next->first)) return;
    first->first.join(next->first);
    settled_.erase(next);
  };
  if (std::next(at) != settled_.end()) join(at, std::next(at));
  if (at != settled_.begin()) join(std::prev(at), at);
}

void Store::tick() {
  const BootTime now = clock_.now();
  read_again();
  if (mode_ != Mode::ok) {
    if (now >= retry_at_) static_cast<void>(start_anew());  // a failure shows in health()
    return;
  }
  if (make_failing_ != 0) static_cast<void>(make_slots(make_failing_));
  if (scan_place_ != kScanned) scan_keys();
  if (now >= sweep_at_) sweep_expired();
  const bool too_many = settled_.size() >= kSettledMax;
  const bool due = options_.ack_flush > Duration::zero() && !settled_.empty() &&
                   now >= settled_since_ + options_.ack_flush;
  if (too_many || due) static_cast<void>(flush());  // a failure shows in health() and commit()
  if (now >= prepare_due()) prepare_slot();
}

BootTime Store::prepare_due() const {
  return options_.preallocate && slots_.can_make() ? prepare_at_ : kNever;
}

// One at a time, and only while nothing is put: it takes as long as writing a segment.
void Store::prepare_slot() {
  const BootTime now = clock_.now();
  if (std::exchange(prepare_id_, state_.next_id) != state_.next_id) {
    prepare_at_ = now + kPrepareIdle;
    return;
  }
  // That it fails matters to nobody yet: who needs a slot tries again, and tells.
  prepare_at_ = now + (slots_.make().ok() ? kPreparePause : kPrepareRetry);
}

// Only the oldest of each lane are looked at: one that expires behind them is found when they are
// gone, or when its room is needed.
void Store::sweep_expired() {
  const BootTime now = clock_.now();
  sweep_at_ = now + kSweepEvery;
  if (parked() > 0 && now >= parked_sweep_at_) {
    parked_sweep_at_ = now + kParkedSweepEvery;
    rewind_all();
  }
  for (std::size_t i = 0; i < cursors_.size(); ++i) {
    const auto lane = static_cast<StoreLane>(i);
    std::size_t bytes = 0;
    if (lane_unfetched(lane) > 0) fetch_lane(lane, 0, 0, 0, bytes, nullptr);
  }
}

BootTime Store::next_due() const {
  BootTime due = mode_ != Mode::ok ? retry_at_ : kNever;
  for (const Unread& unread : unread_) due = std::min(due, unread.next);
  if (mode_ != Mode::ok) return due;
  if (scan_place_ != kScanned || settled_.size() >= kSettledMax) return BootTime{};
  if (make_failing_ != 0) due = std::min(due, make_at_);
  due = std::min(due, prepare_due());
  if (!settled_.empty() && options_.ack_flush > Duration::zero()) {
    due = std::min(due, settled_since_ + options_.ack_flush);
  }
  for (std::size_t i = 0; i < totals_.size(); ++i) {
    const std::uint64_t parked = parked_in(static_cast<StoreLane>(i));
    if (totals_[i].count > fetched_by_lane_[i] + parked) return std::min(due, sweep_at_);
    if (parked > 0) due = std::min(due, std::max(sweep_at_, parked_sweep_at_));
  }
  return due;
}

News Store::take_news() {
  for (std::size_t i = 0; i < lane_map_.size(); ++i) {
    const StoreLane lane = lane_map_[i];
    std::uint64_t& over = news_.over[i];
    over = 0;
    if (rules(lane).when_full != WhenFull::drop_oldest) continue;
    over = excess(lane);
    if (over == 0) continue;
    // Nobody else can: flow holds none, or has given back what is older.
    const bool free = fetched_by_lane_[lane] == 0;
    const std::uint64_t gone = evict_from(lane, free ? over : std::min(over, parked_in(lane)), 0);
    over = free ? 0 : over - std::min(over, gone);
  }
  News out = std::move(news_);
  news_ = {};
  news_.over.resize(lane_map_.size());
  return out;
}

Fate Store::fate(MessageId id) const {
  const std::uint32_t epoch = epoch_of(id);
  if (is_volatile(id) || epoch == 0 || counter_of(id) == 0) return {};
  if (id >= state_.next_id) return {};
  for (const auto& [place, segment] : state_.segments) {
    if (segment.live(id)) return {FateKind::pending, {}};
  }
  const auto unconfirmed = [id](const PendingPut& put) { return put.id == id; };
  if (std::any_of(batch_puts_.begin(), batch_puts_.end(), unconfirmed)) return {};
  if (const Ending* ending = state_.endings.find(id)) {
    if (ending->kind == EndKind::never_accepted) return {};
    if (ending->kind == EndKind::dropped) return {FateKind::dropped, ending->reason};
    return {FateKind::delivered, {}};
  }
  return {id < state_.endings.forgotten_below() ? FateKind::forgotten : FateKind::delivered, {}};
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
    // A full segment is followed by a fresh one, as the next opening would do. No room for that is
    // no failure: the next opening only reports that it was not told.
    const auto size = static_cast<std::uint32_t>(record.size());
    if (!fits(size)) static_cast<void>(start_segment());
    if (fits(size)) {
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
  if (make_failing_ != 0) {
    return make_error_ == Errc::read_only ? StorageHealth::read_only : StorageHealth::degraded;
  }
  if (!unread_.empty()) return StorageHealth::degraded;
  return full_ ? StorageHealth::full : StorageHealth::ok;
}

}  // namespace holdfast::outbox
