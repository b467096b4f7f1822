// Conflation: in a lane that asks for it, of the messages with one key only the newest waits.
//
// Method:   a table from key to the newest message, in RAM and bounded (limits::kConflationKeys); a
//           key beyond it is not conflated. After an opening the table is filled segment by segment
//           from what waits, a step in each tick(), so that opening stays fast.
#include <algorithm>

#include "base/check.h"
#include "outbox/crc32c.h"
#include "outbox/store.h"

namespace holdfast::outbox {
namespace {

constexpr Duration kForgetKeysEvery = std::chrono::seconds(1);

}  // namespace

/// 64 bits, seeded per run: keys that meet by accident are as rare as that.
std::uint64_t Store::key_of(StoreLane lane, const StoredMessage& message) const {
  constexpr std::uint64_t kPrime = 0x9E3779B97F4A7C15;
  const std::string_view text = message.key.empty() ? message.topic : message.key;
  std::uint64_t hash = key_seed_ ^ (std::uint64_t{lane} + 1) * kPrime;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
    hash ^= hash >> 29;
  }
  return hash ^ (std::uint64_t{text.size()} << 56);
}

void Store::note_key(StoreLane lane, const StoredMessage& message, MessageId id,
                     std::uint32_t bytes) {
  const std::uint64_t key = key_of(lane, message);
  const Newest newest{id, {lane, bytes}};
  const auto known = newest_.find(key);
  if (known == newest_.end()) {
    if (newest_.size() >= limits::kConflationKeys) forget_ended_keys();
    if (newest_.size() < limits::kConflationKeys) newest_.emplace(key, newest);
    return;
  }
  if (known->second.id < id) supersede_for(id, known->second.id, known->second.held);
  known->second = newest;
}

// Looks at every key, so not often.
void Store::forget_ended_keys() {
  if (clock_.now() < forget_keys_at_) return;
  forget_keys_at_ = clock_.now() + kForgetKeysEvery;
  std::erase_if(newest_, [this](const auto& entry) {
    return std::none_of(state_.segments.begin(), state_.segments.end(),
                        [&](const auto& segment) { return segment.second.live(entry.second.id); });
  });
}

void Store::supersede(MessageId id, Held held) {
  if (fetched_.contains(id)) {
    news_.superseded.push_back(id);
    return;
  }
  drop(id, held, DropReason::superseded);
}

// Only once the newer one is durable is the older one no longer needed.
void Store::supersede_for(MessageId newer, MessageId id, Held held) {
  if (batch_puts_.empty() || newer < batch_puts_.front().id) {
    supersede(id, held);
  } else {
    supersede_confirmed_.emplace_back(id, held);
  }
}

// One segment. What waits in it is older than everything put since the opening.
void Store::scan_keys() {
  const auto entry = state_.segments.lower_bound(scan_place_);
  if (entry == state_.segments.end()) {
    scan_place_ = kScanned;
    return;
  }
  Segment& segment = entry->second;
  scan_place_ = segment.place + 1;
  env::File* file = slots_.file(segment.slot);
  std::uint32_t at = kDataStart;
  while (file != nullptr && segment.live_count() > 0) {
    const auto record = reader_.next(*file, segment.key, segment.sequence, at, segment.end);
    if (!record) return;
    at = record->next;
    const MessageId id = record->header.id;
    if (record->header.type != RecordType::put || !segment.live(id)) continue;
    const StoreLane lane = clamp_lane(put_lane(record->header));
    if (!rules(lane).conflate) continue;
    const auto put = decode_put(record->bytes, sealer(segment));
    if (!put) continue;
    const Held held{lane, stride(record->header.length)};
    const auto [known, added] = newest_.try_emplace(key_of(lane, put->message), Newest{id, held});
    if (added || known->second.id == id) {
      if (newest_.size() > limits::kConflationKeys) newest_.erase(known);
    } else if (known->second.id > id) {
      supersede_for(known->second.id, id, held);
    } else {
      supersede(known->second.id, known->second.held);
      known->second = {id, held};
    }
  }
}

}  // namespace holdfast::outbox
