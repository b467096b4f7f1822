#include "sim/outbox_model.h"

#include <algorithm>
#include <array>
#include <map>

namespace holdfast::sim {
namespace {

constexpr std::size_t kTake = 64;  // messages of one fetch

std::string about(const char* what, MessageId id) {
  return std::string(what) + " (message " + std::to_string(id) + ")";
}

/// A message that was only found, not promised, may go again if the disk failed to sync it.
bool owed(const Known& k, Model::World world) {
  return world == Model::World::intact ? k.committed : k.promised;
}

}  // namespace

bool same_content(const StoredMessage& a, const StoredMessage& b) {
  return a.qos == b.qos && a.retain == b.retain && a.expiry_seconds == b.expiry_seconds &&
         a.topic == b.topic && a.key == b.key && a.payload == b.payload &&
         a.content_type == b.content_type && a.user_properties == b.user_properties &&
         a.response_topic == b.response_topic && a.correlation_data == b.correlation_data;
}

const Known* Model::find(MessageId id) const {
  const auto at = std::lower_bound(known.begin(), known.end(), id,
                                   [](const Known& k, MessageId v) { return k.id < v; });
  return at == known.end() || at->id != id ? nullptr : &*at;
}

Known* Model::find(MessageId id) { return const_cast<Known*>(std::as_const(*this).find(id)); }

LaneRules Model::rules_of(const Known& k) const {
  for (const outbox::LaneOptions& lane : lanes) {
    if (lane.name == *k.lane) return lane.rules;
  }
  return {};
}

bool Model::allows(const Known& k, DropReason reason) const {
  const LaneRules rules = rules_of(k);
  switch (reason) {
    case DropReason::expired:
      return k.message->expiry_seconds.has_value() || rules.max_age > Seconds::zero();
    case DropReason::evicted:
      return rules.when_full == WhenFull::drop_oldest || k.given_up;
    case DropReason::superseded:
      return rules.conflate;
    default:
      return false;
  }
}

bool Model::same_key(const Known& a, const Known& b) {
  const auto key = [](const Known& k) -> const std::string& {
    return k.message->key.empty() ? k.message->topic : k.message->key;
  };
  return a.lane == b.lane && key(a) == key(b);
}

std::string Model::judge(outbox::Outbox& box, const outbox::RecoveryReport& report, World world,
                         Found& found) const {
  const Ledger ledger = box.ledger();
  if (!ledger.balanced()) return "ledger not balanced after opening";
  if (report.pending != ledger.pending) return "report and ledger differ";
  if (world == World::intact && report.corrupt > 0) return "corrupt without damage";
  found.there.assign(known.size(), false);
  found.dropped.assign(known.size(), std::nullopt);
  if (std::string wrong = take_out(box, world, found); !wrong.empty()) return wrong;
  if (std::string wrong = judge_missing(world, found); !wrong.empty()) return wrong;
  return judge_ledger(box.ledger(), world, found);
}

std::string Model::take_out(outbox::Outbox& box, World world, Found& found) const {
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    std::vector<MessageId> last(known.size());  // by the position of a lane's first message
    for (;;) {
      const auto got = box.fetch(static_cast<LaneIndex>(lane), kTake, 64 * 1024);
      const auto dropped = box.take_news().dropped;
      if (std::string wrong = judge_dropped(dropped, world, found); !wrong.empty()) return wrong;
      for (const MessagePtr& m : got.messages) {
        std::string wrong = judge_message(*m, static_cast<LaneIndex>(lane), world, last, found);
        if (!wrong.empty()) return wrong;
      }
      if (!got.more) break;
      if (!got.messages.empty() || !dropped.empty()) continue;
      return "fetch makes no progress";
    }
    if (box.unfetched(static_cast<LaneIndex>(lane)) != 0) return "unfetched after fetching all";
  }
  found.unread = box.ledger().pending - found.pending;
  if (found.unread != 0 && world != World::failing) return "some that wait cannot be fetched";
  ask_fates(box, world, found);
  return {};
}

