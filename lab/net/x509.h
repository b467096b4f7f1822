// X.509 certificates and keys over OpenSSL, as values; an inner header of pki.h's implementation.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "env/random.h"
#include "lab/iot/issuer.h"
#include "lab/net/openssl.h"

namespace holdfast::lab::net {

using CertificatePtr = OpenSslPtr<X509>;
using RequestPtr = OpenSslPtr<X509_REQ>;
using NamePtr = OpenSslPtr<X509_NAME>;
using KeyPtr = OpenSslPtr<EVP_PKEY>;

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
