// Secret keys, passed in: without the key nobody reads or forges what was sealed with it.
//
// Purpose:  AES-256-GCM (NIST SP 800-38D) for the outbox, under keys that are derived for one use.
// Threads:  a KeyRing and its Sealers belong to one thread at a time.
// Secrets:  neither gives a key away; whoever implements them wipes it from memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace holdfast::env {

/// Names a key without telling anything of it. 0: no key.
using KeyId = std::uint64_t;

inline constexpr std::size_t kNonceSize = 12;
inline constexpr std::size_t kSealTagSize = 16;

using Nonce = std::span<const std::byte, kNonceSize>;

/// One derived key.
class Sealer {
 public:
  virtual ~Sealer() = default;
  /// Encrypts `text` in place and authenticates it together with `clear`. A nonce must never be
  /// used twice with one key.
  virtual void seal(Nonce nonce, std::span<const std::byte> clear, std::span<std::byte> text,
                    std::span<std::byte, kSealTagSize> tag) = 0;
  /// Decrypts in place. False: this was not sealed with this key, or was changed since; `text` is
  /// then worth nothing.
  [[nodiscard]] virtual bool open(Nonce nonce, std::span<const std::byte> clear,
                                  std::span<std::byte> text,
                                  std::span<const std::byte, kSealTagSize> tag) = 0;
};

class KeyRing {
 public:
  virtual ~KeyRing() = default;
  /// The key for what is written now; 0: nothing is sealed any more.
  [[nodiscard]] virtual KeyId current() const = 0;
  [[nodiscard]] virtual bool has(KeyId key) const = 0;
  /// A key of its own for `context`, derived from that key. Null: it is not in the ring.
  [[nodiscard]] virtual std::unique_ptr<Sealer> derive(KeyId key,
                                                       std::span<const std::byte> context) = 0;
};

}  // namespace holdfast::env