std::string Model::judge_dropped(const std::vector<std::pair<MessageId, DropReason>>& all,
                                 World world, Found& found) const {
  for (const auto& [id, reason] : all) {
    const Known* k = find(id);
    if (k == nullptr) return about("gave up a message that never was", id);
    found.dropped[static_cast<std::size_t>(k - known.data())] = reason;
    if (world == World::intact && !allows(*k, reason)) {
      return about("gave up a message without a reason", id);
    }
    // Calls fail, but nothing on the disk is damaged.
    if (k->promised && reason == DropReason::corrupt) {
      return about("gave up a promised message as corrupt", id);
    }
  }
  return {};
}

/// What was given up, durably, by the call that was cut short, so that nobody heard of it.
void Model::ask_fates(outbox::Outbox& box, World world, Found& found) const {
  std::vector<std::size_t> unsure;  // forgotten: given up, or never accepted
  for (std::size_t i = 0; i < known.size(); ++i) {
    const Known& k = known[i];
    if (found.there[i] || found.dropped[i] || k.settled) continue;
    const bool any = allows(k, DropReason::expired) || allows(k, DropReason::evicted) ||
                     allows(k, DropReason::superseded);
    if (!any) continue;
    const Fate fate = box.fate(k.id);
    found.dropped[i] = dropped_as(k, fate);
    if (fate.kind == FateKind::forgotten && !k.committed) unsure.push_back(i);
  }
  const Ledger ledger = box.ledger();
  for (const std::size_t i : unsure) {
    for (std::size_t r = 0; r < kDropReasons && !found.dropped[i]; ++r) {
      const auto reason = static_cast<DropReason>(r);
      if (!allows(known[i], reason) || ledger.dropped[r] <= count(world, found).dropped[r]) {
        continue;
      }
      found.dropped[i] = reason;
    }
  }
}

// A store of small segments remembers few ends, but its ledger has them all.
std::optional<DropReason> Model::dropped_as(const Known& k, const Fate& fate) const {
  if (fate.kind == FateKind::dropped && allows(k, fate.dropped)) return fate.dropped;
  if (fate.kind != FateKind::forgotten || !k.committed) return std::nullopt;
  for (const DropReason reason :
       {DropReason::superseded, DropReason::evicted, DropReason::expired}) {
    if (allows(k, reason)) return reason;
  }
  return std::nullopt;
}

std::string Model::judge_message(const StoredMessage& m, LaneIndex lane, World world,
                                 std::vector<MessageId>& last, Found& found) const {
  const Known* k = find(m.id);
  if (k == nullptr) return about("forged: an id that was never given", m.id);
  if (!same_content(m, *k->message)) return about("forged: other content", m.id);
  const auto configured = std::find_if(lanes.begin(), lanes.end(),
                                       [&](const auto& each) { return each.name == *k->lane; });
  const auto due = configured == lanes.end() ? lanes.size() - 1
                                             : static_cast<std::size_t>(configured - lanes.begin());
  if (m.lane != lane || lane != due) return about("in the wrong lane", m.id);
  // The names of lanes are shared, so the same name is the same pointer.
  const auto first = std::find_if(known.begin(), known.end(),
                                  [&](const Known& other) { return other.lane == k->lane; });
  MessageId& before = last[static_cast<std::size_t>(first - known.begin())];
  if (m.id <= before) return about("out of order", m.id);
  before = m.id;
  if (k->settled_durably && world == World::intact) {
    return about("came back after its settlement was durable", m.id);
  }
  found.there[static_cast<std::size_t>(k - known.data())] = true;
  ++found.pending;
  return {};
}

