// See sender.h. In the order of the header: messages in, connection, what next, books.
#include "flow/sender.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "flow/reason.h"

namespace holdfast::flow {
namespace {

/// Fixed part of a PUBLISH: header, lengths, packet id, common properties.
constexpr std::size_t kWireOverhead = 16;

/// What pacing counts a message as: its payload, names and a fixed part.
std::uint64_t wire_bytes(const StoredMessage& message) {
  return message.cost() - sizeof(StoredMessage) + kWireOverhead;
}

Duration retry_delay(std::uint8_t delays) {
  Duration delay = kRetryFirst;
  for (unsigned i = 1; i < delays && delay < kRetryCap; ++i) delay *= 2;
  return std::min(delay, kRetryCap);
}

}  // namespace

Sender::Sender(const Config& config) : lane_count_(config.lanes.size()) {
  HF_CHECK(lane_count_ >= 1 && lane_count_ <= limits::kLanesMax);
  reconfigure(config);
}

void Sender::reconfigure(const Config& config) {
  max_in_flight_ = std::max<std::uint16_t>(config.max_in_flight, 1);
  memory_ = config.limits.memory;
  messages_.set_rate(config.messages_per_second);
  bytes_.set_rate(config.bytes_per_second);
  window_ = std::max<std::size_t>(std::min(max_in_flight_, server_window_), 1);
  keep_denied_ = config.denied_for > Seconds::zero();
}

// ---- messages in --------------------------------------------------------------------------------

bool Sender::add_volatile(BootTime now, MessagePtr message, Work& work) {
  HF_CHECK(is_volatile(message->id) && message->lane < lane_count_);
  const std::size_t cost = message->cost();
  const std::size_t limit = memory_ / 2;
  if (volatile_bytes_ + leaving_bytes_ + cost > limit && now >= purge_at_) {
    purge_at_ = now + kPurgeGap;
    purge_expired(now, work);
  }
  // One message is always taken, so that a small limit cannot make a lane unusable.
  const std::size_t taken = volatile_bytes_ + leaving_bytes_;
  if (taken > 0 && taken + cost > limit) return false;
  Entry entry{std::move(message), now};
  // Nobody knows when a parked topic is released: it must leave room for the others.
  const bool parked = !entry.message->spill && is_parked(entry);
  if (parked && parked_bytes_ > 0 && parked_bytes_ + cost > limit / 4) return false;
  volatile_bytes_ += cost;
  ++volatile_held_;
  Lane& lane = lanes_[entry.message->lane];
  if (entry.message->spill) {
    ++lane.spill_held;
    entry.after = last_stored_;
  }
  if (parked) {
    parked_bytes_ += cost;
    lane.parked_memory.push_back(std::move(entry));
    return true;
  }
  queue_of(lane, *entry.message).push_back(std::move(entry));
  return true;
}

std::deque<Sender::Entry>& Sender::queue_of(Lane& lane, const StoredMessage& message) {
  if (!is_volatile(message.id)) return lane.durable;
  return message.spill ? lane.spill : lane.memory;
}

bool Sender::may_spill_later(LaneIndex index, const std::string& topic) const {
  HF_CHECK(index < lane_count_);
  const Lane& lane = lanes_[index];
  if (lane.spill_held == 0 && parked_topics_.contains(topic)) return false;
  return lane.spill_held > 0 || (!lane.stored && !lane.fetching && lane.durable_bytes == 0);
}

std::vector<MessagePtr> Sender::take_spill(BootTime since) {
  std::vector<MessagePtr> taken;
  for (std::size_t i = 0; i < lane_count_; ++i) {
    Lane& lane = lanes_[i];
    // The first decides: what came later has waited less, but would be written soon after.
    const auto due = [&](const std::deque<Entry>& queue) {
      return !queue.empty() && queue.front().since <= since;
    };
    if (!due(lane.spill) && !due(lane.parked_spill)) continue;
    for (Entry& entry : std::exchange(lane.parked_spill, {})) take_back(entry);
    if (lane.leaving == 0) lane.moved = 0;
    lane.leaving += lane.spill.size();
    for (Entry& entry : std::exchange(lane.spill, {})) {
      const std::size_t cost = entry.message->cost();
      HF_CHECK(volatile_held_ > 0 && volatile_bytes_ >= cost && lane.spill_held > 0);
      --volatile_held_;
      --lane.spill_held;
      volatile_bytes_ -= cost;
      leaving_bytes_ += cost;
      yield(entry);
      taken.push_back(entry.message);
      leaving_.push_back(std::move(entry));
    }
  }
  return taken;
}

void Sender::spill_left(const StoredMessage& message, MessageId id) {
  HF_CHECK(!leaving_.empty() && leaving_.front().message->id == message.id);
  Lane& lane = lanes_[message.lane];
  HF_CHECK(leaving_bytes_ >= message.cost() && lane.leaving > 0);
  --lane.leaving;
  if (id != 0) {
    leaving_bytes_ -= message.cost();
    lane.moved = id;
  } else {
    Entry& entry = leaving_.front();
    entry.after = std::max(entry.after, lane.moved);
    returning_.push_back(std::move(entry));
  }
  leaving_.pop_front();
}

void Sender::return_spill(BootTime now) {
  std::for_each(returning_.rbegin(), returning_.rend(), [&](Entry& entry) {
    const std::size_t cost = entry.message->cost();
    ++volatile_held_;
    leaving_bytes_ -= cost;
    volatile_bytes_ += cost;
    entry.since = now;
    Lane& lane = lanes_[entry.message->lane];
    ++lane.spill_held;
    lane.spill.push_front(std::move(entry));
  });
  returning_.clear();
}

BootTime Sender::oldest_spill() const {
  BootTime oldest = kNever;
  for (std::size_t i = 0; i < lane_count_; ++i) {
    for (const auto* queue : {&lanes_[i].spill, &lanes_[i].parked_spill}) {
      if (!queue->empty()) oldest = std::min(oldest, queue->front().since);
    }
  }
  return oldest;
}

void Sender::ids_up_to(MessageId id) { last_stored_ = std::max(last_stored_, id); }

void Sender::stored(LaneIndex lane, MessageId id) {
  HF_CHECK(id > last_stored_);
  last_stored_ = id;
  set_stored(lane, true);
}

void Sender::set_stored(LaneIndex lane, bool more) {
  HF_CHECK(lane < lane_count_);
  lanes_[lane].stored = more;
}

void Sender::fetched(BootTime now, LaneIndex index, std::vector<MessagePtr> messages, bool more) {
  HF_CHECK(index < lane_count_);
  Lane& lane = lanes_[index];
  HF_CHECK(lane.fetching);
  lane.fetching = false;
  lane.asked_bytes = 0;
  lane.stored = more;
  for (MessagePtr& message : messages) {
    HF_CHECK(message && !is_volatile(message->id) && message->lane == index);
    insert({std::move(message), now});
  }
}

std::uint64_t Sender::evict(LaneIndex index, std::uint64_t count, Work& work) {
  HF_CHECK(index < lane_count_);
  auto& queue = lanes_[index].durable;
  // Those that were sent and came back stand in front: at most one window of them.
  auto entry = std::find_if(queue.begin(), queue.end(), [](const Entry& e) { return e.turn == 0; });
  std::uint64_t evicted = 0;
  while (entry != queue.end() && evicted < count) {
    settle(*entry, false, DropReason::evicted, 0, work);
    entry = queue.erase(entry);
    ++evicted;
  }
  return evicted;
}

void Sender::supersede(MessageId id) {
  if (durable_held_ > 0 && !by_token_.contains(id)) superseded_.insert(id);
}

// ---- the connection -----------------------------------------------------------------------------

void Sender::connected(std::uint16_t server_receive_maximum) {
  HF_CHECK(!connected_ && flight_.empty());
  connected_ = true;
  server_window_ = std::max<std::uint16_t>(server_receive_maximum, 1);
  window_ = std::max<std::size_t>(std::min(max_in_flight_, server_window_), 1);
}

void Sender::disconnected() {
  connected_ = false;
  // Back to front by id: put_back() puts each before the ones already there.
  std::vector<Entry> entries;
  entries.reserve(flight_.size());
  for (InFlight& flight : flight_) {
    if (flight.token != kBirthToken) entries.push_back(std::move(flight.entry));
  }
  flight_.clear();
  by_token_.clear();
  birth_.reset();
  written_.clear();
  trial_topic_.clear();
  trial_token_ = 0;
  trial_written_ = false;
  if (trial_ && trial_->message->id != kBirthToken) entries.push_back(std::move(*trial_));
  trial_.reset();
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.message->id > b.message->id; });
  for (Entry& entry : entries) put_back(std::move(entry));
}

