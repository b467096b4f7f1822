// The PIN of a token, or the password of a key in a TPM.
#pragma once

#include "base/secret.h"
#include "holdfast/config.h"
#include "holdfast/result.h"

namespace holdfast::transport {

/// The first line of `tls.pin_file`; empty text: there is no such file configured.
/// Errors: what reading gives, corrupt (the line is empty).
[[nodiscard]] Result<Secret> read_pin(const TlsConfig& tls);

}  // namespace holdfast::transport
