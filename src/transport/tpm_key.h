// A private key that only a TPM 2.0 can use, through OpenSSL's provider "tpm2" (tpm2-openssl).
//
// Purpose: TLS with a key that cannot be copied away: in a file that the TPM has wrapped ("TSS2
//          PRIVATE KEY"), or in the TPM at a persistent handle.
// Method:  the provider lives in a library context of its own, which the key owns. Only its
//          signatures come from there, never digests, random numbers or the other side's keys; and
//          a TPM that was away is met anew by the next key that is loaded.
// Threads: any. Loading and signing take as long as the TPM takes, in the thread that calls.
// Source:  TPM 2.0 library specification, part 2, section 6.6 (response codes); OpenSSL's
//          provider(7), EC_KEY_METHOD.
#pragma once

#include <filesystem>

#include "base/secret.h"
#include "holdfast/config.h"
#include "holdfast/result.h"
#include "transport/openssl_ptr.h"

namespace holdfast::transport {

/// tls.key_uri of a persistent handle begins so: "handle:0x81000001".
inline constexpr const char* kTpmHandle = "handle:";

/// Whether a PEM text has a key that a TPM has wrapped.
[[nodiscard]] bool is_tpm_key(const Secret& pem);

/// The key in `pem`, the content of `file`, or without it the one at the handle `tls.key_uri`. It
/// has signed once when this returns, so password and TPM are known to be right. A password that
/// the TPM has refused is not tried again by this process, since TPMs lock themselves; another one
/// in the file is.
/// Errors: unsupported (OpenSSL has no provider "tpm2", or it is no EC key), not_found (no TPM
/// answers, no key at the handle), corrupt (the TPM does not know the file's key), permission (the
/// password is wrong, the TPM is locked), io (whatever else the TPM says).
[[nodiscard]] Result<KeyPtr> load_tpm_key(const TlsConfig& tls, const Secret* pem = nullptr,
                                          const std::filesystem::path& file = {});

}  // namespace holdfast::transport