void Sender::send_birth(BootTime now, MessagePtr message, Work& work) {
  HF_CHECK(connected_ && !by_token_.contains(kBirthToken));
  Entry birth{std::move(message), now};
  if (!is_parked(birth)) return transmit(now, kBirthToken, std::move(birth), work);
  birth_ = std::move(birth);
  birth_at_ = now;
}

std::optional<Sender::Entry> Sender::take_answered(env::Token token) {
  const auto found = by_token_.find(token);
  if (found == by_token_.end()) return std::nullopt;
  Entry entry = std::move(found->second->entry);
  flight_.erase(found->second);
  by_token_.erase(found);
  if (token == trial_token_) {
    trial_token_ = 0;
    trial_written_ = entry.message->qos == Qos::at_most_once;
    if (!trial_written_) trial_topic_.clear();
  }
  return entry;
}

void Sender::published(BootTime now, env::Token token, std::uint8_t code, Work& work) {
  const AckMeaning meaning = meaning_of(code);
  const auto found = by_token_.find(token);
  if (found != by_token_.end() && meaning == AckMeaning::delivered) overtake(found->second);
  std::optional<Entry> entry = take_answered(token);
  if (!entry) return;
  switch (meaning) {
    case AckMeaning::delivered:
      return settle(*entry, true, DropReason::refused, code, work);
    case AckMeaning::retry:
      return delay(now, std::move(*entry));
    case AckMeaning::denied:
      if (keep_denied_ && is_parked(*entry)) return set_aside(std::move(*entry), work);
      [[fallthrough]];
    case AckMeaning::refused:
      return settle(*entry, false, DropReason::refused, code, work);
  }
}

