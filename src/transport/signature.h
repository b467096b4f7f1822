// Signatures by Ed25519 (RFC 8032) of small texts.
//
// Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "holdfast/result.h"

namespace holdfast::transport {

/// Whether `signature` (64 bytes) is that of `text` by the key. Errors: corrupt if `pem` is no
/// public key of this kind.
[[nodiscard]] Result<bool> verify_ed25519(std::string_view pem, std::string_view text,
                                          std::string_view signature);

/// The signature of `text` by a private key. Errors: corrupt if `pem` is none of this kind.
[[nodiscard]] Result<std::string> sign_ed25519(std::string_view pem, std::string_view text);

}  // namespace holdfast::transport