std::string Model::judge_missing(World world, const Found& found) const {
  std::uint64_t unread = found.unread;
  for (std::size_t i = 0; i < known.size(); ++i) {
    const Known& k = known[i];
    if (owed(k, world) && !k.settled && !k.lost && !found.there[i] && !found.dropped[i]) {
      if (unread > 0) {
        --unread;  // a later judge will see it
        continue;
      }
      return about("lost a committed message", k.id);
    }
    if (found.there[i] && found.dropped[i]) return about("given up and delivered", k.id);
  }
  return judge_superseded(world, found);
}

/// A message goes for a newer one of its key only once that is durable.
std::string Model::judge_superseded(World world, const Found& found) const {
  for (std::size_t i = 0; i < known.size() && found.unread == 0; ++i) {
    const Known& k = known[i];
    if (!owed(k, world) || k.settled_durably || found.there[i]) continue;
    const bool by_now = found.dropped[i] == DropReason::superseded;
    if (!by_now && !(k.settled && !k.delivered && k.reason == DropReason::superseded)) continue;
    bool replaced = false;
    for (std::size_t j = i + 1; j < known.size() && !replaced; ++j) {
      const bool accepted = found.there[j] || found.dropped[j] || known[j].settled;
      replaced = accepted && same_key(known[j], k);
    }
    if (!replaced) return about("replaced by a message that is not there", k.id);
  }
  return {};
}

// Every message that was ever accepted stands under exactly one heading.
Ledger Model::count(World world, const Found& found) const {
  Ledger out;
  const auto count = [&out](bool delivered, DropReason reason) {
    ++(delivered ? out.delivered : out.dropped[static_cast<std::size_t>(reason)]);
  };
  for (std::size_t i = 0; i < known.size(); ++i) {
    const Known& k = known[i];
    if (found.dropped[i]) {
      count(false, *found.dropped[i]);
    } else if (found.there[i]) {
      ++out.pending;
    } else if (owed(k, world) && k.settled) {
      count(k.delivered, k.reason);
    }
  }
  out.accepted = out.pending + out.delivered + out.dropped_total();
  return out;
}

std::string Model::judge_ledger(const Ledger& ledger, World world, const Found& found) const {
  if (!ledger.balanced()) return "ledger not balanced after fetching";
  if (ledger.pending != found.pending + found.unread) return "pending is not what was found";
  const Ledger due = count(world, found);
  const auto differs = [](const char* what, std::uint64_t is, std::uint64_t should) {
    return std::string(what) + " " + std::to_string(is) + " instead of " + std::to_string(should);
  };
  if (world != World::intact) {
    if (ledger.accepted >= due.accepted) return {};
    return differs("accepted", ledger.accepted, due.accepted);
  }
  if (ledger.accepted != due.accepted) {
    return differs("accepted", ledger.accepted, due.accepted);
  }
  if (ledger.delivered != due.delivered) {
    return differs("delivered", ledger.delivered, due.delivered);
  }
  for (std::size_t r = 0; r < kDropReasons; ++r) {
    if (ledger.dropped[r] == due.dropped[r]) continue;
    const std::string name(to_string(static_cast<DropReason>(r)));
    return differs(("dropped as " + name).c_str(), ledger.dropped[r], due.dropped[r]);
  }
  return {};
}

std::uint64_t Model::absorb(const Found& found) {
  std::uint64_t salvaged = 0;
  for (std::size_t i = 0; i < known.size(); ++i) {
    Known& k = known[i];
    if (found.dropped[i]) {
      k.committed = k.settled = true;
      k.delivered = false;
      k.reason = *found.dropped[i];
      continue;
    }
    // A settlement that no commit covered has survived or not; now it is decided.
    if (found.there[i] && !k.committed) {
      k.committed = true;
      k.lost = false;
      ++salvaged;
    }
    if (!k.committed) k.lost = true;  // never accepted
    k.settled = k.settled && !found.there[i];
    k.undecided = k.settled && !k.settled_durably && found.unread > 0;
    k.settled_durably = k.settled && !k.undecided;
  }
  return salvaged;
}

}  // namespace holdfast::sim
