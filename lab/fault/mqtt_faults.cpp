#include "lab/fault/mqtt_faults.h"

#include <algorithm>
#include <utility>

#include "lab/fault/changes.h"
#include "lab/fault/match.h"

namespace holdfast::lab::fault {

using mqtt::Side;
using mqtt::Type;
using mqtt::Version;
using mqtt::Wishes;

namespace {

/// 2^-53: a double of 53 random bits.
constexpr double kUnit = 1.0 / 9007199254740992.0;

std::string_view end_name(Side side) { return side == Side::device ? "the device" : "the broker"; }

std::string describe(Type type, std::uint16_t packet_id, Side to) {
  std::string words(mqtt::to_string(type));
  if (packet_id != 0) words += " " + std::to_string(packet_id);
  return words.append(" to ").append(end_name(to));
}

std::string line(const std::string& rule, std::string_view did, std::string_view what) {
  std::string words = "rule " + rule + ": ";
  return words.append(did).append(" ").append(what);
}

const Rule* find_rule(const std::vector<Rule>& rules, std::string_view name) {
  const auto found =
      std::find_if(rules.begin(), rules.end(), [&](const Rule& rule) { return rule.name == name; });
  return found == rules.end() ? nullptr : &*found;
}

}  // namespace

struct MqttFaults::Passing {
  BootTime now;
  Side from;
  std::string_view frame;
  Type type;
  std::optional<mqtt::Packet> packet;  ///< nullopt: it cannot be read.
  std::string topic;                   ///< Of a PUBLISH, its alias resolved.
  bool altered = false;                ///< `frame` is no longer what `packet` is.
  std::uint32_t copies = 0;
  const Rule* closing = nullptr;  ///< A Disconnect that follows at once.

