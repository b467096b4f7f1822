// OpenSSL's objects and words, for the files of this room that use it; an inner header.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

namespace holdfast::lab::net {

struct OpenSslFree {
  void operator()(BIO* object) const noexcept { ::BIO_free(object); }
  void operator()(EVP_MD_CTX* object) const noexcept { ::EVP_MD_CTX_free(object); }
  void operator()(EVP_PKEY* object) const noexcept { ::EVP_PKEY_free(object); }
  void operator()(SSL* object) const noexcept { ::SSL_free(object); }
  void operator()(SSL_CTX* object) const noexcept { ::SSL_CTX_free(object); }
  void operator()(X509* object) const noexcept { ::X509_free(object); }
  void operator()(X509_NAME* object) const noexcept { ::X509_NAME_free(object); }
  void operator()(X509_REQ* object) const noexcept { ::X509_REQ_free(object); }
};
template <class Object>
using OpenSslPtr = std::unique_ptr<Object, OpenSslFree>;

/// The words of the oldest error in OpenSSL's queue; empties it.
[[nodiscard]] std::string openssl_words();

/// For reading `text`, which must outlive it. Null: it is too long, or there is no memory.
[[nodiscard]] OpenSslPtr<BIO> memory_of(std::string_view text);
/// What was written to a BIO in memory; valid until that changes.
[[nodiscard]] std::string_view content_of(BIO& memory);

/// As RFC 2253 writes it.
[[nodiscard]] std::string one_line(const X509_NAME* name);
/// SHA-256 of its DER in lower-case hexadecimal: AWS's certificate id. Empty: it failed.
[[nodiscard]] std::string fingerprint_of(const X509& certificate);

/// Whether a certificate names this host as an IP address, not as a DNS name.
[[nodiscard]] bool is_address(const std::string& host);

}  // namespace holdfast::lab::net
