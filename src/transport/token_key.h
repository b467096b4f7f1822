// A private key that lives in a PKCS#11 token (HSM, secure element, TPM) and never leaves it.
//
// Purpose: TLS with such a key, through OpenSSL's engine "pkcs11" of libp11, loaded when it is
//          asked for.
// Threads: any; one at a time goes to the token. Signing happens in the thread of the handshake and
//          takes as long as the token takes.
// Source:  RFC 7512 (URIs of objects in tokens), PKCS #11 v2.40.
#pragma once

#include "holdfast/config.h"
#include "holdfast/result.h"
#include "transport/openssl_ptr.h"

namespace holdfast::transport {

/// The key at `tls.key_uri`. A PIN that the token has refused is not tried again by this process,
/// since tokens lock themselves after a few wrong ones; another PIN in the file is.
/// Errors: unsupported (OpenSSL has no engine "pkcs11"), not_found (no such key, or no token),
/// permission (the PIN is wrong), and what reading the PIN's file gives.
[[nodiscard]] Result<KeyPtr> load_token_key(const TlsConfig& tls);

}  // namespace holdfast::transport