  Passing(BootTime at, Side side, std::string_view bytes, Version version)
      : now(at),
        from(side),
        frame(bytes),
        type(static_cast<Type>(static_cast<unsigned char>(bytes[0]) >> 4U)) {
    if (auto read = mqtt::decode(version, bytes)) packet = std::move(*read);
  }
  [[nodiscard]] Side to() const noexcept { return mqtt::other(from); }
  [[nodiscard]] mqtt::Publish* publish() noexcept {
    return packet ? std::get_if<mqtt::Publish>(&*packet) : nullptr;
  }
  /// "PUBACK 7 to the device".
  [[nodiscard]] std::string what() const {
    return describe(type, packet ? packet_id_of(*packet) : std::uint16_t{0}, to());
  }
};

void FaultCounters::keep(const std::vector<Rule>& rules) {
  std::erase_if(counts_, [&](const auto& one) {
    const Rule* const rule = find_rule(rules, one.first);
    return rule == nullptr || !(*rule == one.second.rule);
  });
}

RuleCount& FaultCounters::of(const Rule& rule) {
  RuleCount& count = counts_[rule.name];
  if (!(count.rule == rule)) {
    count = {};
    count.rule = rule;
  }
  return count;
}

void MqttFaults::set(BootTime now, std::vector<Rule> rules) {
  const auto is_gone = [&](const std::string& name) {
    const Rule* const before = find_rule(rules_, name);
    const Rule* const after = find_rule(rules, name);
    return before == nullptr || after == nullptr || !(*before == *after);
  };
  for (Waiting& waiting : waiting_) {
    if (is_gone(waiting.rule)) waiting.due = std::min(waiting.due, now);
  }
  for (Towards& messages : towards_) {
    std::erase_if(messages.redelivered, [&](const auto& one) {
      if (!is_gone(one.second.rule)) return false;
      held_ -= one.second.bytes;
      return true;
    });
  }
  if (closing_ && is_gone(closing_->rule)) closing_.reset();
  rules_ = std::move(rules);
  own_.keep(rules_);
  shared_.keep(rules_);
}

void MqttFaults::on_frame(BootTime now, Side from, std::string_view frame, Wishes& out) {
  if (frame.empty() || towards(from).ended) return;
  Passing passing(now, from, frame, version_);
  learn(passing);
  learn_alias(passing);
  if (stays_here(passing)) {
    out.note("withheld " + passing.what() + ", which acknowledges a copy");
    return;
  }
  bool goes_on = true;
  for (const Rule& rule : rules_) {
    const Seen seen{from, passing.type, passing.packet ? &*passing.packet : nullptr, passing.topic,
                    client_id_};
    if (!matches(rule.match, seen)) continue;
    if (std::holds_alternative<Redeliver>(rule.action) &&
        (passing.publish() == nullptr || passing.publish()->qos != 1)) {
      continue;
    }
    if (!counts(rule, now)) continue;
    goes_on = apply(rule, passing, out);
    if (!goes_on) break;
  }
  if (goes_on) pass(passing, out);
  if (passing.closing != nullptr) {
    end(std::get<Disconnect>(passing.closing->action), passing.closing->name, out);
  }
}

void MqttFaults::on_closed(BootTime /*now*/, Side side, Wishes& out) {
  towards(side).ended = true;
  const Side far = mqtt::other(side);
  if (towards(far).ended) return;
  std::stable_sort(waiting_.begin(), waiting_.end(),
                   [](const Waiting& a, const Waiting& b) { return a.due < b.due; });
  for (const Waiting& waiting : waiting_) {
    if (waiting.to == far && waiting.due != kNever) release(waiting, out);
  }
  waiting_.clear();
  held_ = 0;
  for (Towards& messages : towards_) messages.redelivered.clear();
  closing_.reset();
  out.close(far, mqtt::Ending::after_sending);
  towards(far).ended = true;
}

BootTime MqttFaults::wake() const {
  BootTime earliest = closing_ ? closing_->due : kNever;
  for (const Waiting& waiting : waiting_) earliest = std::min(earliest, waiting.due);
  for (const Towards& messages : towards_) {
    for (const auto& [id, one] : messages.redelivered) earliest = std::min(earliest, one.due);
  }
  return earliest;
}

void MqttFaults::on_wake(BootTime now, Wishes& out) {
  const auto later = std::stable_partition(waiting_.begin(), waiting_.end(),
                                           [&](const Waiting& one) { return one.due <= now; });
  std::vector<Waiting> due(std::make_move_iterator(waiting_.begin()),
                           std::make_move_iterator(later));
  waiting_.erase(waiting_.begin(), later);
  std::stable_sort(due.begin(), due.end(),
                   [](const Waiting& a, const Waiting& b) { return a.due < b.due; });
  for (const Waiting& waiting : due) {
    held_ -= waiting.frame.size();
    release(waiting, out);
  }
  redeliver(now, Side::device, out);
  redeliver(now, Side::broker, out);
  if (closing_ && closing_->due <= now) {
    const Closing closing = *std::exchange(closing_, std::nullopt);
    end(closing.how, closing.rule, out);
  }
}

bool MqttFaults::counts(const Rule& rule, BootTime now) {
  const Match& match = rule.match;
  RuleCount& count = (match.scope == Scope::all ? shared_ : own_).of(rule);
  if (count.matched == 0) {
    if (const auto* rate = std::get_if<Rate>(&rule.action)) {
      count.tokens = std::max(1.0, rate->per_second);
      count.refilled = now;
    }
  }
  const std::uint64_t number = ++count.matched;
  if (number <= match.skip || (number - match.skip - 1) % match.every != 0) return false;
  if (match.first != 0 && count.applied >= match.first) return false;
  if (match.probability < 1 &&
      static_cast<double>(random_.next() >> 11U) * kUnit >= match.probability) {
    return false;
  }
  ++count.applied;
  return true;
}

void MqttFaults::learn(const Passing& passing) {
  if (!passing.packet) return;
  if (const auto* connect = std::get_if<mqtt::Connect>(&*passing.packet);
      connect != nullptr && passing.from == Side::device) {
    version_ = connect->version;
    client_id_ = connect->client_id;
  }
  const auto* connack = std::get_if<mqtt::Connack>(&*passing.packet);
  if (connack != nullptr && passing.from == Side::broker && client_id_.empty()) {
    const auto* given = connack->properties.text(mqtt::PropertyId::assigned_client_identifier);
    if (given != nullptr) client_id_ = *given;
  }
}

void MqttFaults::learn_alias(Passing& passing) {
  const mqtt::Publish* const publish = passing.publish();
  if (publish == nullptr) return;
  Towards& messages = towards(passing.to());
  passing.topic = publish->topic;
  if (const auto alias = publish->properties.number(mqtt::PropertyId::topic_alias)) {
    const Id id = static_cast<Id>(*alias);
    if (!publish->topic.empty()) {
      if (messages.aliases.contains(id) || messages.aliases.size() < kAliasesMax) {
        messages.aliases[id] = publish->topic;
      }
    } else if (const auto known = messages.aliases.find(id); known != messages.aliases.end()) {
      passing.topic = known->second;
    }
  }
  // A new message with the packet id of an old one, whose copies are still to be acknowledged.
  if (const auto known = messages.expected.find(publish->packet_id);
      known != messages.expected.end() && !known->second.awaited) {
    known->second.before += std::exchange(known->second.after, 0);
    known->second.awaited = true;
  }
}

bool MqttFaults::stays_here(Passing& passing) {
  if (passing.type != Type::puback || !passing.packet) return false;
  auto& ack = std::get<mqtt::Ack>(*passing.packet);
  Towards& messages = towards(passing.from);
  const auto copy = messages.copies.find(ack.packet_id);
  const Id id = copy == messages.copies.end() ? ack.packet_id : copy->second;
  const auto found = messages.expected.find(id);
  if (found == messages.expected.end()) {
    if (copy == messages.copies.end()) return false;
    messages.copies.erase(copy);
    return true;
  }
  Expected& expected = found->second;
  bool passes = false;
  if (copy != messages.copies.end()) {
    messages.copies.erase(copy);
    passes = std::exchange(expected.awaited, false);
    if (passes) ++expected.after;  // the sender's own is still to come
    ack.packet_id = id;
    passing.altered = true;
  } else if (expected.before > 0) {
    --expected.before;
  } else if (expected.awaited) {
    passes = true;
    expected.awaited = false;
  } else if (expected.after > 0) {
    --expected.after;
  }
  if (passes) {
    if (const auto again = messages.redelivered.find(id); again != messages.redelivered.end()) {
      held_ -= again->second.bytes;
      messages.redelivered.erase(again);
    }
  }
  if (!expected.awaited && expected.before == 0 && expected.after == 0) {
    messages.expected.erase(found);
  }
  return !passes;
}

bool MqttFaults::apply(const Rule& rule, Passing& passing, Wishes& out) {
  if (std::holds_alternative<Drop>(rule.action)) {
    out.note(line(rule.name, "withheld", passing.what()));
    return false;
  }
  if (std::holds_alternative<Hold>(rule.action)) return apply_wait(rule, kNever, passing, out);
  if (const auto* delay = std::get_if<Delay>(&rule.action)) {
    return apply_wait(rule, passing.now + delay->by, passing, out);
  }
  if (const auto* reorder = std::get_if<Reorder>(&rule.action)) {
    return apply_wait(rule, passing.now + reorder->within, passing, out);
  }
  if (const auto* duplicate = std::get_if<Duplicate>(&rule.action)) {
    passing.copies += duplicate->copies;
    out.note(line(rule.name, "duplicated", passing.what()));
    return true;
  }
  if (const auto* rate = std::get_if<Rate>(&rule.action)) {
    return apply_rate(rule, *rate, passing, out);
  }
  if (const auto* change = std::get_if<Alter>(&rule.action)) {
    return apply_alter(rule, *change, passing, out);
  }
  if (const auto* answer = std::get_if<Answer>(&rule.action)) {
    return apply_answer(rule, *answer, passing, out);
  }
  if (const auto* how = std::get_if<Disconnect>(&rule.action)) {
    return apply_disconnect(rule, *how, passing, out);
  }
  return apply_redeliver(rule, std::get<Redeliver>(rule.action), passing, out);
}

bool MqttFaults::apply_rate(const Rule& rule, const Rate& rate, Passing& passing, Wishes& out) {
  RuleCount& count = (rule.match.scope == Scope::all ? shared_ : own_).of(rule);
  const std::chrono::duration<double> gone = passing.now - count.refilled;
  count.refilled = passing.now;
  count.tokens =
      std::min(std::max(1.0, rate.per_second), count.tokens + gone.count() * rate.per_second);
  if (count.tokens >= 1) {
    count.tokens -= 1;
    return true;
  }
  out.note(line(rule.name, "over the rate, withheld", passing.what()));
  return false;
}

bool MqttFaults::apply_wait(const Rule& rule, BootTime due, Passing& passing, Wishes& out) {
  const bool swapping = std::holds_alternative<Reorder>(rule.action);
  const bool second = swapping && std::any_of(waiting_.begin(), waiting_.end(), [&](const auto& w) {
                        return w.swapping && w.to == passing.to() && w.type == passing.type;
                      });
  if (second) return true;
  const std::string what = passing.what();
  std::string frame = standalone(passing);
  if (waiting_.size() >= kWaitingMax || held_ + frame.size() > kHeldMax) {
    out.note(line(rule.name, "has no room to keep", what));
    return true;
  }
  held_ += frame.size();
  waiting_.push_back({due, passing.to(), passing.type, std::move(frame), rule.name, swapping});
  out.note(line(rule.name, due == kNever ? "holds" : "delays", what));
  return false;
}

bool MqttFaults::apply_alter(const Rule& rule, const Alter& change, Passing& passing, Wishes& out) {
  const std::string what = passing.what();
  if (!passing.packet) {
    out.note(line(rule.name, "cannot read and alter", what));
    return true;
  }
  mqtt::Publish* const publish = passing.publish();
  if (publish != nullptr && publish->topic.empty()) publish->topic = passing.topic;
  const bool was_qos_0 = publish != nullptr && publish->qos == 0;
  alter(*passing.packet, change);
  passing.altered = true;
  if (publish != nullptr && change.topic) passing.topic = *change.topic;
  if (was_qos_0 && publish->qos > 0) {
    Towards& messages = towards(passing.to());
    if (publish->packet_id == 0) publish->packet_id = free_id(messages);
    ++messages.expected[publish->packet_id].after;  // its sender awaits none
  }
  out.note(line(rule.name, "altered", what));
  return true;
}

bool MqttFaults::apply_answer(const Rule& rule, const Answer& answer, Passing& passing,
                              Wishes& out) {
  const std::string what = passing.what();
  const auto packet = passing.packet ? answer_to(*passing.packet, answer) : std::nullopt;
  if (!packet) {
    out.note(line(rule.name, "has no answer to, and withheld", what));
    return false;
  }
  out.send(passing.from, mqtt::encode(version_, *packet));
  out.note(line(rule.name,
                "answered with " + std::string(mqtt::to_string(type_of(*packet))) + " to", what));
  // As a server does after it refused (MQTT 5.0 section 3.2.2.2).
  if (const auto* connack = std::get_if<mqtt::Connack>(&*packet);
      connack != nullptr && connack->code != 0) {
    end({}, rule.name, out);
  }
  return false;
}

bool MqttFaults::apply_disconnect(const Rule& rule, const Disconnect& how, Passing& passing,
                                  Wishes& out) {
  const std::string what = passing.what();
  if (!how.pass) out.note(line(rule.name, "withheld", what));
  if (how.delay == Duration::zero()) {
    passing.closing = &rule;
  } else if (!closing_) {
    closing_ = {passing.now + how.delay, how, rule.name};
    out.note(line(rule.name, "ends the connection later, because of", what));
  }
  return how.pass;
}

bool MqttFaults::apply_redeliver(const Rule& rule, const Redeliver& how, Passing& passing,
                                 Wishes& out) {
  mqtt::Publish publish = *passing.publish();
  if (publish.topic.empty()) publish.topic = passing.topic;
  if (!publish.topic.empty()) publish.properties.erase(mqtt::PropertyId::topic_alias);
  publish.dup = how.dup;
  Towards& messages = towards(passing.to());
  const Id id = publish.packet_id;
  if (const auto old = messages.redelivered.find(id); old != messages.redelivered.end()) {
    held_ -= old->second.bytes;
    messages.redelivered.erase(old);
  }
  const std::size_t bytes = mqtt::encode(version_, publish).size();
  if (messages.redelivered.size() >= kCopiesMax || held_ + bytes > kHeldMax) {
    out.note(line(rule.name, "has no room to keep", passing.what()));
    return true;
  }
  held_ += bytes;
  messages.expected[id].awaited = true;
  messages.redelivered[id] = {passing.now + how.after, std::move(publish), bytes, rule.name, how};
  return true;
}

void MqttFaults::pass(Passing& passing, Wishes& out) {
  Towards& messages = towards(passing.to());
  if (messages.ended) return;
  mend_alias(passing);
  const std::string frame =
      passing.altered ? mqtt::encode(version_, *passing.packet) : std::string(passing.frame);
  for (std::uint32_t i = 0; i <= passing.copies; ++i) out.send(passing.to(), frame);
  const mqtt::Publish* const publish = passing.publish();
  if (publish != nullptr && publish->qos == 1 && passing.copies > 0) {
    Expected& expected = messages.expected[publish->packet_id];
    // Nobody awaits that of a PUBLISH whose QoS was raised here.
    if (expected.after == 0) expected.awaited = true;
    expected.after += passing.copies;
  }
  release_swapped(passing.to(), passing.type, out);
}

void MqttFaults::mend_alias(Passing& passing) {
  mqtt::Publish* const publish = passing.publish();
  if (publish == nullptr) return;
  const auto alias = publish->properties.number(mqtt::PropertyId::topic_alias);
  if (!alias) return;
  auto& told = towards(passing.to()).told;
  const Id id = static_cast<Id>(*alias);
  const auto known = told.find(id);
  if (publish->topic.empty()) {
    // The PUBLISH that set the alias may have been withheld or altered.
    if (passing.topic.empty() || (known != told.end() && known->second == passing.topic)) return;
    publish->topic = passing.topic;
    passing.altered = true;
  }
  if (known != told.end()) {
    known->second = publish->topic;
  } else if (told.size() < kAliasesMax) {
    told.emplace(id, publish->topic);
  }
}

std::string MqttFaults::standalone(const Passing& passing) const {
  const auto* publish = passing.packet ? std::get_if<mqtt::Publish>(&*passing.packet) : nullptr;
  if (publish != nullptr && publish->properties.has(mqtt::PropertyId::topic_alias) &&
      !passing.topic.empty()) {
    mqtt::Publish whole = *publish;
    whole.topic = passing.topic;
    whole.properties.erase(mqtt::PropertyId::topic_alias);
    return mqtt::encode(version_, whole);
  }
  return passing.altered ? mqtt::encode(version_, *passing.packet) : std::string(passing.frame);
}

void MqttFaults::release_swapped(Side to, Type type, Wishes& out) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& one) {
    return one.swapping && one.to == to && one.type == type;
  });
  if (found == waiting_.end()) return;
  const Waiting waiting = std::move(*found);
  waiting_.erase(found);
  held_ -= waiting.frame.size();
  release(waiting, out);
}

