// AWS Signature Version 4, verified: of WebSocket URLs (in the query) and of HTTP requests (in the
// Authorization header).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/time.h"
#include "lab/iot/crypto.h"
#include "lab/iot/http.h"

namespace holdfast::lab::iot {

struct AccessKey {
  std::string id;
  std::string secret;
  std::string session_token;  ///< Empty: a key for good.
  WallTime expires{INT64_MAX};
  std::string principal = {};  ///< Whose: "AIDA…" of a user, "AROA…:SESSION" of a role.
};

/// The access keys that the lab knows.
class AccessKeys {
 public:
  AccessKeys() = default;
  AccessKeys(const AccessKeys&) = delete;
  AccessKeys& operator=(const AccessKeys&) = delete;
  virtual ~AccessKeys() = default;
  [[nodiscard]] virtual std::optional<AccessKey> access_key(std::string_view id) const = 0;
};

/// What a signature must be for.
struct SignatureScope {
  std::string region;
  std::string service;  ///< "iotdevicegateway"
  /// How far the clock of a signer may be off, and how long a signature in a query counts that
  /// names no X-Amz-Expires.
  std::int64_t tolerance_ms = std::int64_t{5} * 60 * 1000;
};

/// Whether `question` brings a signature, right or wrong.
[[nodiscard]] bool is_signed(const HttpQuestion& question);

/// Who signed `question`, or a word of Connection.AuthNError: NOT_AUTHENTICATED (no signature, or
/// one that makes no sense), SECURITY_TOKEN_INVALID, SECURITY_TOKEN_EXPIRED or
/// SECURITY_TOKEN_SIGNATURE_MISMATCH. A session token in the query may be signed with the rest or
/// be appended afterwards, as devices do for "iotdevicegateway".
[[nodiscard]] std::variant<AccessKey, std::string> verify_sigv4(WallTime now,
                                                                const HttpQuestion& question,
                                                                const SignatureScope& scope,
                                                                const AccessKeys& keys,
                                                                const Crypto& crypto);

}  // namespace holdfast::lab::iot
