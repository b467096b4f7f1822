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

bool OutboxRig::open() {
  if (!wrong_.empty()) return false;
  model_.lanes = outbox::lane_names(options);
  outbox::RecoveryReport report;
  auto opened = [&] {
    const Use use(entering);
    return outbox::Outbox::open(*disk_, clock, world_random_, options, report);
  }();
  if (!opened) {
    if (world == Model::World::intact) fail("open refused: " + opened.error().message);
    return false;
  }
  box_ = std::move(opened).value();
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
  return true;
}

StoredMessage OutboxRig::make(LaneIndex lane, std::size_t payload, std::uint32_t expiry_seconds) {
  StoredMessage m = outbox::test::make_message(lane, "t/" + std::to_string(++made_), payload,
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
  if (result.rejected != RejectReason::none) return false;
  if (result.id <= model_.last_id()) {
    fail("id " + std::to_string(result.id) + " given again");
    return false;
  }
  Known known;
  known.id = result.id;
  known.message = std::make_shared<const StoredMessage>(std::move(m));
  known.lane = name_of(lane);
  model_.known.push_back(std::move(known));
  uncommitted_.push_back(result.id);
  return true;
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
  if (!status) return false;
  for (Known& k : model_.known) k.settled_durably = k.settled;
  return true;
}

void OutboxRig::check_dropped() {
  for (const auto& [id, reason] : box_->take_news().dropped) {
    Known* k = model_.find(id);
    if (k == nullptr || k->settled) return fail("gave up a message that does not wait");
    if (world == Model::World::intact && reason != DropReason::expired) {
      return fail("gave up a message without damage");
    }
    if (k->promised && reason == DropReason::corrupt) {
      return fail("gave up a promised message as corrupt");
    }
    k->committed = k->settled = true;
    k->delivered = false;
    k->reason = reason;
  }
}

void OutboxRig::fetch(LaneIndex lane, std::size_t count) {
  if (!up()) return;
  const auto got = [&] {
    const Use use(entering);
    return box_->fetch(lane, count, 64 * 1024);
  }();
  check_dropped();
  for (const MessagePtr& m : got.messages) {
    Known* k = model_.find(m->id);
    if (k == nullptr || !same_content(*m, *k->message)) return fail("fetched a forged message");
    if (k->settled) return fail("fetched what was settled");
    if (std::find(in_flight_.begin(), in_flight_.end(), m->id) != in_flight_.end()) {
      return fail("fetched twice");
    }
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
  if (!disk_->is_down()) check_dropped();
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
  for (std::size_t i = 0; i < survives.size(); ++i) {
    survives[i] = kind == 0 ? false : kind == 1 ? true : random.below(2) == 0;
  }
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
