// The keys of the outbox, from files: AES-256-GCM and HKDF by OpenSSL.
//
// Purpose:  encryption at rest. A key file is the device's private key (PEM), or any file of at
//           least 32 bytes, such as one of /dev/urandom. docs/outbox-format.md has the derivation.
// Threads:  a ring and its sealers belong to one thread at a time.
// Secrets:  only derived keys are kept, and wiped; messages name files and never show what is in
//           them.
#pragma once

#include <filesystem>
#include <memory>

#include "env/key_ring.h"
#include "holdfast/result.h"

namespace holdfast::transport {

struct KeyFiles {
  std::filesystem::path current;   ///< Seals, and opens. Empty: none.
  std::filesystem::path previous;  ///< Only opens what was sealed before a change. Empty: none.
};

/// Without `seal` the ring only opens. Errors: not_found, permission, io, too_large, corrupt (PEM
/// without a private key), invalid_argument (a key with a password, too short).
[[nodiscard]] Result<std::unique_ptr<env::KeyRing>> load_key_ring(const KeyFiles& files, bool seal);

}  // namespace holdfast::transport
