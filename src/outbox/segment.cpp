#include "outbox/segment.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/check.h"

namespace holdfast::outbox {

bool Segment::add(MessageId id, StoreLane lane, std::uint32_t bytes) {
  if (!runs_.empty()) {
    Run& last = runs_.back();
    if (id < last.first + last.count) return false;
    if (id == last.first + last.count) {
      ++last.count;
    } else {
      runs_.push_back({id, 1, size_});
    }
  } else {
    runs_.push_back({id, 1, 0});
  }
  if (size_ % 64 == 0) bits_.push_back(0);
  bits_[size_ / 64] |= std::uint64_t{1} << (size_ % 64);
  if (lanes_.size() <= lane) lanes_.resize(std::size_t{lane} + 1);
  ++lanes_[lane].count;
  lanes_[lane].bytes += bytes;
  ++size_;
  ++live_;
  return true;
}

bool Segment::settle(MessageId id, StoreLane& lane) {
  const auto index = index_of(id);
  if (!index || !live_at(*index)) return false;
  if (lane_live(lane) == 0) {
    const auto other =
        std::find_if(lanes_.begin(), lanes_.end(), [](const LaneLoad& l) { return l.count > 0; });
    HF_CHECK(other != lanes_.end());
    lane = static_cast<StoreLane>(other - lanes_.begin());
  }
  bits_[*index / 64] &= ~(std::uint64_t{1} << (*index % 64));
  --live_;
  if (--lanes_[lane].count == 0) lanes_[lane].bytes = 0;
  return true;
}

void Segment::release_bytes(StoreLane lane, std::uint64_t bytes) {
  if (lane >= lanes_.size()) return;
  LaneLoad& load = lanes_[lane];
  load.bytes -= static_cast<std::uint32_t>(std::min<std::uint64_t>(load.bytes, bytes));
}

std::uint64_t Segment::live_bytes() const {
  return std::accumulate(lanes_.begin(), lanes_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const LaneLoad& load) { return sum + load.bytes; });
}

std::optional<std::uint32_t> Segment::index_of(MessageId id) const {
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), id,
                                      [](MessageId v, const Run& run) { return v < run.first; });
  if (after == runs_.begin()) return std::nullopt;
  const Run& run = *std::prev(after);
  if (id - run.first >= run.count) return std::nullopt;
  return run.base + static_cast<std::uint32_t>(id - run.first);
}

MessageId Segment::id_at(std::uint32_t index) const {
  HF_CHECK(index < size_);
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                      [](std::uint32_t v, const Run& run) { return v < run.base; });
  const Run& run = *std::prev(after);
  return run.first + (index - run.base);
}

std::uint32_t Segment::next_live(std::uint32_t index) const {
  while (index < size_) {
    const std::uint64_t word = bits_[index / 64] >> (index % 64);
    if (word != 0) return index + static_cast<std::uint32_t>(std::countr_zero(word));
    index = (index / 64 + 1) * 64;
  }
  return size_;
}

bool Segment::restore(std::vector<Run> runs, std::vector<std::uint64_t> bits,
                      std::vector<LaneLoad> lanes) {
  std::uint64_t size = 0;
  MessageId next = 1;
  for (Run& run : runs) {
    if (run.count == 0 || run.first < next || run.count > limits::kSegmentMax ||
        run.first >= kVolatileBit) {
      return false;
    }
    run.base = static_cast<std::uint32_t>(size);
    next = run.first + run.count;
    size += run.count;
    if (size > limits::kSegmentMax / kRecordHeaderSize) return false;
  }
  if (bits.size() != (size + 63) / 64) return false;
  if (size % 64 != 0 && bits.back() >> (size % 64) != 0) return false;
  std::uint64_t live = 0;
  for (const std::uint64_t word : bits) live += static_cast<std::uint64_t>(std::popcount(word));
  std::uint64_t counted = 0;
  for (const LaneLoad& load : lanes) {
    counted += load.count;
    if (load.bytes > limits::kSegmentMax || (load.count == 0 && load.bytes > 0)) return false;
  }
  if (counted != live) return false;
  runs_ = std::move(runs);
  bits_ = std::move(bits);
  lanes_ = std::move(lanes);
  size_ = static_cast<std::uint32_t>(size);
  live_ = static_cast<std::uint32_t>(live);
  return true;
}

}  // namespace holdfast::outbox