void MqttFaults::release(const Waiting& waiting, Wishes& out) {
  if (towards(waiting.to).ended) return;
  out.send(waiting.to, waiting.frame);
  out.note(line(waiting.rule, "lets go", describe(waiting.type, 0, waiting.to)));
}

void MqttFaults::redeliver(BootTime now, Side to, Wishes& out) {
  Towards& messages = towards(to);
  for (auto at = messages.redelivered.begin(); at != messages.redelivered.end();) {
    auto& [id, one] = *at;
    if (one.due > now) {
      ++at;
      continue;
    }
    if (messages.ended || (one.how.times != 0 && one.sent >= one.how.times)) {
      held_ -= one.bytes;
      at = messages.redelivered.erase(at);
      continue;
    }
    one.due = now + one.how.after;
    ++at;
    if (one.how.new_packet_id) {
      const Id copy = messages.copies.size() < kCopiesMax ? free_id(messages) : Id{0};
      if (copy == 0) continue;
      messages.copies[copy] = id;
      one.publish.packet_id = copy;
    } else {
      ++messages.expected[id].after;
    }
    ++one.sent;
    out.send(to, mqtt::encode(version_, one.publish));
    out.note(line(one.rule, "redelivers", describe(Type::publish, one.publish.packet_id, to)));
  }
}

void MqttFaults::end(const Disconnect& how, const std::string& rule, Wishes& out) {
  for (const Side side : {Side::device, Side::broker}) {
    Towards& messages = towards(side);
    if (messages.ended || (how.side && *how.side != side)) continue;
    if (side == Side::device && how.reason && version_ == Version::v5) {
      out.send(side, mqtt::encode(version_, mqtt::Disconnect{Type::disconnect, *how.reason, {}}));
    }
    messages.ended = true;
    out.close(side, how.ending);
    out.note(line(rule, "ends the connection of", end_name(side)));
  }
}

MqttFaults::Id MqttFaults::free_id(const Towards& messages) {
  for (Id id = UINT16_MAX; id != 0; --id) {
    if (!messages.copies.contains(id) && !messages.redelivered.contains(id) &&
        !messages.expected.contains(id)) {
      return id;
    }
  }
  return 0;
}

}  // namespace holdfast::lab::fault
