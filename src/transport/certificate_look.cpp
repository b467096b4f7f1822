#include "transport/certificate_look.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "transport/credentials.h"

namespace holdfast::transport {

namespace {

struct StoreContextFree {
  void operator()(X509_STORE_CTX* object) const noexcept { ::X509_STORE_CTX_free(object); }
};
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, StoreContextFree>;

std::string key_words(EVP_PKEY* key) {
  const char* kind = "key";
  switch (::EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
      kind = "RSA";
      break;
    case EVP_PKEY_EC:
      kind = "EC";
      break;
    case EVP_PKEY_ED25519:
      kind = "Ed25519";
      break;
    default:
      break;
  }
  return std::string(kind) + ", " + std::to_string(::EVP_PKEY_get_bits(key)) + " bits";
}

std::vector<CertificateLook> look_at_store(X509_STORE* store) {
  std::vector<CertificateLook> all;
  const STACK_OF(X509_OBJECT)* objects = ::X509_STORE_get0_objects(store);
  for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i) {
    const X509* one = ::X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
    if (one != nullptr) all.push_back(look_at(one));
  }
  return all;
}

bool is_only_unknown(int error) {
  switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return true;
    default:
      return false;
  }
}

/// Signatures only: dates are told apart from them, and what the certificate is for the broker
/// judges.
void verify(SSL_CTX* context, STACK_OF(X509) * chain, CredentialLook& look) {
  const StoreContextPtr checking(::X509_STORE_CTX_new());
  X509* own = ::SSL_CTX_get0_certificate(context);
  if (!checking ||
      ::X509_STORE_CTX_init(checking.get(), ::SSL_CTX_get_cert_store(context), own, chain) != 1) {
    return;
  }
  ::X509_STORE_CTX_set_flags(checking.get(), X509_V_FLAG_NO_CHECK_TIME);
  if (::X509_verify_cert(checking.get()) == 1) {
    look.chain = ChainEnd::verified;
  } else {
    const int error = ::X509_STORE_CTX_get_error(checking.get());
    look.chain = is_only_unknown(error) ? ChainEnd::unknown_issuer : ChainEnd::broken;
    look.chain_problem = ::X509_verify_cert_error_string(error);
  }
  ::ERR_clear_error();
}

}  // namespace

WallTime time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ::ASN1_TIME_to_tm(time, &parts) != 1) return {};
  using namespace std::chrono;
  const sys_days day{year(parts.tm_year + 1900) / (parts.tm_mon + 1) / parts.tm_mday};
  const auto at = day + hours(parts.tm_hour) + minutes(parts.tm_min) + seconds(parts.tm_sec);
  return WallTime{duration_cast<milliseconds>(at.time_since_epoch()).count()};
}

std::string name_text(const X509_NAME* name) {
  const BioPtr memory(::BIO_new(::BIO_s_mem()));
  if (!memory || name == nullptr) return "?";
  ::X509_NAME_print_ex(memory.get(), name, 0, XN_FLAG_RFC2253);
  constexpr std::size_t kEnough = 120;
  return std::string(content_of(memory).substr(0, kEnough));
}

CertificateLook look_at(const X509* certificate) {
  return {name_text(::X509_get_subject_name(certificate)),
          name_text(::X509_get_issuer_name(certificate)),
          time_of(::X509_get0_notBefore(certificate)), time_of(::X509_get0_notAfter(certificate))};
}

Result<CredentialLook> look_at_credentials(const TlsConfig& tls) {
  auto context = load_context(tls);
  if (!context) return std::move(context).error();
  SSL_CTX* const loaded = context->get();
  CredentialLook look;
  look.ca = look_at_store(::SSL_CTX_get_cert_store(loaded));
  X509* before = ::SSL_CTX_get0_certificate(loaded);
  if (before == nullptr) return look;
  look.own.push_back(look_at(before));
  if (EVP_PKEY* key = ::SSL_CTX_get0_privatekey(loaded); key != nullptr) look.key = key_words(key);
  STACK_OF(X509)* chain = nullptr;
  ::SSL_CTX_get0_chain_certs(loaded, &chain);
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    X509* const next = sk_X509_value(chain, i);
    if (::X509_check_issued(next, before) != X509_V_OK) look.out_of_order = true;
    look.own.push_back(look_at(next));
    before = next;
  }
  verify(loaded, chain, look);
  return look;
}

}  // namespace holdfast::transport
