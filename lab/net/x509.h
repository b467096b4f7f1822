// X.509 certificates and keys over OpenSSL, as values; an inner header of pki.h's implementation.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "env/random.h"
#include "lab/iot/issuer.h"

namespace holdfast::lab::net {

struct X509Free {
  void operator()(X509* object) const noexcept { ::X509_free(object); }
  void operator()(X509_REQ* object) const noexcept { ::X509_REQ_free(object); }
  void operator()(X509_NAME* object) const noexcept { ::X509_NAME_free(object); }
  void operator()(EVP_PKEY* object) const noexcept { ::EVP_PKEY_free(object); }
};
using CertificatePtr = std::unique_ptr<X509, X509Free>;
using RequestPtr = std::unique_ptr<X509_REQ, X509Free>;
using NamePtr = std::unique_ptr<X509_NAME, X509Free>;
using KeyPtr = std::unique_ptr<EVP_PKEY, X509Free>;

enum class KeyKind : std::uint8_t { rsa_2048, p256 };
[[nodiscard]] Result<KeyPtr> make_key(KeyKind kind);

[[nodiscard]] Result<NamePtr> make_name(const std::string& common_name);

/// What a new certificate says.
struct CertificatePlan {
  const X509_NAME* subject = nullptr;
  EVP_PKEY* key = nullptr;
  WallTime not_before;
  WallTime not_after;
  bool is_ca = false;
  bool is_server = false;
  /// Host names and IP addresses of the subject.
  std::vector<std::string> names;
};
/// Signs it with `issuer` and `issuer_key`; without an issuer it is its own.
[[nodiscard]] Result<CertificatePtr> make_certificate(const CertificatePlan& plan, X509* issuer,
                                                      EVP_PKEY& issuer_key, env::Random& random);

/// The first of its kind in a text. What is encrypted is refused; nobody is asked for a password.
[[nodiscard]] Result<CertificatePtr> parse_certificate(std::string_view pem);
[[nodiscard]] Result<RequestPtr> parse_request(std::string_view pem);
[[nodiscard]] Result<KeyPtr> parse_private_key(std::string_view pem);

[[nodiscard]] Result<std::string> pem_of(const X509& certificate);
[[nodiscard]] Result<std::string> public_pem_of(const EVP_PKEY& key);
/// RSA as AWS writes it: "BEGIN RSA PRIVATE KEY".
[[nodiscard]] Result<std::string> private_pem_of(const EVP_PKEY& key);

[[nodiscard]] Result<iot::CertificateFacts> facts_of(const X509& certificate);

}  // namespace holdfast::lab::net
