#include "lab/fault/byte_faults.h"

#include <algorithm>
#include <utility>

namespace holdfast::lab::fault {
namespace {

constexpr std::uint64_t kNanos = 1'000'000'000;
/// A limited direction moves in steps of so much time, so that it neither bursts nor writes bytes
/// one by one.
constexpr std::uint64_t kStepsPerSecond = 20;
constexpr std::size_t kWriteMax = std::size_t{64} * 1024;

}  // namespace

void ByteFaults::set(BootTime now, const ByteSettings& settings) {
  if (settings.reset_after_bytes != settings_.reset_after_bytes) {
    until_reset_ = settings.reset_after_bytes.value_or(kNoReset);
  }
  settings_ = settings;
  const BootTime latest = now + settings_.latency + settings_.jitter;
  for (Chunk& chunk : queue_) chunk.due = std::min(chunk.due, latest);
  // Neither does an earlier, slower setting count, nor is lost time caught up on.
  free_at_ = now;
}

void ByteFaults::corrupt(std::string& bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::uint64_t at = pushed_ + i;
    const bool in_range = at >= settings_.corrupt_from && at < settings_.corrupt_to;
    const bool by_chance =
        settings_.corrupt_one_in != 0 && random_.below(settings_.corrupt_one_in) == 0;
    if (!in_range && !by_chance) continue;
    const auto flip = static_cast<unsigned char>(1 + random_.below(255));
    bytes[i] = static_cast<char>(static_cast<unsigned char>(bytes[i]) ^ flip);
  }
}

void ByteFaults::push(BootTime now, std::string bytes) {
  if (bytes.empty()) return;
  if (settings_.corrupt_one_in != 0 || settings_.corrupt_to > pushed_) corrupt(bytes);
  pushed_ += bytes.size();
  queued_ += bytes.size();
  const Duration more(static_cast<std::int64_t>(
      random_.below(static_cast<std::uint64_t>(settings_.jitter.count()) + 1)));
  BootTime due = now + settings_.latency + more;
  if (!queue_.empty()) due = std::max(due, queue_.back().due);
  queue_.push_back({std::move(bytes), due});
}

std::size_t ByteFaults::step() const noexcept {
  std::uint64_t most = kWriteMax;
  if (settings_.slice_bytes != 0) most = std::min<std::uint64_t>(most, settings_.slice_bytes);
  if (settings_.bytes_per_second != 0) {
    most = std::min(most, std::max<std::uint64_t>(1, settings_.bytes_per_second / kStepsPerSecond));
  }
  return static_cast<std::size_t>(std::min(most, until_reset_));
}

Duration ByteFaults::cost(std::size_t bytes) const noexcept {
  Duration time = settings_.slice_bytes != 0 ? settings_.slice_pause : Duration::zero();
  if (settings_.bytes_per_second != 0) {
    time = std::max(
        time, Duration(static_cast<std::int64_t>(kNanos * bytes / settings_.bytes_per_second)));
  }
  return time;
}

std::string ByteFaults::take(BootTime now) {
  if (wake() > now) return {};
  const BootTime began = std::max(free_at_, queue_.front().due);
  const std::size_t most = step();
  std::string out;
  while (out.size() < most && !queue_.empty() && queue_.front().due <= now) {
    Chunk& chunk = queue_.front();
    const std::size_t count = std::min(most - out.size(), chunk.bytes.size() - front_used_);
    out.append(chunk.bytes, front_used_, count);
    front_used_ += count;
    if (front_used_ < chunk.bytes.size()) break;
    queue_.pop_front();
    front_used_ = 0;
  }
  queued_ -= out.size();
  if (until_reset_ != kNoReset) until_reset_ -= out.size();
  free_at_ = began + cost(out.size());
  return out;
}

BootTime ByteFaults::wake() const {
  if (queue_.empty() || settings_.black_hole || until_reset_ == 0) return kNever;
  return std::max(queue_.front().due, free_at_);
}

}  // namespace holdfast::lab::fault
