#include "runtime/outbox_keys.h"

#include "transport/key_ring.h"

namespace holdfast::runtime {

Result<std::unique_ptr<env::KeyRing>> load_outbox_keys(const Config& config) {
  const Config::Outbox& outbox = config.outbox;
  const bool of_identity = outbox.key_file.empty();
  const transport::KeyFiles files{of_identity ? config.tls.key_file : outbox.key_file,
                                  outbox.previous_key_file};
  if (outbox.encrypt && files.current.empty()) {
    return Error{Errc::invalid_config, "outbox.encrypt needs outbox.key_file or tls.key_file", 0};
  }
  auto ring = transport::load_key_ring(files, outbox.encrypt);
  // Whoever never encrypted must not need the key of an identity that may come later.
  const bool needed = outbox.encrypt || !of_identity || !outbox.previous_key_file.empty();
  if (!ring && !needed) return std::unique_ptr<env::KeyRing>();
  if (!ring) return std::move(ring).error().with("key of the outbox");
  return ring;
}

Result<std::unique_ptr<env::KeyRing>> load_outbox_key(const std::filesystem::path& file) {
  return transport::load_key_ring({file, {}}, false);
}

}  // namespace holdfast::runtime
