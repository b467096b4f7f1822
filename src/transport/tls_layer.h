// TLS on a socket owned by the caller, with our own check of the server's name.
#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "transport/layer.h"
#include "transport/openssl_ptr.h"

namespace holdfast::transport {

struct TlsParameters {
  std::string server_name;  ///< A name (sent as SNI, RFC 6066) or a numeric address (not sent).
  std::string alpn;         ///< One protocol (RFC 7301), or empty.
  WallTime now;             ///< Against which certificates are checked.
};

/// Null with words in `problem` when the parameters cannot work.
[[nodiscard]] std::unique_ptr<Layer> make_tls_layer(SSL_CTX& context, int fd,
                                                    const TlsParameters& parameters,
                                                    std::string& problem);

}  // namespace holdfast::transport
