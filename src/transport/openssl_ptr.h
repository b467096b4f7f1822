// OpenSSL's objects with owners.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>

namespace holdfast::transport {

struct OpenSslFree {
  void operator()(SSL_CTX* object) const noexcept { ::SSL_CTX_free(object); }
  void operator()(SSL* object) const noexcept { ::SSL_free(object); }
  void operator()(BIO* object) const noexcept { ::BIO_free_all(object); }
  void operator()(X509* object) const noexcept { ::X509_free(object); }
  void operator()(EVP_PKEY* object) const noexcept { ::EVP_PKEY_free(object); }
};
using SslCtxPtr = std::unique_ptr<SSL_CTX, OpenSslFree>;
using SslPtr = std::unique_ptr<SSL, OpenSslFree>;
using BioPtr = std::unique_ptr<BIO, OpenSslFree>;
using X509Ptr = std::unique_ptr<X509, OpenSslFree>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpenSslFree>;

}  // namespace holdfast::transport
