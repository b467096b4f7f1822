// Topics that are passed over: their messages wait where they are, and only a number is kept of
// them, in the cursors that have passed them. Nothing of this is on disk.
#include "base/check.h"
#include "outbox/store.h"

namespace holdfast::outbox {

void Store::park(std::vector<std::string> topics) {
  HF_CHECK(!closed_);
  std::set<std::string, std::less<>> wanted;
  for (std::string& topic : topics) wanted.insert(std::move(topic));
  const bool released =
      !std::includes(wanted.begin(), wanted.end(), parked_topics_.begin(), parked_topics_.end());
  parked_topics_ = std::move(wanted);
  if (released) rewind_all();
}

void Store::give_back(MessageId id) {
  HF_CHECK(!closed_);
  const auto known = fetched_.find(id);
  if (known == fetched_.end()) return;
  const StoreLane lane = known->second.lane;
  --fetched_by_lane_[lane];
  fetched_.erase(known);
  oldest_[lane] = {};
  Cursor& cursor = cursors_[lane];
  for (const auto& [place, segment] : state_.segments) {
    const auto index = segment.index_of(id);
    if (!index || !segment.live_at(*index)) continue;
    if (place < cursor.place) ++cursor.parked;
    if (place == cursor.place && *index < cursor.index) ++cursor.parked_here;
    return;
  }
}

MessagePtr Store::fetch_parked(const std::string& topic, std::optional<Duration> patience) {
  HF_CHECK(!closed_);
  observe_wall();
  const Search search{Search::For::parked, &topic, patience};
  for (std::size_t i = 0; i < lane_map_.size(); ++i) {
    if (auto found = search_parked(search, lane_map_[i], static_cast<LaneIndex>(i))) return found;
  }
  const auto last = static_cast<LaneIndex>(lane_map_.size() - 1);
  for (const StoreLane orphan : orphans()) {
    if (auto found = search_parked(search, orphan, last)) return found;
  }
  return nullptr;
}

MessagePtr Store::search_parked(const Search& search, StoreLane lane, LaneIndex as) {
  Cursor cursor = oldest_[lane];
  Fetched found;
  std::size_t bytes = 0;
  search_lane(search, cursor, lane, as, 1, limits::kMessageMax, bytes, &found);
  return found.messages.empty() ? nullptr : std::move(found.messages.front());
}

std::uint64_t Store::parked() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < cursors_.size(); ++i) sum += parked_in(static_cast<StoreLane>(i));
  return sum;
}

std::uint64_t Store::parked_in(StoreLane lane) const {
  return cursors_[lane].parked + cursors_[lane].parked_here;
}

// A message that is in no hand leaves the parked ones, if it is one: it ends, or is handed out.
void Store::unpark(const Segment& segment, MessageId id, StoreLane lane) {
  Cursor& cursor = cursors_[lane];
  if (segment.place < cursor.place && cursor.parked > 0) --cursor.parked;
  if (segment.place != cursor.place || cursor.parked_here == 0) return;
  const auto index = segment.index_of(id);
  if (index && *index < cursor.index) --cursor.parked_here;
}

void Store::rewind_all() {
  cursors_.assign(cursors_.size(), {});
  oldest_.assign(oldest_.size(), {});
}

}  // namespace holdfast::outbox
