#include "engines/ack_gate.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace holdfast::engines {

AckGate::Came AckGate::came(std::uint16_t id) {
  const auto earlier = std::ranges::find(waiting_, id, &Waiting::id);
  if (earlier != waiting_.end()) {
    ++earlier->copies;
    return Came::again;
  }
  if (waiting_.size() == kHeldMax) return Came::unheld;
  waiting_.push_back({.id = id});
  return Came::held;
}

void AckGate::taken(std::uint16_t id) {
  const auto found = std::ranges::find(waiting_, id, &Waiting::id);
  if (found == waiting_.end()) return;
  found->taken = true;
  move_ready();
}

void AckGate::hold(std::span<const std::byte> packet, std::uint16_t id) {
  HF_CHECK(!packet.empty());
  const auto found = std::ranges::find(waiting_, id, &Waiting::id);
  if (found == waiting_.end()) {
    ready_.emplace_back(packet.begin(), packet.end());
    return;
  }
  found->packets.emplace_back(packet.begin(), packet.end());
  move_ready();
}

void AckGate::move_ready() {
  while (!waiting_.empty()) {
    Waiting& first = waiting_.front();
    HF_CHECK(first.packets.size() <= first.copies);
    if (!first.taken || first.packets.size() < first.copies) return;
    std::ranges::move(first.packets, std::back_inserter(ready_));
    waiting_.pop_front();
  }
}

std::size_t AckGate::release(std::span<std::byte> room) {
  std::size_t used = 0;
  while (!ready_.empty() && ready_.front().size() <= room.size() - used) {
    std::ranges::copy(ready_.front(), room.subspan(used).begin());
    used += ready_.front().size();
    ready_.pop_front();
  }
  return used;
}

}  // namespace holdfast::engines
