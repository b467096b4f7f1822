// What the streams of one TLS configuration share; an inner header of tls.h's implementation.
#pragma once

#include <memory>

#include "lab/net/openssl.h"
#include "lab/net/tls.h"

namespace holdfast::lab::net {

/// One stream's part in OpenSSL's callbacks; found through the SSL object.
struct TlsRecord {
  const TlsContext* context = nullptr;
  bool silent = false;  ///< The alert of a failed handshake is kept back.
  TlsFacts facts;
};

/// Writes down what a handshake has agreed on.
void note_established(SSL& ssl, TlsRecord& record);

class TlsContext {
 public:
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> make(TlsServerOptions options);
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> make(TlsClientOptions options);

  /// An SSL object that writes down into `record`, which must outlive it. Null without memory.
  [[nodiscard]] OpenSslPtr<SSL> open(TlsRecord& record) const;

  OpenSslPtr<SSL_CTX> ssl;
  bool is_server = false;
  TlsServerOptions server;
  TlsClientOptions client;
};

}  // namespace holdfast::lab::net
