#include "outbox/state.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "outbox/bytes.h"

namespace holdfast::outbox {
namespace {

// How a checkpoint writes the waiting bits of a segment.
enum class Bits : std::uint8_t { all = 0, map = 1, ranges = 2 };

constexpr std::uint8_t kFlagClean = 1;
constexpr std::uint32_t kSlotNumberMax = 9999;

void write_session(ByteWriter& w, const SessionInfo& info) {
  w.u32(info.epoch);
  w.u32(info.boot_first_epoch);
  w.bytes(std::as_bytes(std::span(info.boot)));
  w.i64(info.wall_ms);
  w.i64(info.boot_ms);
  w.i64(info.max_wall_ms);
  w.u64(info.accepted);
  w.u64(info.corrupt);
  w.u8(info.clean ? kFlagClean : 0);
  w.u8(static_cast<std::uint8_t>(info.lanes.size()));
  for (const std::string& lane : info.lanes) {
    w.u8(static_cast<std::uint8_t>(lane.size()));
    w.text(lane);
  }
}

std::optional<SessionInfo> read_session(ByteReader& r) {
  SessionInfo info;
  info.epoch = r.u32();
  info.boot_first_epoch = r.u32();
  const auto boot = r.bytes(info.boot.size());
  std::transform(boot.begin(), boot.end(), info.boot.begin(),
                 [](std::byte b) { return static_cast<std::uint8_t>(b); });
  info.wall_ms = r.i64();
  info.boot_ms = r.i64();
  info.max_wall_ms = r.i64();
  info.accepted = r.u64();
  info.corrupt = r.u64();
  info.clean = (r.u8() & kFlagClean) != 0;
  const std::uint8_t lanes = r.u8();
  for (unsigned i = 0; i < lanes; ++i) info.lanes.push_back(r.text(r.u8()));
  if (!r.ok() || info.epoch == 0 || info.epoch >= kEpochMax || lanes == 0) return std::nullopt;
  return info;
}

struct Stretch {
  std::uint32_t start = 0;
  std::uint32_t count = 0;
};

std::vector<Stretch> live_stretches(const Segment& segment) {
  std::vector<Stretch> out;
  for (std::uint32_t i = segment.next_live(0); i < segment.size(); i = segment.next_live(i)) {
    const std::uint32_t start = i;
    while (i < segment.size() && segment.live_at(i)) ++i;
    out.push_back({start, i - start});
  }
  return out;
}

void write_bits(ByteWriter& w, const Segment& segment) {
  if (segment.live_count() == segment.size()) {
    w.u8(static_cast<std::uint8_t>(Bits::all));
    return;
  }
  const auto stretches = live_stretches(segment);
  const std::uint32_t words = (segment.size() + 63) / 64;
  if (stretches.size() < words) {
    w.u8(static_cast<std::uint8_t>(Bits::ranges));
    w.u32(static_cast<std::uint32_t>(stretches.size()));
    for (const Stretch& s : stretches) {
      w.u32(s.start);
      w.u32(s.count);
    }
    return;
  }
  w.u8(static_cast<std::uint8_t>(Bits::map));
  std::vector<std::uint64_t> map(words);
  for (const Stretch& s : stretches) {
    for (std::uint32_t i = s.start; i < s.start + s.count; ++i) {
      map[i / 64] |= std::uint64_t{1} << (i % 64);
    }
  }
  for (const std::uint64_t word : map) w.u64(word);
}

std::vector<std::uint64_t> read_bits(ByteReader& r, std::uint32_t size) {
  std::vector<std::uint64_t> bits((size + 63) / 64);
  const auto set = [&](std::uint32_t i) { bits[i / 64] |= std::uint64_t{1} << (i % 64); };
  switch (static_cast<Bits>(r.u8())) {
    case Bits::all:
      for (std::uint32_t i = 0; i < size; ++i) set(i);
      break;
    case Bits::map:
      for (std::uint64_t& word : bits) word = r.u64();
      break;
    case Bits::ranges: {
      const std::uint32_t n = r.u32();
      for (std::uint32_t k = 0; k < n && r.ok(); ++k) {
        const std::uint32_t start = r.u32();
        const std::uint32_t count = r.u32();
        if (start > size || count > size - start) return {};
        for (std::uint32_t i = start; i < start + count; ++i) set(i);
      }
      break;
    }
    default:
      return {};
  }
  return bits;
}

void write_segment(ByteWriter& w, const Segment& segment, std::size_t lanes) {
  w.u64(segment.place);
  w.u64(segment.sequence);
  w.u64(segment.salt);
  w.u32(segment.slot);
  w.u32(segment.end);
  w.u32(static_cast<std::uint32_t>(segment.runs().size()));
  for (const Run& run : segment.runs()) {
    w.u64(run.first);
    w.u32(run.count);
  }
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    const LaneLoad load = segment.load(static_cast<StoreLane>(lane));
    w.u32(load.count);
    w.u32(load.bytes);
  }
  write_bits(w, segment);
}

std::optional<Segment> read_segment(ByteReader& r, const StoreUuid& store, std::size_t lanes,
                                    std::uint32_t segment_bytes) {
  const std::uint64_t place = r.u64();
  const std::uint64_t sequence = r.u64();
  const std::uint64_t salt = r.u64();
  const std::uint32_t slot = r.u32();
  Segment segment({.store = store, .sequence = sequence, .salt = salt}, slot);
  segment.place = place;
  segment.end = r.u32();
  const std::uint32_t count = r.u32();
  if (!r.ok() || segment.end < kDataStart || segment.end > segment_bytes ||
      segment.end % kAlign != 0 || place == 0 || place > sequence || slot > kSlotNumberMax ||
      count > r.left()) {
    return std::nullopt;
  }
  std::vector<Run> runs(count);
  std::uint64_t size = 0;
  for (Run& run : runs) {
    run.first = r.u64();
    run.count = r.u32();
    size += run.count;
  }
  if (!r.ok() || size > limits::kSegmentMax / kRecordHeaderSize) return std::nullopt;
  std::vector<LaneLoad> live(lanes);
  for (LaneLoad& load : live) {
    load.count = r.u32();
    load.bytes = r.u32();
  }
  std::vector<std::uint64_t> bits = read_bits(r, static_cast<std::uint32_t>(size));
  if (!r.ok() || !segment.restore(std::move(runs), std::move(bits), std::move(live))) {
    return std::nullopt;
  }
  return segment;
}

}  // namespace

