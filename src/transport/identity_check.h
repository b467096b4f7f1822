// What a certificate and its private key say, or one sentence about why they cannot be used.
//
// Threads: pure functions of their arguments.
// Secrets: nothing of a private key is in what they give; messages name files only.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::transport {

/// PEM texts and the names of the files that they are from; both may be the same.
struct IdentityText {
  const Secret& certificate;  ///< Our own first, then the chain; other blocks are passed over.
  std::filesystem::path certificate_file;
  /// None: it is elsewhere (a token) and not looked at, nor is one that only a TPM can use.
  const Secret* key = nullptr;
  std::filesystem::path key_file;
};

/// Checks what a TLS client would need: that they parse, that the key belongs to the certificate,
/// that both are strong enough for this OpenSSL. Times are told, not judged.
/// Errors: corrupt (empty, not PEM, damaged), invalid_argument (they do not fit together, a key
/// with a password, too weak a key).
[[nodiscard]] Result<SlotState> inspect_identity(const IdentityText& text);

/// The same text gives the same 32 hexadecimal digits, another one gives others.
[[nodiscard]] std::string content_id(std::string_view text);

}  // namespace holdfast::transport
