#include "outbox/endings.h"

#include <algorithm>

namespace holdfast::outbox {
namespace {

constexpr std::uint8_t kDelivered = 0xFE;  // in the byte of the reason
constexpr std::uint8_t kNeverAccepted = 0xFF;
constexpr std::uint32_t kBytesPerEntry = kBlock;  // of a segment: the list stays below 1 %
static_assert(kDropReasons < kDelivered);

std::uint8_t code_of(const Ending& ending) {
  switch (ending.kind) {
    case EndKind::dropped:
      return static_cast<std::uint8_t>(ending.reason);
    case EndKind::delivered:
      return kDelivered;
    case EndKind::never_accepted:
      break;
  }
  return kNeverAccepted;
}

/// False when no version of this format writes such a code.
bool read_code(std::uint8_t code, Ending& ending) {
  if (code == kNeverAccepted || code == kDelivered) {
    ending.kind = code == kDelivered ? EndKind::delivered : EndKind::never_accepted;
    return true;
  }
  ending.kind = EndKind::dropped;
  ending.reason = static_cast<DropReason>(code);
  return code < kDropReasons;
}

}  // namespace

std::size_t Endings::limit(std::uint32_t segment_bytes) {
  return std::clamp<std::size_t>(segment_bytes / kBytesPerEntry, kEndingsMin, kEndingsMax);
}

void Endings::add(const Ending& ending, std::size_t limit) {
  if (ending.count == 0) return;
  if (!entries_.empty()) {
    Ending& last = entries_.back();
    const bool follows =
        last.first + last.count == ending.first && code_of(last) == code_of(ending);
    if (follows && last.count <= ~std::uint32_t{0} - ending.count) {
      last.count += ending.count;
      return;
    }
  }
  entries_.push_back(ending);
  while (entries_.size() > limit) {
    const Ending& oldest = entries_.front();
    forgotten_below_ = std::max(forgotten_below_, oldest.first + oldest.count);
    entries_.pop_front();
  }
}

const Ending* Endings::find(MessageId id) const {
  const auto found = std::find_if(entries_.rbegin(), entries_.rend(),
                                  [id](const Ending& ending) { return ending.holds(id); });
  return found == entries_.rend() ? nullptr : &*found;
}

void Endings::write(ByteWriter& w) const {
  w.u64(forgotten_below_);
  w.u16(static_cast<std::uint16_t>(entries_.size()));
  for (const Ending& ending : entries_) {
    w.u64(ending.first);
    w.u32(ending.count);
    w.u8(code_of(ending));
  }
}

std::optional<Endings> Endings::read(ByteReader& r) {
  Endings out;
  out.forgotten_below_ = r.u64();
  const std::uint16_t count = r.u16();
  if (count > kEndingsMax) return std::nullopt;
  for (unsigned i = 0; i < count && r.ok(); ++i) {
    Ending ending;
    ending.first = r.u64();
    ending.count = r.u32();
    if (!read_code(r.u8(), ending)) return std::nullopt;
    out.entries_.push_back(ending);
  }
  if (!r.ok()) return std::nullopt;
  return out;
}

}  // namespace holdfast::outbox
