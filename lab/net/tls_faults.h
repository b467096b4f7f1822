// The relay's TLS server as it is, and as TLS faults make it.
//
// Threads: the loop's thread only.
#pragma once

#include <optional>
#include <string>

#include "holdfast/result.h"
#include "lab/fault/faults.h"
#include "lab/net/tls.h"

namespace holdfast::lab::net {

class TlsServers {
 public:
  /// `folder`: the certificates of faults, as FAULT.crt and FAULT.key ("expired.crt",
  /// "wrong-name.crt", "unknown-ca.crt", "oversized-chain.crt"); empty: there are none.
  TlsServers(TlsServerOptions usual, std::string folder)
      : usual_(std::move(usual)), folder_(std::move(folder)) {}

  /// The server for connections that come under these settings. Errors: invalid_argument, with the
  /// file that is missing or wrong. For TlsFault::no_handshake, that of no fault.
  [[nodiscard]] Result<TlsServer> server(const fault::TlsSettings& settings);

 private:
  [[nodiscard]] Result<TlsServerOptions> options(const fault::TlsSettings& settings) const;

  TlsServerOptions usual_;
  std::string folder_;
  // The last one made: settings change seldom.
  std::optional<TlsServer> made_;
  fault::TlsSettings made_for_;
};

}  // namespace holdfast::lab::net
