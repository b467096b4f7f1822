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

}  // namespace

bool same_content(const StoredMessage& a, const StoredMessage& b) {
  return a.qos == b.qos && a.retain == b.retain && a.expiry_seconds == b.expiry_seconds &&
         a.topic == b.topic && a.payload == b.payload && a.content_type == b.content_type &&
         a.user_properties == b.user_properties;
}

const Known* Model::find(MessageId id) const {
  const auto at = std::lower_bound(known.begin(), known.end(), id,
                                   [](const Known& k, MessageId v) { return k.id < v; });
  return at == known.end() || at->id != id ? nullptr : &*at;
}

Known* Model::find(MessageId id) { return const_cast<Known*>(std::as_const(*this).find(id)); }

std::string Model::judge(outbox::Outbox& box, const outbox::RecoveryReport& report, World world,
                         Found& found) const {
  const Ledger ledger = box.ledger();
  if (!ledger.balanced()) return "ledger not balanced after opening";
  if (report.pending != ledger.pending) return "report and ledger differ";
  if (world == World::intact && report.corrupt > 0) return "corrupt without damage";
  found.there.assign(known.size(), false);
  found.dropped.assign(known.size(), false);
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
      for (const auto& [id, reason] : dropped) {
        const Known* k = find(id);
        if (k == nullptr) return about("gave up a message that never was", id);
        found.dropped[static_cast<std::size_t>(k - known.data())] = true;
        if (world == World::failing) {
          // Calls fail, but nothing on the disk is damaged.
          if (k->promised && reason == DropReason::corrupt) {
            return about("gave up a promised message as corrupt", id);
          }
          continue;
        }
        if (reason != DropReason::expired) return about("gave up a message without damage", id);
        if (!k->message->expiry_seconds) return about("expired without an expiry", id);
      }
      for (const MessagePtr& m : got.messages) {
        std::string wrong = judge_message(*m, static_cast<LaneIndex>(lane), world, last, found);
        if (!wrong.empty()) return wrong;
      }
      if (!got.more) break;
      if (!got.messages.empty() || !dropped.empty()) continue;
      if (world == World::failing) break;
      return "fetch makes no progress";
    }
    const std::uint64_t unread = box.unfetched(static_cast<LaneIndex>(lane));
    if (unread != 0 && world == World::intact) return "unfetched after fetching all";
    found.unread += unread;
  }
  // What had expired may have been given up, durably, just before the cut.
  for (std::size_t i = 0; i < known.size(); ++i) {
    const Known& k = known[i];
    if (found.there[i] || k.settled || !k.message->expiry_seconds) continue;
    const Fate fate = box.fate(k.id);
    if (fate.kind != FateKind::dropped || fate.dropped != DropReason::expired) continue;
    found.dropped[i] = true;
  }
  return {};
}

std::string Model::judge_message(const StoredMessage& m, LaneIndex lane, World world,
                                 std::vector<MessageId>& last, Found& found) const {
  const Known* k = find(m.id);
  if (k == nullptr) return about("forged: an id that was never given", m.id);
  if (!same_content(m, *k->message)) return about("forged: other content", m.id);
  const auto configured = std::find(lanes.begin(), lanes.end(), *k->lane);
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
    // A message that was only found, not promised, may go again if the disk failed to sync it.
    const bool owed = world == World::failing ? k.promised : k.committed;
    if (owed && !k.settled && !k.lost && !found.there[i] && !found.dropped[i]) {
      if (unread > 0) {
        --unread;  // a later judge will see it
        continue;
      }
      return about("lost a committed message", k.id);
    }
    if (found.there[i] && found.dropped[i]) return about("given up and delivered", k.id);
  }
  return {};
}

// Every message that was ever accepted stands under exactly one heading.
std::string Model::judge_ledger(const Ledger& ledger, World world, const Found& found) const {
  if (!ledger.balanced()) return "ledger not balanced after fetching";
  if (ledger.pending != found.pending + found.unread) return "pending is not what was found";
  std::uint64_t accepted = 0;
  std::uint64_t delivered = 0;
  std::array<std::uint64_t, kDropReasons> dropped{};
  for (std::size_t i = 0; i < known.size(); ++i) {
    const Known& k = known[i];
    if (found.dropped[i]) {
      ++dropped[static_cast<std::size_t>(DropReason::expired)];
      ++accepted;
    } else if (found.there[i]) {
      ++accepted;
    } else if (k.committed && k.settled) {
      ++accepted;
      ++(k.delivered ? delivered : dropped[static_cast<std::size_t>(k.reason)]);
    }
  }
  const auto differs = [](const char* what, std::uint64_t is, std::uint64_t should) {
    return std::string(what) + " " + std::to_string(is) + " instead of " + std::to_string(should);
  };
  if (world == World::failing) {
    if (ledger.accepted < accepted) return differs("accepted", ledger.accepted, accepted);
    return {};
  }
  if (ledger.accepted != accepted) return differs("accepted", ledger.accepted, accepted);
  if (ledger.delivered != delivered) return differs("delivered", ledger.delivered, delivered);
  for (std::size_t r = 0; r < dropped.size(); ++r) {
    if (ledger.dropped[r] == dropped[r]) continue;
    const std::string name(to_string(static_cast<DropReason>(r)));
    return differs(("dropped as " + name).c_str(), ledger.dropped[r], dropped[r]);
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
      k.reason = DropReason::expired;
      continue;
    }
    // A settlement that no commit covered has survived or not; now it is decided.
    if (found.there[i] && !k.committed) {
      k.committed = true;
      k.lost = false;
      ++salvaged;
    }
    k.settled = k.settled_durably = k.settled && !found.there[i] && found.unread == 0;
  }
  return salvaged;
}

}  // namespace holdfast::sim
