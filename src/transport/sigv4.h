// AWS Signature Version 4 for MQTT over WebSocket: keys of AWS (IAM) instead of a certificate.
//
// The signature stands in the query of the request for WebSocket. It is good for some minutes
// around its time, so each attempt is signed anew, and a clock that is far off makes the server
// refuse it.
// Threads: none of its own; pure but for OpenSSL's digests.
// Source:  AWS IoT Core developer guide, device communication protocols; AWS General Reference,
//          Signature Version 4 signing process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace holdfast::transport {

/// An access key. Its two last parts are secrets: they belong into no log.
struct AwsKeys {
  std::string id;  ///< "AKIA…" for good, "ASIA…" temporary.
  std::string secret;
  std::string session_token;        ///< Of temporary keys; empty: none.
  std::optional<WallTime> expires;  ///< Of temporary keys, where it is known.
};

/// What is asked for.
struct UnsignedUpgrade {
  std::string host;
  std::uint16_t port = 443;
  bool tls = true;
  std::string path;    ///< No query; see plain_path().
  std::string region;  ///< "eu-west-1"
};

/// Whether a path is the same before and after percent-encoding, so that what is signed is what is
/// sent: letters, digits and - . _ ~ / only, the first a /.
[[nodiscard]] bool plain_path(std::string_view path);

/// The Region in the name of one of AWS IoT Core's endpoints, "…iot.REGION.amazonaws.com"; empty
/// for other names.
[[nodiscard]] std::string region_of(std::string_view host);

/// The request's target: path and signed query. The session token comes behind the signature and
/// is not covered by it, which is what AWS IoT Core wants and most of AWS does not.
[[nodiscard]] std::string sign_upgrade(const AwsKeys& keys, const UnsignedUpgrade& what,
                                       WallTime now);

}  // namespace holdfast::transport
