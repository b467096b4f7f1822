#include "sim/outbox_rig.h"

#include <algorithm>

namespace holdfast::sim {
namespace {

/// Tells `entering` of a use of the store, and of its end, also when an exception ends it.
class Use {
 public:
  explicit Use(const std::function<void(bool)>& tell) : tell_(tell) {
    if (tell_) tell_(true);
  }
  ~Use() {
    if (tell_) tell_(false);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  const std::function<void(bool)>& tell_;
};

/// What a message takes of its lane's bytes.
std::uint64_t record_bytes(const StoredMessage& message, const outbox::Options& options) {
  const std::uint32_t plain = outbox::put_size(message).value_or(0);
  const bool sealed = options.keys != nullptr && options.keys->current() != 0;
  return outbox::stride(plain + (sealed ? outbox::kSealSize : 0));
}

}  // namespace

OutboxRig::OutboxRig(std::uint64_t seed, outbox::Options its_options)
    : random(seed),
      options(std::move(its_options)),
      world_random_(seed ^ 0x5DEECE66DU),
      disk_(std::make_unique<PowerCutDisk>(world_random_)) {}

OutboxRig::OutboxRig(std::uint64_t seed, const OutboxRig& from, std::unique_ptr<PowerCutDisk> disk)
    : random(seed),
      clock(from.clock),
      options(from.options),
      world(from.world),
      world_random_(seed ^ 0x5DEECE66DU),
      disk_(std::move(disk)),
      model_(from.model_),
      names_(from.names_),
      made_(from.made_) {}

void OutboxRig::fail(const std::string& what) {
  if (wrong_.empty()) wrong_ = what;
}

std::shared_ptr<const std::string> OutboxRig::name_of(LaneIndex lane) {
  for (const auto& name : names_) {
    if (*name == options.lanes[lane].name) return name;
  }
  names_.push_back(std::make_shared<const std::string>(options.lanes[lane].name));
  return names_.back();
}

bool OutboxRig::open_box(outbox::RecoveryReport& report) {
  if (!wrong_.empty()) return false;
  model_.lanes = options.lanes;
  auto opened = [&] {
    const Use use(entering);
    return outbox::Outbox::open_patiently(below != nullptr ? *below : *disk_, clock, world_random_,
                                          options, report, [this](const Error&) {
                                            if (disk_->is_down()) return false;
                                            clock.pass(outbox::kOpenRetry);
                                            return true;
                                          });
  }();
  if (!opened) {
    if (world == Model::World::intact) fail("open refused: " + opened.error().message);
    return false;
  }
  box_ = std::move(opened).value();
  return true;
}

bool OutboxRig::open() {
  outbox::RecoveryReport report;
  if (!open_box(report)) return false;
  Found found;
  const std::string wrong = [&] {
    const Use use(entering);
    return model_.judge(*box_, report, world, found);
  }();
  if (!wrong.empty()) {
    fail(wrong);
    return false;
  }
  model_.absorb(found);
  for (std::size_t i = 0; i < found.there.size(); ++i) {
    if (found.there[i]) in_flight_.push_back(model_.known[i].id);
  }
  take_news();
  return up();
}

bool OutboxRig::reopen() {
  close();
  if (world == Model::World::failing) return open();  // what closing could not write comes back
  outbox::RecoveryReport report;
  if (!open_box(report)) return false;
  if (report.pending != waiting()) fail("pending is not what waited at closing");
  return up();
}

StoredMessage OutboxRig::make(LaneIndex lane, std::size_t payload, std::uint32_t expiry_seconds) {
  const std::uint64_t number = keys == 0 ? ++made_ : random.below(keys);
  StoredMessage m = outbox::test::make_message(lane, "t/" + std::to_string(number), payload,
                                               static_cast<std::uint8_t>(random.next()));
  if (random.below(4) == 0) m.user_properties.emplace_back("k", std::to_string(payload));
  if (random.below(8) == 0) m.content_type = "text/plain";
  m.retain = random.below(5) == 0;
  if (expiry_seconds > 0) m.expiry_seconds = expiry_seconds;
  return m;
}

bool OutboxRig::put(LaneIndex lane, std::size_t payload, std::uint32_t expiry_seconds) {
  if (!up()) return false;
  StoredMessage m = make(lane, payload, expiry_seconds);
  const outbox::PutResult result = [&] {
    const Use use(entering);
    return box_->put(m);
  }();
  if (result.rejected == RejectReason::none) {
    if (result.id <= model_.last_id()) {
      fail("id " + std::to_string(result.id) + " given again");
      return false;
    }
    Known known;
    known.id = result.id;
    known.message = std::make_shared<const StoredMessage>(std::move(m));
    known.lane = name_of(lane);
    known.given_up = options.lanes[lane].rules.when_full == WhenFull::drop_newest &&
                     (lane_is_full(known) || box_->health() == StorageHealth::full);
    model_.known.push_back(std::move(known));
    uncommitted_.push_back(result.id);
  }
  take_news();
  return result.rejected == RejectReason::none;
}

/// Whether the limits of its lane leave no room for a message that is not in the model yet.
bool OutboxRig::lane_is_full(const Known& fresh) const {
  const LaneRules rules = model_.rules_of(fresh);
  std::uint64_t count = 1;
  std::uint64_t bytes = record_bytes(*fresh.message, options);
  for (const Known& k : model_.known) {
    if (k.lane != fresh.lane || !Model::waits(k)) continue;
    ++count;
    bytes += record_bytes(*k.message, options);
  }
  return (rules.max_messages > 0 && count > rules.max_messages) ||
         (rules.max_bytes > 0 && bytes > rules.max_bytes);
}

void OutboxRig::take_lost(const std::vector<MessageId>& lost) {
  for (const MessageId id : lost) {
    if (Known* k = model_.find(id); k != nullptr) {
      k->lost = true;
      if (k->promised) fail("given up although promised (message " + std::to_string(id) + ")");
    }
  }
}

bool OutboxRig::commit() {
  if (!up()) return false;
  std::vector<MessageId> lost;
  const Status status = [&] {
    const Use use(entering);
    return box_->commit(lost);
  }();
  take_lost(lost);
  if (disk_->is_down()) return false;  // cut in the midst: nobody heard an answer
  if (!status && world == Model::World::intact) fail("commit failed: " + status.error().message);
  // Also after a failure: what was put and is not in `lost` was saved before it.
  for (const MessageId id : uncommitted_) {
    Known* k = model_.find(id);
    if (k != nullptr && !k->lost) k->committed = k->promised = true;
  }
  uncommitted_.clear();
  if (!box_->ledger().balanced()) fail("ledger not balanced after a commit");
  if (status) {
    for (Known& k : model_.known) k.settled_durably = k.settled && !k.undecided;
  }
  take_news();
  if (status) check_limits();
  return status.ok();
}

void OutboxRig::take_news() {
  if (!up() || disk_->is_down()) return;
  const auto news = [&] {
    const Use use(entering);
    return box_->take_news();
  };
  const outbox::News told = news();
  for (const auto& [id, reason] : told.dropped) {
    if (!note_dropped(id, reason)) return;
  }
  for (const MessageId id : told.superseded) {
    const auto held = std::find(in_flight_.begin(), in_flight_.end(), id);
    if (held == in_flight_.end()) {
      const Known* k = model_.find(id);
      if (k != nullptr && k->settled) continue;  // told twice
      return fail("replaced a message that nobody holds");
    }
    if (random.below(2) == 0) continue;  // on the way: its result will come
    end_held(static_cast<std::size_t>(held - in_flight_.begin()), DropReason::superseded);
  }
  for (std::size_t lane = 0; lane < told.over.size(); ++lane) {
    give_up_held(static_cast<LaneIndex>(lane), told.over[lane]);
  }
  for (const auto& [id, reason] : news().dropped) {
    if (!note_dropped(id, reason)) return;
  }
}

bool OutboxRig::note_dropped(MessageId id, DropReason reason) {
  Known* k = model_.find(id);
  const bool intact = world == Model::World::intact;
  std::string what;
  if (k == nullptr || (k->settled && !k->undecided)) {
    what = "gave up a message that does not wait";
  } else if (intact && is_held(id)) {
    what = "gave up a message that was handed out";
  } else if (intact && !model_.allows(*k, reason)) {
    what = "gave up a message without a reason";
  } else if (k->promised && reason == DropReason::corrupt) {
    what = "gave up a promised message as corrupt";
  } else if (intact && reason == DropReason::evicted && !k->given_up && !is_oldest(*k)) {
    what = "gave up a message that was not the oldest";
  }
  if (!what.empty()) {
    fail(what + " (message " + std::to_string(id) + ")");
    return false;
  }
  k->committed = k->settled = true;
  k->undecided = k->delivered = false;
  k->reason = reason;
  return true;
}

bool OutboxRig::is_held(MessageId id) const {
  return std::find(in_flight_.begin(), in_flight_.end(), id) != in_flight_.end();
}

/// Of those of its lane that wait and were not handed out.
bool OutboxRig::is_oldest(const Known& k) const {
  return std::none_of(model_.known.begin(), model_.known.end(), [&](const Known& other) {
    return other.id < k.id && other.lane == k.lane && Model::waits(other) && !is_held(other.id);
  });
}

/// As flow does: the oldest that it holds, and then the store the next ones.
void OutboxRig::give_up_held(LaneIndex lane, std::uint64_t count) {
  for (std::size_t at = 0; count > 0 && at < in_flight_.size();) {
    if (*model_.find(in_flight_[at])->lane != options.lanes[lane].name) {
      ++at;
      continue;
    }
    end_held(at, DropReason::evicted);
    --count;
  }
  if (count == 0) return;
  const Use use(entering);
  box_->evict(lane, count);
}

void OutboxRig::end_held(std::size_t at, DropReason reason) {
  const MessageId id = in_flight_[at];
  in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(at));
  Known* k = model_.find(id);
  k->settled = true;
  k->delivered = false;
  k->reason = reason;
  const Use use(entering);
  box_->settle_dropped(id, reason);
}

/// After a commit: what was to be given up at once is, and with nothing handed out the lanes keep
/// their limits, and in those that conflate each key waits once.
void OutboxRig::check_limits() {
  if (!up() || world != Model::World::intact) return;
  for (const Known& k : model_.known) {
    if (k.given_up && k.committed && !k.settled)
      return fail("kept a message in a lane that was full");
  }
  if (!in_flight_.empty()) return;
  const bool keys_known = box_->next_due() != BootTime{};
  for (const outbox::LaneOptions& lane : options.lanes) check_lane(lane, keys_known);
}

void OutboxRig::check_lane(const outbox::LaneOptions& lane, bool keys_known) {
  std::vector<const Known*> waiting;
  std::uint64_t bytes = 0;
  std::uint64_t largest = 0;
  for (const Known& k : model_.known) {
    if (*k.lane != lane.name || !Model::waits(k)) continue;
    const auto same = [&k](const Known* other) { return Model::same_key(*other, k); };
    if (lane.rules.conflate && keys_known && std::any_of(waiting.begin(), waiting.end(), same)) {
      return fail("a key waits twice in " + lane.name);
    }
    waiting.push_back(&k);
    const std::uint64_t own = record_bytes(*k.message, options);
    bytes += own;
    largest = std::max(largest, own);
  }
  if (lane.rules.when_full != WhenFull::drop_oldest) return;
  if (lane.rules.max_messages > 0 && waiting.size() > lane.rules.max_messages) {
    return fail("more messages wait in " + lane.name + " than it may have");
  }
  // What flow held was given up by number, reckoned with the average size.
  if (lane.rules.max_bytes > 0 && bytes > lane.rules.max_bytes + largest) {
    return fail("more bytes wait in " + lane.name + " than it may have");
  }
}

void OutboxRig::fetch(LaneIndex lane, std::size_t count) {
  if (!up()) return;
  const auto got = [&] {
    const Use use(entering);
    return box_->fetch(lane, count, 64 * 1024);
  }();
  take_news();
  for (const MessagePtr& m : got.messages) {
    Known* k = model_.find(m->id);
    if (k == nullptr || !same_content(*m, *k->message)) return fail("fetched a forged message");
    if (k->settled && !k->undecided) return fail("fetched what was settled");
    k->settled = k->undecided = false;
    if (is_held(m->id)) return fail("fetched twice");
    k->committed = true;  // a put or a tick may have committed it already
    in_flight_.push_back(m->id);
  }
}

LaneIndex OutboxRig::any_lane() {
  return static_cast<LaneIndex>(random.below(options.lanes.size()));
}

bool OutboxRig::put_any(std::size_t payload, std::uint32_t expiry_seconds) {
  return put(any_lane(), payload, expiry_seconds);
}

void OutboxRig::settle(std::size_t count, bool in_order) {
  if (!up()) return;
  for (; count > 0 && !in_flight_.empty(); --count) {
    const std::size_t at = in_order ? 0 : random.below(in_flight_.size());
    const MessageId id = in_flight_[at];
    in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(at));
    Known* k = model_.find(id);
    k->settled = true;
    k->delivered = random.below(5) != 0;
    k->reason = random.below(2) == 0 ? DropReason::refused : DropReason::too_large;
    const Use use(entering);
    if (k->delivered) {
      box_->settle_delivered(id);
    } else {
      box_->settle_dropped(id, k->reason);
    }
  }
}

