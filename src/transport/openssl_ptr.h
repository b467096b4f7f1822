// OpenSSL's objects with owners.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string_view>

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

/// What was written to a BIO in memory; valid until it is written to again or freed.
inline std::string_view content_of(const BioPtr& memory) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return size <= 0 ? std::string_view() : std::string_view(text, static_cast<std::size_t>(size));
}

}  // namespace holdfast::transport
