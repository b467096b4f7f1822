// A new private key, and the request for its certificate (PKCS #10, RFC 2986).
//
// Threads: any. Secrets: the key is in what make_key() gives and nowhere else.
#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"
#include "holdfast/result.h"

namespace holdfast::transport {

/// An EC key on P-256, as PEM (PKCS #8) without a password. Errors: internal (OpenSSL cannot).
[[nodiscard]] Result<Secret> make_key();

/// A signed request, as PEM, for a certificate of that key with the subject CN=`common_name`, of
/// which 64 bytes count (RFC 5280). Errors: corrupt, invalid_argument (the key), internal.
[[nodiscard]] Result<std::string> make_certificate_request(const Secret& key,
                                                           std::string_view common_name);

}  // namespace holdfast::transport