void Sender::refused(BootTime now, env::Token token, Errc code, Work& work) {
  std::optional<Entry> entry = take_answered(token);
  if (!entry) return;
  switch (code) {
    case Errc::too_large:
      return settle(*entry, false, DropReason::too_large, 0, work);
    case Errc::unsupported:
    case Errc::protocol:
    case Errc::invalid_argument:
      return settle(*entry, false, DropReason::refused, 0, work);
    default:
      return delay(now, std::move(*entry));
  }
}

// ---- what next ----------------------------------------------------------------------------------

void Sender::send(BootTime now, Work& work, bool alone) {
  release_delayed(now);
  if (trial_ && alone && connected_ && flight_.empty() && written_.empty() && !volatile_only_) {
    trial_token_ = trial_->message->id;
    Entry entry = std::move(*trial_);
    trial_.reset();
    transmit(now, trial_token_, std::move(entry), work);
  }
  if (trying()) return;
  while (connected_ && flight_.size() < room() && pace_at() <= now) {
    if (birth_ && birth_at_ <= now && !volatile_only_ && !is_parked(*birth_)) {
      Entry birth = std::move(*birth_);
      birth_.reset();
      transmit(now, kBirthToken, std::move(birth), work);
      continue;
    }
    std::deque<Entry>* queue = pick(now, work);
    if (queue == nullptr) return;
    Entry entry = std::move(queue->front());
    queue->pop_front();
    const env::Token token = entry.message->id;
    transmit(now, token, std::move(entry), work);
  }
}

void Sender::transmit(BootTime now, env::Token token, Entry entry, Work& work) {
  if (entry.turn == 0) {
    entry.turn = ++last_turn_;
  } else {
    ++sends_repeated_;
    yield(entry);
  }
  messages_.sent(now, 1);
  bytes_.sent(now, wire_bytes(*entry.message));
  work.sends.push_back({token, entry.message});
  if (entry.message->qos == Qos::at_most_once) {
    if (written_.size() == kWrittenMost) written_.pop_front();
    written_.push_back({{Operation::Kind::publish, entry.message->topic}, now});
  }
  flight_.push_back({token, now, std::move(entry)});
  const bool added = by_token_.emplace(token, std::prev(flight_.end())).second;
  HF_CHECK(added && by_token_.size() == flight_.size());
}

void Sender::yield(Entry& entry) const {
  if (entry.turn == 0 || !entry.message->retain) return;
  const bool later = std::any_of(flight_.begin(), flight_.end(), [&](const InFlight& other) {
    return replaces(other.entry, entry);
  });
  if (later) give_way(entry);
}

/// Whether a repeat of `earlier` must not be retained once `later` is delivered.
bool Sender::replaces(const Entry& later, const Entry& earlier) {
  return earlier.turn != 0 && later.turn > earlier.turn && earlier.message->retain &&
         (later.message->retain || later.gave_way) &&
         later.message->topic == earlier.message->topic;
}

void Sender::give_way(Entry& entry) {
  auto copy = std::make_shared<StoredMessage>(*entry.message);
  copy->retain = false;
  entry.message = std::move(copy);
  entry.gave_way = true;
}

