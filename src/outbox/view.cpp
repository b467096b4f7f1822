#include "outbox/view.h"

#include <algorithm>
#include <numeric>

#include "outbox/bytes.h"

namespace holdfast::outbox {
namespace {

bool wanted(const Segment& segment, const ListQuery& query) {
  if (query.id) return segment.live(*query.id);
  return query.lane ? segment.lane_live(*query.lane) > 0 : segment.live_count() > 0;
}

}  // namespace

std::uint64_t StoreView::pending() const {
  return std::accumulate(waiting.begin(), waiting.end(), std::uint64_t{0});
}

StoreView view_of(const State& state, std::uint64_t active) {
  StoreView view;
  view.session = state.session;
  view.counters = state.counters;
  view.waiting.resize(state.session.lanes.size());
  view.waiting_bytes.resize(view.waiting.size());
  for (const auto& [place, segment] : state.segments) {
    const bool is_active = segment.sequence == active;
    if (segment.live_count() == 0 && !is_active) continue;  // free, or about to be
    SegmentView one;
    one.place = place;
    one.sequence = segment.sequence;
    one.slot = segment.slot;
    one.active = is_active;
    one.end = segment.end;
    one.messages = segment.size();
    one.waiting = segment.live_count();
    one.key_id = segment.key_id;
    for (std::size_t lane = 0; lane < view.waiting.size(); ++lane) {
      one.by_lane.push_back(segment.lane_live(static_cast<StoreLane>(lane)));
      view.waiting[lane] += one.by_lane.back();
      view.waiting_bytes[lane] += segment.load(static_cast<StoreLane>(lane)).bytes;
    }
    view.segments.push_back(std::move(one));
  }
  return view;
}

Page list_messages(const SegmentMap& segments, std::size_t lanes, const FileOf& file,
                   SegmentReader& reader, const SealerOf& sealer, const ListCursor& from,
                   const ListQuery& query) {
  Page page;
  std::size_t bytes = 0;
  std::uint64_t scanned = 0;
  ListCursor at = from;
  auto entry = segments.upper_bound(from.place);
  if (entry != segments.begin()) --entry;  // it may carry what was at this place
  for (; entry != segments.end(); ++entry) {
    const Segment& segment = entry->second;
    if (segment.sequence != at.sequence) at = {entry->first, segment.sequence, kDataStart, at.last};
    // A cursor may come from outside.
    at.offset = align_up(std::clamp(at.offset, kDataStart, segment.end), kAlign);
    env::File* source = wanted(segment, query) ? file(segment.slot) : nullptr;
    while (source != nullptr) {
      if (page.messages.size() >= query.max_messages || bytes >= query.max_bytes ||
          scanned >= query.max_scan) {
        page.next = at;
        return page;
      }
      const auto record =
          reader.next(*source, segment.key, segment.sequence, at.offset, segment.end);
      if (!record) break;
      scanned += record->next - at.offset;
      at.offset = record->next;
      if (record->header.type != RecordType::put) continue;
      const MessageId id = record->header.id;
      if (id <= at.last) continue;
      at.last = id;
      const auto lane = static_cast<StoreLane>(
          std::min<std::size_t>(put_lane(record->header), std::max<std::size_t>(lanes, 1) - 1));
      if (!segment.live(id) || (query.id && id != *query.id)) continue;
      if (query.lane && lane != *query.lane) continue;
      env::Sealer* const cover = sealer(segment);
      const bool locked = cover == nullptr && is_sealed(record->header);
      auto put = locked ? decode_put_cover(record->bytes) : decode_put(record->bytes, cover);
      if (!put) continue;
      bytes += put->message.cost();
      page.messages.push_back({std::move(put->message), lane, put->stamp, segment.sequence,
                               segment.slot, record->offset, locked});
      if (query.id) return page;
    }
  }
  return page;
}

}  // namespace holdfast::outbox
