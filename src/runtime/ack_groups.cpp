// See ack_groups.h.
#include "runtime/ack_groups.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace holdfast::runtime {
namespace {

/// Of RAM, beyond the texts and bytes of a message.
constexpr std::size_t kOverhead = 512;
constexpr std::size_t kHalf = limits::kLocalHeldBytes / 2;

std::size_t bytes_of(const InboundMessage& message) {
  std::size_t bytes = kOverhead + message.topic.size() + message.payload.size() +
                      message.content_type.size() + message.response_topic.size() +
                      message.correlation_data.size();
  for (const auto& [name, value] : message.user_properties) bytes += name.size() + value.size();
  return bytes;
}

std::string name_of(const AckGroups::Terms& terms) {
  return "\"" + terms.filter + "\"" + (terms.name.empty() ? "" : " (group " + terms.name + ")");
}

}  // namespace

AcknowledgementCounts AckTally::counts() const {
  return {.groups = groups.load(),
          .waiting = waiting.load(),
          .acknowledged = acknowledged.load(),
          .repeated = repeated.load(),
          .overdue = overdue.load(),
          .overflow = overflow.load(),
          .abandoned = abandoned.load()};
}

AckGroups::AckGroups(std::uint64_t first, AckTally& tally, Say say)
    : last_delivery_(first), tally_(tally), say_(std::move(say)) {}

// ---- members ------------------------------------------------------------------------------------

AckGroups::Group AckGroups::add(const Terms& terms) {
  groups_[++last_group_].terms = terms;
  tally_.groups = groups_.size();
  return last_group_;
}

Result<AckGroups::Joined> AckGroups::join(const Terms& terms, const Member& member, BootTime now) {
  HF_CHECK(member.window > 0);
  auto found = std::find_if(groups_.begin(), groups_.end(), [&](const auto& entry) {
    return entry.second.terms.filter == terms.filter && entry.second.terms.name == terms.name;
  });
  const bool made = found == groups_.end();
  if (made) {
    if (groups_.size() >= limits::kLocalGroups) {
      return Error{Errc::full, "all " + std::to_string(limits::kLocalGroups) +
                                   " groups that acknowledge are in use; end one by unsubscribe"};
    }
    found = groups_.find(add(terms));
  }
  One& one = found->second;
  // The broker is asked for one QoS only: that of the first.
  const Qos qos = std::exchange(one.terms, terms).qos;
  if (!made) one.terms.qos = qos;
  one.members[member.subscription] = member;
  one.given[member.subscription] = 0;
  if (std::exchange(one.alone, kNever) != kNever) one.progress = now;
  return Joined{found->first, made};
}

std::optional<AckGroups::Group> AckGroups::restore(const Terms& terms, BootTime now) {
  if (groups_.size() >= limits::kLocalGroups) return std::nullopt;
  const Group group = add(terms);
  groups_[group].alone = now;
  return group;
}

bool AckGroups::leave(Group group, std::uint64_t subscription, bool for_good, BootTime now) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return false;
  One& one = found->second;
  if (one.members.erase(subscription) == 0) return false;
  if (one.given.extract(subscription).mapped() > 0) {
    for (Item& item : one.items) {
      if (item.given_to != subscription) continue;
      item.given_to = 0;
      item.again = true;
      ++one.free;
    }
  }
  if (!one.members.empty()) return false;
  if (for_good) {
    close(found);
    return true;
  }
  one.alone = now;
  return false;
}

void AckGroups::end(Group group) {
  if (const auto found = groups_.find(group); found != groups_.end()) close(found);
}

std::map<AckGroups::Group, AckGroups::One>::iterator AckGroups::close(
    std::map<Group, One>::iterator group) {
  One& one = group->second;
  if (!one.items.empty()) {
    tally_.abandoned += one.items.size();
    say_(LogLevel::warning, "messages for " + name_of(one.terms) +
                                " given up, since nobody is there to acknowledge them: " +
                                std::to_string(one.items.size()));
  }
  while (!one.items.empty()) forget(one, one.items.begin());
  const auto next = groups_.erase(group);
  tally_.groups = groups_.size();
  return next;
}

// ---- messages -----------------------------------------------------------------------------------

/// Nothing was acknowledged for so long as one message may take.
bool AckGroups::stuck(const One& one, BootTime now) {
  return now - one.progress >= one.terms.within;
}

/// Who goes on, but slowly, may hold the broker back rather than fill the RAM.
bool AckGroups::may_release(const One& one, BootTime now) const {
  return bytes_ < kHalf || stuck(one, now);
}

void AckGroups::arrived(Group group, InboundMessage message, Hold hold, BootTime now) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return;
  One& one = found->second;
  if (one.items.empty()) one.progress = now;
  const bool held = message.qos != Qos::at_most_once && hold != nullptr;
  if (held && message.duplicate && merged(one, message, hold)) return;
  const std::size_t bytes = bytes_of(message);
  const bool dead = one.overdue > 0 && stuck(one, now);
  if (places_.size() >= limits::kLocalHeld ||
      bytes_ + bytes > (dead ? kHalf : limits::kLocalHeldBytes)) {
    return drop_overflow(one);
  }
  bytes_ += bytes;
  Item& added = one.items.emplace_back();
  added.message = std::move(message);
  if (held) added.hold = std::move(hold);
  added.delivery = ++last_delivery_;
  added.came = now;
  added.bytes = bytes;
  const auto item = std::prev(one.items.end());
  places_[item->delivery] = {group, item};
  ++one.free;
  tally_.waiting = places_.size();
  if (!held) return;
  one.look_at = std::min(one.look_at, now + one.terms.within);
  if (one.overdue > 0 && may_release(one, now)) {
    item->hold = nullptr;
    item->overdue = true;
    ++one.overdue;
    ++tally_.overdue;
  }
}

