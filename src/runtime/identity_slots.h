// Reading the credential slots: files, certificates and keys as one picture for src/identity.
//
// Threads: any; one object in one thread at a time. It reads files, and never writes.
// Errors:  none: what cannot be read is a refused slot with its reason. Never what stands in a key.
#pragma once

#include <filesystem>
#include <memory>

#include "base/secret.h"
#include "env/disk.h"
#include "holdfast/config.h"
#include "identity/slots.h"

namespace holdfast::runtime {

class SlotReader {
 public:
  explicit SlotReader(const Config& config)
      : directory_(config.identity.directory), tls_(config.tls) {}

  /// The slots as they are now. Contents that were seen before are not parsed again.
  [[nodiscard]] identity::Slots read();

  /// There is no active.pem, and tls.cert_file and tls.key_file stand in for it.
  [[nodiscard]] bool pair_is_active() const { return pair_is_active_; }
  [[nodiscard]] const std::filesystem::path& certificate_file() const { return tls_.cert_file; }
  [[nodiscard]] const std::filesystem::path& key_file() const { return tls_.key_file; }

 private:
  [[nodiscard]] identity::View view_of(IdentitySlot slot, const std::filesystem::path& file,
                                       const Result<Secret>& content);
  [[nodiscard]] identity::View pair();

  std::filesystem::path directory_;
  TlsConfig tls_;
  identity::Slots seen_;
  bool pair_is_active_ = false;
};

/// Puts the file of the active slot in the place of tls.cert_file and tls.key_file, as an attempt
/// with it does.
void use_active_slot(Config& config);

/// Certificate and key files as the content of one slot; `installed` is a line before them, so that
/// the same two, installed again, are another content. Errors: of reading the files, and of
/// transport::inspect_identity().
[[nodiscard]] Result<Secret> bundle(const std::filesystem::path& certificate,
                                    const std::filesystem::path& key, const std::string& installed);

}  // namespace holdfast::runtime