/// Answers in the order of sending find nothing before it, and nothing that was sent in a queue.
void Sender::overtake(Flight::iterator delivered) {
  const Entry& later = delivered->entry;
  if (!later.message->retain && !later.gave_way) return;
  const auto pass = [&](Entry& entry) {
    if (replaces(later, entry)) give_way(entry);
  };
  for (auto it = flight_.begin(); it != delivered; ++it) pass(it->entry);
  for (auto& [at, entry] : delayed_) pass(entry);
  for (auto& [id, before] : sent_before_) {
    const bool passed = before.retained == later.message->topic && later.turn > before.turn;
    before.gave_way = before.gave_way || passed;
  }
  for (std::size_t i = 0; i < lane_count_; ++i) {
    Lane& lane = lanes_[i];
    for (auto* queue :
         {&lane.durable, &lane.memory, &lane.spill, &lane.parked_memory, &lane.parked_spill}) {
      for (Entry& entry : *queue) {
        if (entry.turn != 0) pass(entry);
      }
    }
  }
}

/// The queue whose front goes next, expired messages settled on the way; null when none waits.
std::deque<Sender::Entry>* Sender::pick(BootTime now, Work& work) {
  for (std::size_t i = 0; i < lane_count_; ++i) {
    if (is_held(i)) continue;
    while (std::deque<Entry>* queue = pick_from(lanes_[i])) {
      const auto reason = useless(queue->front(), now);
      if (!reason && is_parked(queue->front())) {
        Entry entry = std::move(queue->front());
        queue->pop_front();
        set_aside(std::move(entry), work);
        continue;
      }
      if (!reason) {
        lanes_[i].memory_next = queue != &lanes_[i].memory;
        return queue;
      }
      settle(queue->front(), false, *reason, 0, work);
      queue->pop_front();
    }
  }
  return nullptr;
}

/// Why a message is not worth sending any more. What was sent before may have arrived: calling it
/// expired would be a guess.
std::optional<DropReason> Sender::useless(const Entry& entry, BootTime now) const {
  if (entry.turn != 0) return std::nullopt;
  if (now >= entry.message->give_up) return DropReason::expired;
  if (superseded_.contains(entry.message->id)) return DropReason::superseded;
  return std::nullopt;
}

std::deque<Sender::Entry>* Sender::pick_from(Lane& lane) {
  auto* safe = &lane.durable;
  if (spill_is_next(lane)) {
    safe = &lane.spill;
  } else if (volatile_only_ || lane.durable.empty()) {
    safe = nullptr;
  }
  if (!lane.memory.empty() && (lane.memory_next || safe == nullptr)) return &lane.memory;
  return safe;
}

/// Whether the oldest message in RAM that may be moved to disk has its turn: all on disk that is
/// older was sent. What is not read ahead yet is waited for.
bool Sender::spill_is_next(const Lane& lane) const {
  if (lane.spill.empty()) return false;
  const Entry& first = lane.spill.front();
  if (volatile_only_) return true;
  if (!lane.durable.empty()) return lane.durable.front().message->id > first.after;
  return lane.last_fetched >= first.after || (!lane.stored && !lane.fetching);
}

void Sender::fetch(Work& work) {
  const std::size_t target = std::max(window_ * kReadyWindows, kReadyMin);
  for (std::size_t i = 0; i < lane_count_; ++i) {
    Lane& lane = lanes_[i];
    if (is_held(i) || !lane.stored || lane.fetching || lane.durable.size() >= target / 2) continue;
    std::size_t count = target - lane.durable.size();
    std::size_t bytes = room_for(lane);
    if (bytes < kFetchMin) {
      if (lane.durable_bytes > 0) continue;  // what it holds will settle and make room
      count = 1;
      bytes = limits::kMessageMax;
    }
    lane.fetching = true;
    lane.asked_bytes = bytes;
    work.fetches.push_back({static_cast<LaneIndex>(i), count, bytes});
  }
}

void Sender::drop_volatile(Work& work) {
  HF_CHECK(!connected_ && flight_.empty());
  for (std::size_t i = 0; i < lane_count_; ++i) {
    Lane& lane = lanes_[i];
    for (auto* queue : {&lane.memory, &lane.spill, &lane.parked_memory, &lane.parked_spill}) {
      for (const Entry& entry : *queue) settle(entry, false, DropReason::volatile_lost, 0, work);
      queue->clear();
    }
  }
  for (auto it = delayed_.begin(); it != delayed_.end();) {
    if (is_volatile(it->second.message->id)) {
      settle(it->second, false, DropReason::volatile_lost, 0, work);
      it = delayed_.erase(it);
    } else {
      ++it;
    }
  }
  parked_bytes_ = 0;
  HF_CHECK(volatile_held_ == 0 && volatile_bytes_ == 0);
}

