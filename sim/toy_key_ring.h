// A key ring for simulations: hides and proves like the real one, without a cryptographic library.
//
// It is no encryption. It keeps what the outbox relies on: another key, context, nonce or bit gives
// another text and fails to open; and it knows when a nonce is used twice with one key.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/check.h"
#include "env/key_ring.h"

namespace holdfast::sim {

class ToyKeyRing final : public env::KeyRing {
 public:
  /// Of the first key new segments are sealed; none seals nothing. With `watch_nonces` every nonce
  /// is remembered, and using one twice is fatal: for one thread and one store.
  explicit ToyKeyRing(std::vector<env::KeyId> keys, bool watch_nonces = false)
      : keys_(std::move(keys)), watch_(watch_nonces) {}

  /// Which keys there are from now on.
  void set(std::vector<env::KeyId> keys) { keys_ = std::move(keys); }
  /// What new segments get.
  void seal_with(env::KeyId key) { current_ = key; }

  [[nodiscard]] env::KeyId current() const override {
    return current_ != kFirst ? current_ : keys_.empty() ? 0 : keys_.front();
  }
  [[nodiscard]] bool has(env::KeyId key) const override {
    return std::find(keys_.begin(), keys_.end(), key) != keys_.end();
  }
  [[nodiscard]] std::unique_ptr<env::Sealer> derive(env::KeyId key,
                                                    std::span<const std::byte> context) override {
    if (!has(key)) return nullptr;
    return std::make_unique<ToySealer>(hash(key, context), watch_ ? &used_ : nullptr);
  }

 private:
  using Used = std::set<std::pair<std::uint64_t, std::array<std::byte, env::kNonceSize>>>;
  static constexpr env::KeyId kFirst = ~env::KeyId{0} - 1;

  static std::uint64_t mix(std::uint64_t v) {
    v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9U;
    v = (v ^ (v >> 27)) * 0x94D049BB133111EBU;
    return v ^ (v >> 31);
  }
  static std::uint64_t hash(std::uint64_t seed, std::span<const std::byte> bytes) {
    std::uint64_t h = mix(seed + bytes.size());
    for (const std::byte b : bytes) h = mix(h ^ std::to_integer<std::uint64_t>(b));
    return h;
  }

  class ToySealer final : public env::Sealer {
   public:
    ToySealer(std::uint64_t key, Used* used) : key_(key), used_(used) {}

    void seal(env::Nonce nonce, std::span<const std::byte> clear, std::span<std::byte> text,
              std::span<std::byte, env::kSealTagSize> tag) override {
      if (used_ != nullptr) {
        std::array<std::byte, env::kNonceSize> copy{};
        std::copy(nonce.begin(), nonce.end(), copy.begin());
        HF_CHECK(used_->emplace(key_, copy).second);
      }
      cover(nonce, text);
      const auto proof = tag_of(nonce, clear, text);
      std::copy(proof.begin(), proof.end(), tag.begin());
    }
    bool open(env::Nonce nonce, std::span<const std::byte> clear, std::span<std::byte> text,
              std::span<const std::byte, env::kSealTagSize> tag) override {
      const auto proof = tag_of(nonce, clear, text);
      cover(nonce, text);
      return std::equal(proof.begin(), proof.end(), tag.begin());
    }

   private:
    void cover(env::Nonce nonce, std::span<std::byte> text) const {
      std::uint64_t stream = hash(key_, nonce);
      for (std::byte& b : text) {
        stream = mix(stream + 1);
        b ^= static_cast<std::byte>(stream);
      }
    }
    [[nodiscard]] std::array<std::byte, env::kSealTagSize> tag_of(
        env::Nonce nonce, std::span<const std::byte> clear, std::span<const std::byte> text) const {
      const std::uint64_t first = hash(hash(hash(key_, nonce), clear), text);
      const std::array<std::uint64_t, 2> words{first, mix(first ^ key_)};
      std::array<std::byte, env::kSealTagSize> tag{};
      static_assert(sizeof(words) == env::kSealTagSize);
      std::memcpy(tag.data(), words.data(), tag.size());
      return tag;
    }

    std::uint64_t key_;
    Used* used_;
  };

  std::vector<env::KeyId> keys_;
  env::KeyId current_ = kFirst;
  bool watch_;
  Used used_;
};

}  // namespace holdfast::sim
