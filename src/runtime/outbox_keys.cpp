#include "runtime/outbox_keys.h"

#include <utility>

#include "transport/key_ring.h"

namespace holdfast::runtime {
namespace {

/// The key of the identity for a device that does not encrypt, but may have: loaded when a sealed
/// segment is met, which for most devices is never. A key in memory costs 60 KiB of OpenSSL's.
class WhenMet final : public env::KeyRing {
 public:
  explicit WhenMet(transport::KeyFiles files) : files_(std::move(files)) {}

  [[nodiscard]] env::KeyId current() const override { return 0; }
  [[nodiscard]] bool has(env::KeyId key) const override {
    load();
    return ring_ != nullptr && ring_->has(key);
  }
  [[nodiscard]] std::unique_ptr<env::Sealer> derive(env::KeyId key,
                                                    std::span<const std::byte> context) override {
    load();
    return ring_ == nullptr ? nullptr : ring_->derive(key, context);
  }

 private:
  /// Once: what cannot be read now is locked until the next start.
  void load() const {
    if (std::exchange(tried_, true)) return;
    auto ring = transport::load_key_ring(files_, false);
    if (ring) ring_ = std::move(ring).value();
  }

  transport::KeyFiles files_;
  mutable std::unique_ptr<env::KeyRing> ring_;
  mutable bool tried_ = false;
};

}  // namespace

Result<std::unique_ptr<env::KeyRing>> load_outbox_keys(const Config& config) {
  const Config::Outbox& outbox = config.outbox;
  const bool of_identity = outbox.key_file.empty();
  const transport::KeyFiles files{of_identity ? config.tls.key_file : outbox.key_file,
                                  outbox.previous_key_file};
  if (outbox.encrypt && files.current.empty()) {
    return Error{Errc::invalid_config, "outbox.encrypt needs outbox.key_file or tls.key_file", 0};
  }
  // Whoever never encrypted must not need the key of an identity that may come later.
  if (!outbox.encrypt && of_identity && outbox.previous_key_file.empty()) {
    return std::unique_ptr<env::KeyRing>(std::make_unique<WhenMet>(files));
  }
  auto ring = transport::load_key_ring(files, outbox.encrypt);
  if (!ring) return std::move(ring).error().with("key of the outbox");
  return ring;
}

Result<std::unique_ptr<env::KeyRing>> load_outbox_key(const std::filesystem::path& file) {
  return transport::load_key_ring({file, {}}, false);
}

}  // namespace holdfast::runtime