std::uint64_t State::pending() const {
  return std::accumulate(
      segments.begin(), segments.end(), std::uint64_t{0},
      [](std::uint64_t sum, const auto& entry) { return sum + entry.second.live_count(); });
}

bool State::balanced() const {
  return counters.accepted == std::accumulate(counters.dropped.begin(), counters.dropped.end(),
                                              counters.delivered + pending());
}

void append_session(std::vector<std::byte>& out, const SessionInfo& info, MessageId next_id) {
  const std::size_t start = out.size();
  begin_record(out, RecordType::session, next_id);
  ByteWriter w(out);
  write_session(w, info);
  finish_record(out, start);
}

std::optional<SessionInfo> decode_session(std::span<const std::byte> record) {
  ByteReader r(record.subspan(kRecordHeaderSize));
  return read_session(r);
}

void append_ranges(std::vector<std::byte>& out, RecordType type, std::span<const Range> ranges,
                   MessageId next_id) {
  HF_CHECK(ranges.size() <= kRangesPerRecord);
  const std::size_t start = out.size();
  begin_record(out, type, next_id);
  ByteWriter w(out);
  for (const Range& range : ranges) {
    w.u64(range.first);
    w.u32(range.count);
    w.u32(range.bytes);
    w.u8(range.lane);
    w.u8(type == RecordType::drop ? static_cast<std::uint8_t>(range.reason) : 0);
    w.u16(0);
  }
  finish_record(out, start);
}

std::vector<Range> decode_ranges(std::span<const std::byte> record) {
  std::vector<Range> out;
  ByteReader r(record.subspan(kRecordHeaderSize));
  while (r.left() >= kRangeSize) {
    Range range;
    range.first = r.u64();
    range.count = r.u32();
    range.bytes = r.u32();
    range.lane = r.u8();
    const std::uint8_t reason = r.u8();
    r.u16();
    if (reason >= kDropReasons || range.count > limits::kSegmentMax) continue;
    range.reason = static_cast<DropReason>(reason);
    out.push_back(range);
  }
  return out;
}

void append_checkpoint(std::vector<std::byte>& out, const State& state, MessageId next_id) {
  const std::size_t start = out.size();
  begin_record(out, RecordType::checkpoint, next_id);
  ByteWriter w(out);
  write_session(w, state.session);
  w.u64(state.counters.accepted);
  w.u64(state.counters.delivered);
  w.u8(static_cast<std::uint8_t>(kDropReasons));
  for (const std::uint64_t n : state.counters.dropped) w.u64(n);
  state.endings.write(w);
  const auto waiting = [](const auto& entry) { return entry.second.live_count() > 0; };
  w.u32(static_cast<std::uint32_t>(
      std::count_if(state.segments.begin(), state.segments.end(), waiting)));
  for (const auto& entry : state.segments) {
    if (waiting(entry)) write_segment(w, entry.second, state.session.lanes.size());
  }
  finish_record(out, start);
}

std::optional<State> decode_checkpoint(std::span<const std::byte> record, const StoreUuid& store,
                                       std::uint64_t own, std::uint32_t segment_bytes) {
  const RecordHeader header = decode_record_header(record);
  ByteReader r(record.subspan(kRecordHeaderSize));
  auto session = read_session(r);
  if (!session || epoch_of(header.id) != session->epoch) return std::nullopt;
  State state;
  state.session = std::move(*session);
  state.next_id = header.id;
  state.group = header.group + 1;
  state.counters.accepted = r.u64();
  state.counters.delivered = r.u64();
  const std::uint8_t reasons = r.u8();
  for (unsigned i = 0; i < reasons; ++i) {
    const std::uint64_t n = r.u64();
    // A reason that this version does not know still counts as a loss of some kind.
    state.counters.dropped[std::min<std::size_t>(i, kDropReasons - 1)] += n;
  }
  auto endings = Endings::read(r);
  if (!endings) return std::nullopt;
  state.endings = std::move(*endings);
  const std::uint32_t count = r.u32();
  std::vector<bool> slots(std::size_t{kSlotNumberMax} + 1);
  for (std::uint32_t i = 0; i < count && r.ok(); ++i) {
    auto segment = read_segment(r, store, state.session.lanes.size(), segment_bytes);
    if (!segment || segment->sequence == 0 || segment->sequence >= own) return std::nullopt;
    if (segment->size() > 0 && segment->id_at(segment->size() - 1) >= state.next_id) {
      return std::nullopt;
    }
    if (slots[segment->slot]) return std::nullopt;
    slots[segment->slot] = true;
    const std::uint64_t place = segment->place;
    if (!state.segments.emplace(place, std::move(*segment)).second) return std::nullopt;
  }
  if (!r.ok() || !state.balanced()) return std::nullopt;
  return state;
}

}  // namespace holdfast::outbox
