// From the files of a TlsConfig to an SSL_CTX, or one sentence about what is wrong with them.
//
// Files are read whole and bounded; nothing ever asks on the terminal; messages name files and
// never show what is in them.
#pragma once

#include <filesystem>
#include <string>

#include "base/limits.h"
#include "base/secret.h"
#include "holdfast/config.h"
#include "holdfast/result.h"
#include "transport/openssl_ptr.h"

namespace holdfast::transport {

inline constexpr std::size_t kCaFileMax = 2 * limits::kMiB;  // a whole system store fits
inline constexpr std::size_t kCertFileMax = 64 * limits::kKiB;
inline constexpr std::size_t kKeyFileMax = 64 * limits::kKiB;

/// A client context: TLS 1.2 or later, peer verification on, no renegotiation, small buffers.
/// The expected name of the server is set per connection (tls_layer.h).
/// Errors: not_found, permission, io, too_large (from reading a file), corrupt (not PEM),
/// invalid_argument (files that do not fit together, a key with a password).
[[nodiscard]] Result<SslCtxPtr> load_context(const TlsConfig& tls);

/// The private key in `pem`, the content of `file`. Errors: corrupt (none in it, or
/// damaged), invalid_argument (it has a password).
[[nodiscard]] Result<KeyPtr> parse_private_key(const Secret& pem,
                                               const std::filesystem::path& file);

}  // namespace holdfast::transport