BootTime Sender::next_wake() const {
  if (!connected_) return kNever;
  BootTime at = delayed_.empty() ? kNever : delayed_.begin()->first;
  if (flight_.size() >= room() || trying()) return at;
  if (birth_ && !volatile_only_ && !is_parked(*birth_))
    at = std::min(at, std::max(birth_at_, pace_at()));
  if (sendable()) at = std::min(at, pace_at());
  return at;
}

BootTime Sender::pace_at() const { return std::max(messages_.ready_at(), bytes_.ready_at()); }

bool Sender::sendable() const {
  for (std::size_t i = 0; i < lane_count_; ++i) {
    const Lane& lane = lanes_[i];
    if (is_held(i)) continue;
    if (!lane.memory.empty() || spill_is_next(lane)) return true;
    if (!volatile_only_ && !lane.durable.empty()) return true;
  }
  return false;
}

// ---- books --------------------------------------------------------------------------------------

BootTime Sender::oldest_sent() const { return flight_.empty() ? kNever : flight_.front().sent_at; }

std::size_t Sender::durable_bytes() const {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < lane_count_; ++i) sum += lanes_[i].durable_bytes;
  return sum;
}

/// Half of the durable half is split evenly; the other half goes to whoever asks first.
std::size_t Sender::guaranteed() const { return memory_ / 4 / lane_count_; }

std::size_t Sender::room_for(const Lane& wanted) const {
  const std::size_t own = guaranteed();
  std::size_t shared = memory_ / 2 - own * lane_count_;
  for (std::size_t i = 0; i < lane_count_; ++i) {
    const std::size_t used = lanes_[i].durable_bytes + lanes_[i].asked_bytes;
    shared -= std::min(shared, used - std::min(used, own));
  }
  const std::size_t used = wanted.durable_bytes + wanted.asked_bytes;
  return own - std::min(own, used) + shared;
}

void Sender::release_delayed(BootTime now) {
  if (!connected_) return;
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    Entry& entry = delayed_.begin()->second;
    auto& queue = queue_of(lanes_[entry.message->lane], *entry.message);
    // Ahead of new ones, but behind those that a lost connection gave back and that are older.
    const auto at = std::find_if(queue.begin(), queue.end(), [&](const Entry& other) {
      return other.turn == 0 || other.turn > entry.turn;
    });
    queue.insert(at, std::move(entry));
    delayed_.erase(delayed_.begin());
  }
}

void Sender::delay(BootTime now, Entry entry) {
  if (entry.delays < 255) ++entry.delays;
  const BootTime at = now + retry_delay(entry.delays);
  if (entry.message->id == kBirthToken) {
    birth_at_ = at;
    birth_ = std::move(entry);
    return;
  }
  delayed_.emplace(at, std::move(entry));
}

void Sender::put_back(Entry entry) {
  auto& queue = queue_of(lanes_[entry.message->lane], *entry.message);
  queue.push_front(std::move(entry));
}

void Sender::settle(const Entry& entry, bool delivered, DropReason reason, std::uint8_t code,
                    Work& work) {
  if (entry.message->id == kBirthToken) return;  // no message of the ledger
  const std::size_t cost = entry.message->cost();
  if (is_volatile(entry.message->id)) {
    HF_CHECK(volatile_held_ > 0 && volatile_bytes_ >= cost);
    --volatile_held_;
    volatile_bytes_ -= cost;
    if (entry.message->spill) --lanes_[entry.message->lane].spill_held;
  } else {
    Lane& lane = lanes_[entry.message->lane];
    HF_CHECK(durable_held_ > 0 && lane.durable_bytes >= cost);
    --durable_held_;
    lane.durable_bytes -= cost;
    if (!superseded_.empty()) superseded_.erase(entry.message->id);
    if (durable_held_ == 0) superseded_.clear();  // ends that crossed the wish
  }
  work.settled.push_back({entry.message->id, delivered, reason, code, entry.message});
}

void Sender::purge_expired(BootTime now, Work& work) {
  for (std::size_t i = 0; i < lane_count_; ++i) {
    Lane& lane = lanes_[i];
    for (auto* queue : {&lane.memory, &lane.spill, &lane.parked_memory, &lane.parked_spill}) {
      std::erase_if(*queue, [&](const Entry& entry) {
        if (entry.turn != 0 || now < entry.message->give_up) return false;
        settle(entry, false, DropReason::expired, 0, work);
        if (queue == &lane.parked_memory) parked_bytes_ -= entry.message->cost();
        return true;
      });
    }
  }
}

}  // namespace holdfast::flow
