// What the streams of one TLS configuration share; an inner header of tls.h's implementation.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "lab/net/tls.h"

namespace holdfast::lab::net {

struct SslFree {
  void operator()(SSL_CTX* object) const noexcept { ::SSL_CTX_free(object); }
  void operator()(SSL* object) const noexcept { ::SSL_free(object); }
};

/// One stream's part in OpenSSL's callbacks; found through the SSL object.
struct TlsRecord {
  const TlsContext* context = nullptr;
  TlsFacts facts;
};

class TlsContext {
 public:
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> make(TlsServerOptions options);
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> make(TlsClientOptions options);

  /// An SSL object that writes down into `record`, which must outlive it. Null without memory.
  [[nodiscard]] std::unique_ptr<SSL, SslFree> open(TlsRecord& record) const;

  std::unique_ptr<SSL_CTX, SslFree> ssl;
  bool is_server = false;
  TlsServerOptions server;
  TlsClientOptions client;
};

/// The words of the oldest error in OpenSSL's queue; empties it.
[[nodiscard]] std::string openssl_words();

}  // namespace holdfast::lab::net