void OutboxRig::tick(Duration pass) {
  clock.pass(pass);
  if (!up()) return;
  {
    const Use use(entering);
    box_->tick();
  }
  take_news();
}

void OutboxRig::close() {
  commit();
  if (!up()) return;
  {
    const Use use(entering);
    const Status closed = box_->close();
    if (!closed && world == Model::World::intact) fail("close failed");
    box_.reset();
  }
  in_flight_.clear();
  uncommitted_.clear();
  disk_->kill();
}

void OutboxRig::abandon() {
  {
    const Use use(entering);
    box_.reset();
  }
  in_flight_.clear();
  uncommitted_.clear();
}

void OutboxRig::crash(bool kill) {
  abandon();
  ++crashes_;
  if (kill) {
    disk_->kill();
    clock.pass(std::chrono::seconds(1));
    return;
  }
  std::vector<bool> survives(disk_->undecided());
  const std::uint64_t kind = random.below(4);
  std::generate(survives.begin(), survives.end(), [&] {
    return kind == 0 ? false : kind == 1 ? true : random.below(2) == 0;
  });
  disk_->cut(survives);
  clock.reboot();
}

std::uint64_t OutboxRig::waiting() const {
  return static_cast<std::uint64_t>(
      std::count_if(model_.known.begin(), model_.known.end(),
                    [](const Known& k) { return k.committed && !k.settled && !k.lost; }));
}

void OutboxRig::drain() {
  abandon();
  disk_->kill();
  if (!open()) return fail("does not open at the end");
  settle(in_flight_.size(), true);
  commit();
  if (up() && box_->ledger().pending != 0) fail("messages left after draining");
}

}  // namespace holdfast::sim