/// The broker sends again, after a reconnect, what it has no PUBACK of. If that is still being
/// worked on, this is its new PUBACK, and no second message. Of equal ones that which has been
/// sent again the least, since each of them is.
bool AckGroups::merged(One& one, const InboundMessage& message, Hold& hold) {
  Item* first = nullptr;
  for (Item& item : one.items) {
    const InboundMessage& other = item.message;
    if (item.hold == nullptr || (first != nullptr && item.copies >= first->copies) ||
        other.topic != message.topic || other.payload != message.payload ||
        other.user_properties != message.user_properties ||
        other.correlation_data != message.correlation_data) {
      continue;
    }
    first = &item;
  }
  if (first == nullptr) return false;
  ++first->copies;
  first->hold = std::move(hold);
  return true;
}

void AckGroups::drop_overflow(const One& one) {
  ++tally_.overflow;
  say_(LogLevel::warning, "messages for " + name_of(one.terms) +
                              " dropped, since too many are not acknowledged: " +
                              std::to_string(tally_.overflow.load()) + " of all groups so far");
}

bool AckGroups::acknowledge(std::uint64_t client, std::uint64_t delivery, BootTime now) {
  const auto place = places_.find(delivery);
  if (place == places_.end()) return false;
  One& one = groups_.at(place->second.group);
  const auto item = place->second.item;
  const auto member = one.members.find(item->given_to);
  if (member == one.members.end() || member->second.client != client) return false;
  one.progress = now;
  ++tally_.acknowledged;
  forget(one, item);
  return true;
}

void AckGroups::forget(One& one, Items::iterator item) {
  if (item->given_to == 0) {
    --one.free;
  } else {
    --one.given.at(item->given_to);
  }
  if (item->overdue) --one.overdue;
  bytes_ -= item->bytes;
  places_.erase(item->delivery);
  tally_.waiting = places_.size();
  one.items.erase(item);
}

std::optional<AckGroups::Gift> AckGroups::next(
    const std::function<bool(std::uint64_t client)>& room) {
  for (auto& [number, one] : groups_) {
    if (one.free == 0) continue;
    const Member* const member = choose(one, room);
    if (member == nullptr) continue;
    const auto item = std::find_if(one.items.begin(), one.items.end(),
                                   [](const Item& candidate) { return candidate.given_to == 0; });
    HF_CHECK(item != one.items.end());
    item->given_to = member->subscription;
    --one.free;
    ++one.given[member->subscription];
    if (item->again) ++tally_.repeated;
    return Gift{*member, item->delivery, item->again || item->message.duplicate, &item->message};
  }
  return std::nullopt;
}

/// The one that has the least to do.
const AckGroups::Member* AckGroups::choose(const One& one,
                                           const std::function<bool(std::uint64_t)>& room) const {
  const Member* best = nullptr;
  for (const auto& [subscription, member] : one.members) {
    const std::size_t given = one.given.at(subscription);
    if (given >= member.window || (best != nullptr && given >= one.given.at(best->subscription))) {
      continue;
    }
    if (room(member.client)) best = &member;
  }
  return best;
}

// ---- time ---------------------------------------------------------------------------------------

std::vector<AckGroups::Group> AckGroups::look(BootTime now) {
  std::vector<Group> ended;
  for (auto entry = groups_.begin(); entry != groups_.end();) {
    One& one = entry->second;
    if (one.alone != kNever && now - one.alone >= one.terms.linger) {
      ended.push_back(entry->first);
      entry = close(entry);
      continue;
    }
    if (now >= one.look_at) release_due(one, now);
    ++entry;
  }
  return ended;
}

void AckGroups::release_due(One& one, BootTime now) {
  one.look_at = kNever;
  const bool was_late = one.overdue > 0;
  for (Item& item : one.items) {
    if (item.hold == nullptr) continue;
    const BootTime due = item.came + one.terms.within;
    if (due > now || !may_release(one, now)) {
      one.look_at = std::max(due, now + Milliseconds(1));
      if (due <= now) one.look_at = std::max(one.look_at, one.progress + one.terms.within);
      break;
    }
    item.hold = nullptr;
    item.overdue = true;
    ++one.overdue;
    ++tally_.overdue;
  }
  if (was_late || one.overdue == 0) return;
  say_(LogLevel::warning, "a message for " + name_of(one.terms) + " is not acknowledged within " +
                              std::to_string(one.terms.within.count()) +
                              " ms; the broker is told that it was received, and it waits in RAM");
}

BootTime AckGroups::next_look() const {
  BootTime next = kNever;
  for (const auto& [number, one] : groups_) {
    next = std::min(next, one.look_at);
    if (one.alone != kNever) next = std::min(next, one.alone + one.terms.linger);
  }
  return next;
}

std::vector<AckGroups::Terms> AckGroups::terms() const {
  std::vector<Terms> all;
  all.reserve(groups_.size());
  for (const auto& [number, one] : groups_) all.push_back(one.terms);
  return all;
}

}  // namespace holdfast::runtime
