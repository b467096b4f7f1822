// How ids ended in another way than delivery, so that a message's fate can be told by its id.
//
// Purpose:  an id that is neither waiting nor listed here was delivered. The list is bounded; what
//           it has forgotten it says (forgotten_below), instead of guessing.
// Memory:   one entry per run of ids with one end; kept in every checkpoint.
// Threads:  one thread at a time, as the outbox.
// Errors:   none.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "outbox/bytes.h"
#include "outbox/format.h"

namespace holdfast::outbox {

enum class EndKind : std::uint8_t {
  dropped,         ///< For Ending::reason.
  never_accepted,  ///< Given to a message that was then not accepted, or to none.
  delivered,       ///< Although an older entry says otherwise.
};

/// Ids first … first + count - 1 and how they ended.
struct Ending {
  MessageId first = 0;
  std::uint32_t count = 0;
  EndKind kind = EndKind::dropped;
  DropReason reason = DropReason::expired;  ///< Meaningful when dropped.

  [[nodiscard]] bool holds(MessageId id) const { return id >= first && id - first < count; }
};

/// As many ids as a range can have: an end of an epoch without end.
inline constexpr std::uint32_t kAllIds = ~std::uint32_t{0};

inline constexpr std::size_t kEndingsMax = 256;
inline constexpr std::size_t kEndingsMin = 8;

class Endings {
 public:
  /// How many a store keeps: in a small segment the checkpoint must stay small, too.
  [[nodiscard]] static std::size_t limit(std::uint32_t segment_bytes);

  /// Adds one at the end; forgets the oldest beyond `limit`.
  void add(const Ending& ending, std::size_t limit);
  /// The newest that holds the id.
  [[nodiscard]] const Ending* find(MessageId id) const;
  /// Below this id an ending may have been forgotten.
  [[nodiscard]] MessageId forgotten_below() const { return forgotten_below_; }

  void write(ByteWriter& w) const;
  [[nodiscard]] static std::optional<Endings> read(ByteReader& r);

 private:
  std::deque<Ending> entries_;
  MessageId forgotten_below_ = 0;
};

}  // namespace holdfast::outbox
