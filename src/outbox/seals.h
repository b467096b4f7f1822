// Encryption at rest: which key a segment has, and records sealed and opened with it.
//
// Purpose:  every segment that is written while there is a key is sealed with one of its own,
//           derived from the ring's key and the segment's store, sequence and salt. What recovery
//           and the books need (ids, lanes, sizes, times) stays readable without it.
// Promise:  a message whose key is not there is never sent and never given up: it waits, its
//           segment is "locked", until the key is back.
// Threads:  one thread at a time, as the outbox. The ring must outlive it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "env/key_ring.h"
#include "env/random.h"
#include "outbox/segment.h"

namespace holdfast::outbox {

/// A segment that holds sealed puts and does not tell under which key.
inline constexpr env::KeyId kUnknownKey = ~env::KeyId{0};

class Seals {
 public:
  /// Without a ring nothing is sealed, and what is sealed is locked.
  Seals(env::KeyRing* keys, env::Random* random) : keys_(keys), random_(random) {}

  /// The key for new segments; 0: they are not sealed.
  [[nodiscard]] env::KeyId current() const { return keys_ == nullptr ? 0 : keys_->current(); }
  [[nodiscard]] bool locked(const Segment& segment) const {
    return segment.key_id != 0 && (keys_ == nullptr || !keys_->has(segment.key_id));
  }
  /// Of that segment; null when it is not sealed, or locked. Valid until three others
  /// were asked for.
  [[nodiscard]] env::Sealer* of(const StoreUuid& store, const Segment& segment);

  /// Seals a put that was appended at `start`, the last in `out`.
  void seal(std::vector<std::byte>& out, std::size_t start, env::Sealer& sealer);
  /// Appends a valid put as it is to stand in the segment of `to` (null: not sealed); `from` is the
  /// sealer of the segment in which it stood. False, and nothing appended: it does not open.
  [[nodiscard]] bool copy(std::vector<std::byte>& out, std::span<const std::byte> record,
                          env::Sealer* from, env::Sealer* to);

 private:
  struct Cached {
    std::uint64_t sequence = 0;
    std::uint64_t salt = 0;
    std::unique_ptr<env::Sealer> sealer;
  };

  [[nodiscard]] std::array<std::byte, env::kNonceSize> next_nonce();

  env::KeyRing* keys_;
  env::Random* random_;
  std::array<Cached, 4> cache_;  // lanes are read from different segments in turn
  std::uint64_t nonce_base_ = 0;
  std::uint32_t nonce_count_ = 0;
};

/// Whether a put record is sealed.
[[nodiscard]] bool is_sealed(const RecordHeader& header);
/// A put without the cover of its seal, as a record of the same id (its checksum is not made anew).
/// Nullopt: it does not open.
[[nodiscard]] std::optional<std::vector<std::byte>> open_put(std::span<const std::byte> record,
                                                             env::Sealer& sealer);
/// Of a put that may be sealed. Nullopt: damaged, or sealed and `sealer` does not open it.
[[nodiscard]] std::optional<PutRecord> decode_put(std::span<const std::byte> record,
                                                  env::Sealer* sealer);

}  // namespace holdfast::outbox
