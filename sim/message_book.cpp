#include "sim/message_book.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "flow/reason.h"
#include "flow/sender.h"

namespace holdfast::sim {
namespace {

/// What the store has refused may be tried again after this, not sooner.
constexpr std::chrono::milliseconds kStoreAgain(100);

std::size_t index(DropReason reason) { return static_cast<std::size_t>(reason); }

/// An empty message, which deletes what is retained, has its number elsewhere.
Serial serial_in(const StoredMessage& message) {
  if (!message.payload.empty()) return serial_of(message.payload);
  Serial serial = 0;
  const std::string& text = message.content_type;
  std::from_chars(text.data(), text.data() + text.size(), serial);
  return serial;
}

std::byte filler(Serial serial, std::size_t at) {
  if (const std::size_t i = at - sizeof serial; i < kSecret.size()) {
    return static_cast<std::byte>(kSecret[i]);
  }
  return static_cast<std::byte>((serial * 131 + at * 7) & 0xFF);
}

}  // namespace

Bytes payload_of(Serial serial, std::size_t size) {
  Bytes payload(std::max(size, sizeof serial));
  for (std::size_t i = 0; i < sizeof serial; ++i) {
    payload[i] = static_cast<std::byte>((serial >> (8 * i)) & 0xFF);
  }
  for (std::size_t i = sizeof serial; i < payload.size(); ++i) payload[i] = filler(serial, i);
  return payload;
}

Serial serial_of(const Bytes& payload) {
  Serial serial = 0;
  for (std::size_t i = 0; i < sizeof serial && i < payload.size(); ++i) {
    serial |= std::to_integer<Serial>(payload[i]) << (8 * i);
  }
  return serial;
}

std::string topic_of(LaneIndex lane, bool retain) {
  return (retain ? "r/" : "t/") + std::to_string(lane);
}

// ---- finding ------------------------------------------------------------------------------------

MessageBook::Record* MessageBook::record(Serial serial) {
  if (serial == 0 || serial > records_.size()) return nullptr;
  return &records_[serial - 1];
}

MessageBook::Record* MessageBook::by_id(MessageId id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : record(found->second);
}

std::string MessageBook::name(const Record& record) {
  return "message " + std::to_string(record.serial) + " (id " + std::to_string(record.id) +
         ", lane " + std::to_string(record.lane) + ", " + std::string(to_string(record.asked)) +
         ")";
}

/// It is no longer in flight.
void MessageBook::land(Record& r) {
  if (!r.in_flight) return;
  r.in_flight = false;
  flight_.erase(r.serial);
}

bool MessageBook::same_bytes(const StoredMessage& message) {
  const Record* r = record(serial_in(message));
  bool same = r != nullptr && r->size == message.payload.size() && r->lane == message.lane &&
              r->qos == message.qos && message.topic == topic_of(r->lane, r->retain);
  for (std::size_t i = sizeof(Serial); same && i < message.payload.size(); ++i) {
    same = message.payload[i] == filler(serial_in(message), i);
  }
  return sim_.checks.expect(Check::no_forgery, same, [&] {
    return "a message with id " + std::to_string(message.id) + " is not the one published";
  });
}

// ---- into the core ------------------------------------------------------------------------------

void MessageBook::published(const StoredMessage& message, Durability durability) {
  Record fresh;
  fresh.serial = next_serial();
  fresh.lane = message.lane;
  fresh.asked = fresh.kept = durability;
  fresh.qos = message.qos;
  fresh.retain = message.retain;
  fresh.expiry_seconds = message.expiry_seconds.value_or(0);
  fresh.size = static_cast<std::uint32_t>(message.payload.size());
  fresh.cost = message.cost();
  fresh.published_at = sim_.now;
  largest_ = std::max(largest_, fresh.cost);
  records_.push_back(fresh);
}

void MessageBook::sees(const device::Event& event) {
  cause_ = {};
  if (const auto* published = std::get_if<device::EnginePublished>(&event)) {
    if (published->attempt != attempt_) return;
    cause_ = {published->token, published->reason_code, {}};
    Record* r = by_id(published->token);
    if (r == nullptr || !r->in_flight) return;
    land(*r);
    const flow::AckMeaning meaning = flow::meaning_of(published->reason_code);
    r->may_repeat = meaning == flow::AckMeaning::retry || meaning == flow::AckMeaning::denied;
    return;
  }
  if (const auto* refused = std::get_if<device::EngineRefused>(&event)) {
    if (refused->attempt != attempt_) return;
    cause_ = {refused->token, {}, refused->code};
    Record* r = by_id(refused->token);
    if (r == nullptr || !r->in_flight) return;
    land(*r);
    r->may_repeat = r->engine_kept = true;
    return;
  }
  std::visit([this](const auto& what) { sees_what(what); }, event);
}

void MessageBook::sees_what(const device::StoreAppended& appended) {
  std::vector<Record*> left;  // of those that were to move from RAM to disk
  for (const auto& item : appended.items) {
    const Serial serial = serial_in(*item.message);
    sim_.note("stored serial id rejected",
              {serial, item.id, static_cast<std::uint64_t>(item.rejected)});
    if (!same_bytes(*item.message)) continue;
    if (item.id == 0) {
      SimTime& last = record(serial)->refused_at;
      sim_.checks.expect(Check::no_hot_loop, sim_.now - last >= kStoreAgain,
                         [&] { return name(*record(serial)) + " is stored again at once"; });
      last = sim_.now;
      if (item.message->alias != 0) left.push_back(record(serial));
      continue;
    }
    Record& r = *record(serial);
    if (item.message->alias != 0) {  // from RAM to disk
      sim_.checks.expect(Check::retained_last, item.message->retain == r.retain || gives_way(r),
                         [&] { return name(r) + " is stored as not retained"; });
      for (Record* other : left) other->overtaken = other->overtaken || other->lane == r.lane;
      r.overtaken = r.overtaken || r.sent;
      r.turn = 0;  // it begins anew from there, also as one to be retained
      by_id_.erase(r.id);
      volatile_bytes_ -= r.cost;
    }
    r.id = item.id;
    r.on_disk = true;
    by_id_[item.id] = serial;
  }
}

void MessageBook::sees_what(const device::StoreFetched& fetched) {
  for (const MessagePtr& message : fetched.messages) {
    if (!hold(*message)) return;
  }
  const std::size_t most = config_.limits.memory / 2 + config_.lanes.size() * largest_;
  sim_.checks.expect(Check::bounded_memory, durable_bytes_ <= most, [&] {
    return std::to_string(durable_bytes_) + " bytes are read ahead, " + std::to_string(most) +
           " are allowed";
  });
}

void MessageBook::sees_what(const device::StoreFetchedParked& fetched) {
  if (fetched.message) hold(*fetched.message);
}

bool MessageBook::hold(const StoredMessage& message) {
  if (!same_bytes(message)) return false;
  Record& r = *record(serial_in(message));
  const bool fits = r.state == State::accepted && r.on_disk && r.id == message.id && !r.fetched;
  if (!sim_.checks.expect(Check::no_forgery, fits,
                          [&] { return name(r) + " was fetched, but does not wait"; })) {
    return false;
  }
  r.fetched = true;
  durable_bytes_ += r.cost;
  return true;
}

void MessageBook::gives_back(MessageId id) {
  Record* r = by_id(id);
  const bool fits = r != nullptr && r->state == State::accepted && r->fetched && !r->in_flight;
  if (!sim_.checks.expect(Check::no_forgery, fits, [&] {
        return "message " + std::to_string(id) + " is given back, but was not held";
      })) {
    return;
  }
  r->fetched = false;
  durable_bytes_ -= r->cost;
}

void MessageBook::parks(const std::vector<std::string>& topics) {
  for (const std::string& topic : topics) {
    parked_since_.emplace(topic, sim_.now);
    for (std::size_t i = 0; i < config_.lanes.size(); ++i) {
      const auto lane = static_cast<LaneIndex>(i);
      if (topic != topic_of(lane, true) && topic != topic_of(lane, false)) continue;
      parted_.insert(lane);
      ever_parted_.insert(lane);
    }
  }
}

void MessageBook::check_allowed(const std::function<bool(const std::string& topic)>& excused) {
  constexpr std::chrono::minutes kMost(20);
  for (std::size_t i = 0; i < config_.lanes.size(); ++i) {
    for (const bool retain : {false, true}) {
      const std::string topic = topic_of(static_cast<LaneIndex>(i), retain);
      if (excused(topic)) excused_at_[topic] = sim_.now;
    }
  }
  const auto over = [](const Record& r) {
    return r.state != State::accepted && r.state != State::published;
  };
  while (first_waiting_ < records_.size() && over(records_[first_waiting_])) ++first_waiting_;
  for (std::size_t i = first_waiting_; i < records_.size(); ++i) {
    const Record& r = records_[i];
    if (r.state != State::accepted) continue;
    const SimTime since = std::max(r.published_at, excused_at_[topic_of(r.lane, r.retain)]);
    sim_.checks.expect(Check::denied_alone, sim_.now - since < kMost,
                       [&] { return name(r) + " is allowed, and waits beside what is denied"; });
  }
}

void MessageBook::sees_what(const device::StoreNews& news) {
  for (const auto& [id, reason] : news.dropped) {
    Record* r = by_id(id);
    if (r == nullptr || r->state != State::accepted) {
      sim_.checks.expect(Check::no_silent_drop, false, [&, number = id] {
        return "the store dropped " + std::to_string(number) + ", which does not wait";
      });
      return;
    }
    check_end(*r, false, reason);
    count_end(*r, false, reason);
  }
}

// ---- out of the core ----------------------------------------------------------------------------

void MessageBook::accept(Record& r, MessageId id) {
  r.state = State::accepted;
  r.known_id = id;
  r.accepted = ++last_accepted_;
  ++ledger_.accepted;
  ++ledger_.pending;
}

void MessageBook::gives(const device::GiveReceipt& give) {
  const Receipt& receipt = give.receipt;
  const Serial serial = give.ticket & ~device::kUntilAccepted;
  Record* r = record(serial);
  if (r == nullptr) {
    sim_.checks.expect(Check::ack_owner, false, [] { return "a receipt of nobody"; });
    return;
  }
  const bool end = receipt.kind == ReceiptKind::delivered || receipt.kind == ReceiptKind::dropped;
  const bool ended = r->state == State::delivered || r->state == State::dropped;
  const bool due =
      end ? (r->on_disk ? ended : r->state == State::accepted) && r->known_id == receipt.id
          : r->state == State::published;
  if (!sim_.checks.expect(Check::ack_owner, due,
                          [&] { return name(*r) + " gets a receipt that is not due"; })) {
    return;
  }
  switch (receipt.kind) {
    case ReceiptKind::accepted:
      accept(*r, receipt.id);
      // A spill message that went to disk at once keeps its place among those that did not.
      r->kept = receipt.kept == Durability::durable ? r->asked : receipt.kept;
      if (r->on_disk) break;
      r->id = receipt.id;
      by_id_[receipt.id] = serial;
      volatile_bytes_ += r->cost;
      break;
    case ReceiptKind::rejected:
      r->state = State::rejected;
      r->ended_at = sim_.now;
      break;
    case ReceiptKind::delivered:
    case ReceiptKind::dropped:
      if (r->on_disk) break;  // settled already
      check_end(*r, receipt.kind == ReceiptKind::delivered, receipt.dropped);
      count_end(*r, receipt.kind == ReceiptKind::delivered, receipt.dropped);
      break;
  }
}

void MessageBook::settles(const device::StoreSettle& settle) {
  Record* r = by_id(settle.id);
  if (r == nullptr || r->state != State::accepted) {
    sim_.checks.expect(Check::ack_owner, false, [&] {
      return "the store is told the end of " + std::to_string(settle.id) + ", which does not wait";
    });
    return;
  }
  check_end(*r, settle.delivered, settle.reason);
  count_end(*r, settle.delivered, settle.reason);
}

/// Whether what happened in this step is a reason for this end.
void MessageBook::check_end(const Record& r, bool delivered, DropReason reason) {
  const bool own = cause_.token != 0 && cause_.token == r.id;
  if (delivered) {
    const bool good = own && cause_.code && *cause_.code < 0x80;
    sim_.checks.expect(Check::ack_owner, good,
                       [&] { return name(r) + " is called delivered without its PUBACK"; });
    sim_.checks.expect(Check::no_loss, r.received || r.qos == Qos::at_most_once, [&] {
      return name(r) + " is called delivered, but the broker never took it";
    });
    return;
  }
  bool good = true;
  switch (reason) {
    case DropReason::refused:
      good = own && ((cause_.code && *cause_.code >= 0x80) || cause_.refused);
      // Or the policy has denied its topic for longer than it is kept, or nothing is kept.
      if (const auto since = parked_since_.find(topic_of(r.lane, r.retain));
          !good && since != parked_since_.end()) {
        good = sim_.now - since->second >= config_.denied_for &&
               sim_.now - r.published_at >= config_.denied_for;
      }
      break;
    case DropReason::too_large:
      good = own && cause_.refused == Errc::too_large;
      break;
    case DropReason::volatile_lost:
      good = !r.on_disk;
      break;
    case DropReason::corrupt:
      good = false;  // nothing here flips bits
      break;
    case DropReason::expired: {
      std::uint64_t least = r.expiry_seconds;
      const auto rules = config_.lane_rules.find(config_.lanes[r.lane]);
      if (rules != config_.lane_rules.end() && rules->second.max_age.count() > 0) {
        const auto age = static_cast<std::uint64_t>(rules->second.max_age.count());
        least = least == 0 ? age : std::min(least, age);
      }
      good = least != 0;
      const auto waited = std::chrono::duration_cast<Seconds>(sim_.now - r.published_at);
      sim_.checks.expect(Check::clock_proof, static_cast<std::uint64_t>(waited.count()) >= least,
                         [&] {
                           return name(r) + " expired after " + std::to_string(waited.count()) +
                                  " s of " + std::to_string(least);
                         });
      break;
    }
    case DropReason::evicted:
    case DropReason::superseded: {
      const auto rules = config_.lane_rules.find(config_.lanes[r.lane]);
      good = rules != config_.lane_rules.end() &&
             (reason == DropReason::superseded ? rules->second.conflate
                                               : rules->second.when_full != WhenFull::reject);
      break;
    }
  }
  sim_.checks.expect(Check::no_silent_drop, good, [&] {
    return name(r) + " is dropped as " + std::string(to_string(reason)) + " without that reason";
  });
}

void MessageBook::count_end(Record& r, bool delivered, DropReason reason) {
  land(r);
  if (r.fetched) {
    r.fetched = false;
    durable_bytes_ -= r.cost;
  }
  if (!r.on_disk) volatile_bytes_ -= r.cost;
  r.state = delivered ? State::delivered : State::dropped;
  r.reason = reason;
  r.ended_at = sim_.now;
  note_retained(r, delivered);
  --ledger_.pending;
  ++(delivered ? ledger_.delivered : ledger_.dropped.at(index(reason)));
}

void MessageBook::sends(const device::EnginePublish& publish) {
  if (publish.token == flow::kBirthToken || !same_bytes(*publish.message)) return;
  Record& r = *record(serial_in(*publish.message));
  const bool waits = r.state == State::accepted && r.id == publish.token && !r.in_flight;
  sim_.checks.expect(Check::dup_bound, waits && (!r.sent || r.may_repeat),
                     [&] { return name(r) + " is sent again for no reason"; });
  if (sim_.checks.failed()) return;
  flight_.insert(r.serial);
  r.in_flight = true;
  sim_.checks.expect(Check::dup_bound, flight_.size() <= window(), [&] {
    return std::to_string(flight_.size()) + " messages in flight, the window is " +
           std::to_string(window());
  });
  if (r.turn == 0) r.turn = ++last_turn_;
  check_retain(r, *publish.message);
  if (!r.sent) {
    check_first_send(r);
  }
  r.sent = true;
  r.may_repeat = false;
}

void MessageBook::check_first_send(const Record& r) {
  const bool late = r.on_disk && r.overtaken;
  for (Progress* p : {&topic_progress(r), &progress(r)}) {
    const bool parted = p == &progress(r) && parted_.contains(r.lane);
    sim_.checks.expect(Check::order, r.accepted > p->sent || late || parted, [&] {
      return name(r) + " is sent behind a later one of its lane, " + std::to_string(p->last_sent);
    });
    if (r.accepted <= p->sent) continue;
    p->sent = r.accepted;
    p->last_sent = r.serial;
  }
}

void MessageBook::check_first_arrival(const Record& r) {
  const bool late = r.engine_kept || r.revived || (r.on_disk && r.overtaken);
  for (Progress* p : {&topic_progress(r), &progress(r)}) {
    const bool parted = p == &progress(r) && ever_parted_.contains(r.lane);
    sim_.checks.expect(Check::order, r.accepted > p->arrived || late || parted, [&] {
      return name(r) + " arrives behind a later one of its lane, " +
             std::to_string(p->last_arrived);
    });
    if (r.accepted > p->arrived) *p = {p->sent, r.accepted, p->last_sent, r.serial};
  }
}

bool MessageBook::gives_way(Record& r) {
  const bool later = r.sent && retained_[topic_of(r.lane, true)].sent > r.turn;
  return r.retain_over = r.retain_over || later;
}

/// A repeat must not take the place of a later one, and nothing else gives up being retained.
void MessageBook::check_retain(Record& r, const StoredMessage& message) {
  if (!r.retain) return;
  Retention& topic = retained_[topic_of(r.lane, true)];
  if (message.retain) {
    sim_.checks.expect(Check::retained_last, r.turn > topic.delivered, [&] {
      return name(r) + " is retained again, behind message " + std::to_string(topic.last);
    });
  } else {
    sim_.checks.expect(Check::retained_last, gives_way(r),
                       [&] { return name(r) + " is not retained any more"; });
  }
  topic.sent = std::max(topic.sent, r.turn);
  r.retain_sent = message.retain;
}

/// A message has its end: does its topic retain it now?
void MessageBook::note_retained(const Record& r, bool delivered) {
  if (!r.retain) return;
  Retention& topic = retained_[topic_of(r.lane, true)];
  if (!delivered) {
    topic.unsure = topic.unsure || r.received;
  } else if (r.turn > topic.delivered) {
    topic.delivered = r.turn;
    topic.last = r.serial;
    topic.unsure = !r.retain_sent;
  }
}

std::optional<Bytes> MessageBook::retained_on(const std::string& topic) const {
  const auto found = retained_.find(topic);
  if (found == retained_.end()) return Bytes{};
  if (found->second.unsure) return std::nullopt;
  if (found->second.last == 0) return Bytes{};
  const Record& r = records_[found->second.last - 1];
  return r.size == 0 ? Bytes{} : payload_of(r.serial, r.size);
}

void MessageBook::disconnected() {
  attempt_ = 0;
  for (const Serial serial : std::exchange(flight_, {})) {
    Record& r = *record(serial);
    r.in_flight = false;
    r.may_repeat = true;
  }
}

/// The storage is well: what an opening found is on disk.
void MessageBook::end_doubts() {
  if (!std::exchange(doubts_, false)) return;
  for (Record& r : records_) r.doubtful = false;
}

void MessageBook::compare(const DeviceState& state) {
  if (state.storage == StorageHealth::ok) end_doubts();
  const Ledger& shown = state.ledger;
  const bool same = shown.accepted == ledger_.accepted && shown.delivered == ledger_.delivered &&
                    shown.pending == ledger_.pending && shown.dropped == ledger_.dropped;
  sim_.checks.expect(Check::no_silent_drop, same && shown.balanced(), [&] {
    return "the ledger says accepted " + std::to_string(shown.accepted) + ", delivered " +
           std::to_string(shown.delivered) + ", pending " + std::to_string(shown.pending) +
           ", dropped " + std::to_string(shown.dropped_total()) + "; seen were " +
           std::to_string(ledger_.accepted) + ", " + std::to_string(ledger_.delivered) + ", " +
           std::to_string(ledger_.pending) + ", " + std::to_string(ledger_.dropped_total());
  });
  const std::size_t most = config_.limits.memory / 2 + largest_;
  sim_.checks.expect(Check::bounded_memory, volatile_bytes_ <= most, [&] {
    return std::to_string(volatile_bytes_) + " bytes are held in RAM only, " +
           std::to_string(most) + " are allowed";
  });
}

// ---- the broker's side --------------------------------------------------------------------------

void MessageBook::arrived(const StoredMessage& message, std::optional<std::uint8_t> code) {
  if (!same_bytes(message)) return;
  Record& r = *record(serial_in(message));
  ++arrivals_;
  if (r.arrivals++ == 0) {
    check_first_arrival(r);
  } else {
    ++duplicates_;
  }
  if (code && *code < 0x80) r.received = true;
  const auto meaning = flow::meaning_of(code.value_or(0));
  r.denied =
      r.denied || meaning == flow::AckMeaning::refused || meaning == flow::AckMeaning::denied;
}

// ---- the process --------------------------------------------------------------------------------

void MessageBook::stops() {
  for (Record& r : records_) r.refused_at = kLongAgo;
}

void MessageBook::ended(bool in_order) {
  disconnected();
  process_ended_ = sim_.now;
  for (Record& r : records_) {
    r.fetched = r.sent = r.may_repeat = false;
    if (r.on_disk || (r.state != State::published && r.state != State::accepted)) continue;
    if (r.state == State::accepted) {
      sim_.checks.expect(Check::no_silent_drop, !in_order,
                         [&] { return name(r) + " is left in RAM by a stop in order"; });
    }
    r.state = State::vanished;
    r.ended_at = sim_.now;
    note_retained(r, false);
  }
  for (Record& r : records_) {
    if (r.state != State::delivered) r.turn = 0;
  }
  for (auto& [lane, p] : progress_) p.sent = 0;
  for (auto& [topic, p] : topic_progress_) p.sent = 0;
  parted_.clear();
  volatile_bytes_ = durable_bytes_ = 0;
  server_window_ = 65535;
}

/// All that waits in the store, by number.
std::set<Serial> MessageBook::list(outbox::Outbox& box) {
  std::set<Serial> waiting;
  outbox::ListCursor cursor;
  for (;;) {
    const outbox::Page page = box.list(cursor, {});
    for (const outbox::ListedMessage& listed : page.messages) {
      StoredMessage message = listed.message;
      message.lane = listed.lane;
      if (!same_bytes(message)) return waiting;
      const Serial serial = serial_in(message);
      Record& r = *record(serial);
      const bool fresh = waiting.insert(serial).second;
      const bool known = r.id == message.id && r.on_disk;
      sim_.checks.expect(Check::no_forgery, fresh && (known || !r.on_disk), [&] {
        return name(r) + " is in the store as " + std::to_string(message.id) + ", or twice";
      });
      if (known) continue;
      // Accepted in a turn whose answer the process did not live to see.
      r.id = message.id;
      r.on_disk = true;
      by_id_[message.id] = serial;
      if (r.known_id == 0) r.known_id = message.id;
    }
    if (!page.next) return waiting;
    cursor = *page.next;
  }
}

void MessageBook::opened(outbox::Outbox& box, bool lenient) {
  const std::set<Serial> waiting = list(box);
  if (sim_.checks.failed()) return;
  ledger_ = {};
  for (Serial serial = 1; serial <= records_.size(); ++serial) {
    Record& r = records_[serial - 1];
    if (r.on_disk) recover(r, waiting.contains(serial), box, lenient);
    if (sim_.checks.failed()) return;
  }
  const Ledger found = box.ledger();
  // A turn that the process did not live to see the answers of may have taken messages in and given
  // them up for others, where lanes have rules.
  const std::uint64_t unseen = found.accepted - ledger_.accepted;
  const bool same = found.delivered == ledger_.delivered &&
                    found.dropped_total() == ledger_.dropped_total() + unseen &&
                    (unseen == 0 ? found.dropped == ledger_.dropped : !config_.lane_rules.empty());
  sim_.checks.expect(
      Check::no_silent_drop,
      found.balanced() && found.pending == ledger_.pending && (same || lenient), [&] {
        return "the store's ledger says accepted " + std::to_string(found.accepted) +
               ", delivered " + std::to_string(found.delivered) + ", pending " +
               std::to_string(found.pending) + "; known are " + std::to_string(ledger_.accepted) +
               ", " + std::to_string(ledger_.delivered) + ", " + std::to_string(ledger_.pending);
      });
  ledger_ = found;
  ledger_.rejected = {};
  parked_since_.clear();
}

/// What became of a message on disk, by the store that has just been opened.
void MessageBook::recover(Record& r, bool waits, const outbox::Outbox& box, bool lenient) {
  const bool ended = r.state == State::delivered || r.state == State::dropped;
  ++ledger_.accepted;
  if (waits) {
    // An end is soft for as long as outbox.ack_flush, and a failing disk may keep it so.
    constexpr Duration kTurn = std::chrono::seconds(2);
    const bool soft = process_ended_ - r.ended_at <= config_.outbox.ack_flush + kTurn;
    sim_.checks.expect(Check::dup_bound, !ended || soft || lenient,
                       [&] { return name(r) + " is back long after its end"; });
    if (r.accepted == 0) r.accepted = ++last_accepted_;
    if (lenient && r.state != State::accepted && !ended) r.doubtful = doubts_ = true;
    if (ended) {
      r.revived = true;
      r.turn = 0;
    }
    r.state = State::accepted;
    ++ledger_.pending;
    return;
  }
  const Fate fate = box.fate(r.id);
  if (r.doubtful && r.state == State::accepted && fate.kind == FateKind::unknown) {
    --ledger_.accepted;
    r.state = State::vanished;
    r.on_disk = r.doubtful = false;
    return;
  }
  const bool given_up = fate.kind == FateKind::dropped;
  if (!sim_.checks.expect(Check::accept_is_durable, ended || given_up, [&] {
        return name(r) + " was accepted, and is " + std::string(to_string(fate.kind)) + " now";
      })) {
    return;
  }
  if (!ended) {
    check_end(r, false, fate.dropped);
    r.state = State::dropped;
    r.reason = fate.dropped;
    r.ended_at = sim_.now;
  }
  ++(r.state == State::delivered ? ledger_.delivered : ledger_.dropped.at(index(r.reason)));
}

// ---- the end ------------------------------------------------------------------------------------

void MessageBook::judge() {
  for (const Record& r : records_) {
    if (r.state == State::rejected || r.state == State::vanished) continue;
    const bool over = r.state == State::delivered || r.state == State::dropped;
    const bool there = r.state != State::delivered || r.received || r.qos == Qos::at_most_once;
    const bool refused = r.state != State::dropped || r.reason != DropReason::refused || r.denied ||
                         r.engine_kept || ever_parted_.contains(r.lane);
    sim_.checks.expect(Check::no_loss, over && there && refused,
                       [&] { return name(r) + " has no end, or one that did not happen"; });
  }
}

}  // namespace holdfast::sim
