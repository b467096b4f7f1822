#include "transport/identity_check.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <array>

#include "base/check.h"
#include "base/hex.h"
#include "transport/certificate_look.h"
#include "transport/credentials.h"
#include "transport/pem.h"
#include "transport/sha256.h"
#include "transport/tls_errors.h"
#include "transport/tpm_key.h"

namespace holdfast::transport {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSubjectMax = 256;
constexpr std::size_t kIdBytes = 16;

std::string subject_of(X509* certificate) {
  const BioPtr out(::BIO_new(::BIO_s_mem()));
  // Control bytes are escaped, UTF-8 is left as it is.
  ::X509_NAME_print_ex(out.get(), ::X509_get_subject_name(certificate), 0,
                       XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  return std::string(content_of(out).substr(0, kSubjectMax));
}

std::string fingerprint_of(X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned length = 0;
  HF_CHECK(::X509_digest(certificate, ::EVP_sha256(), out.data(), &length) == 1);
  return text_to_hex({reinterpret_cast<const char*>(out.data()), length});
}

std::string key_type_of(X509* certificate) {
  EVP_PKEY* const key = ::X509_get0_pubkey(certificate);
  if (key == nullptr) return "unknown";
  const int kind = ::EVP_PKEY_get_base_id(key);
  if (kind == EVP_PKEY_RSA) return "RSA " + std::to_string(::EVP_PKEY_get_bits(key));
  if (kind == EVP_PKEY_ED25519) return "Ed25519";
  if (kind == EVP_PKEY_EC) return "EC " + std::to_string(::EVP_PKEY_get_bits(key));
  return ::OBJ_nid2ln(kind) == nullptr ? "unknown" : ::OBJ_nid2ln(kind);
}

/// Seconds since 1970; 0 for a time that cannot be read.
std::int64_t seconds_of(const ASN1_TIME* time) { return time_of(time).ms / 1000; }

Status check_key(SSL_CTX* context, X509* certificate, const IdentityText& text) {
  if (text.key == nullptr) return {};
  if (text.key->text().empty()) {
    return unfit(Errc::corrupt, "key", text.key_file, "the file is empty");
  }
  if (is_tpm_key(*text.key)) return {};  // what is in it only its TPM knows
  auto key = parse_private_key(*text.key, text.key_file);
  if (!key) return std::move(key).error();
  ::ERR_clear_error();
  if (::X509_check_private_key(certificate, key->get()) != 1) {
    return unfit(Errc::invalid_argument, "key", text.key_file,
                 text.key_file == text.certificate_file
                     ? "does not fit the certificate before it; put the two together that were "
                       "made together"
                     : "does not fit the certificate " + text.certificate_file.string() +
                           "; give the two that were made together");
  }
  if (::SSL_CTX_use_PrivateKey(context, key->get()) != 1) {
    return unfit(Errc::invalid_argument, "key", text.key_file, openssl_words());
  }
  return {};
}

}  // namespace

Result<SlotState> inspect_identity(const IdentityText& text) {
  const fs::path& file = text.certificate_file;
  if (text.certificate.text().empty()) {
    return unfit(Errc::corrupt, "certificate", file, "the file is empty");
  }
  const SslCtxPtr context(::SSL_CTX_new(::TLS_client_method()));
  if (!context) return Error{Errc::internal, "TLS cannot start: " + openssl_words(), 0};
  const BioPtr from = view_of(text.certificate);
  ::ERR_clear_error();
  const X509Ptr own = next_certificate(from);
  if (!own) {
    return unfit(Errc::corrupt, "certificate", file,
                 ended_well() ? "no PEM certificate in it" : "the certificate in it is damaged");
  }
  if (::SSL_CTX_use_certificate(context.get(), own.get()) != 1) {
    return unfit(Errc::invalid_argument, "certificate", file, openssl_words());
  }
  while (next_certificate(from) != nullptr) {
  }
  const bool whole = ended_well();
  // First the key: where it stands behind the certificates, its damage ends their chain.
  if (Status fits = check_key(context.get(), own.get(), text); !fits) {
    return std::move(fits).error();
  }
  if (!whole) {
    return unfit(Errc::corrupt, "certificate", file, "a certificate of the chain is damaged");
  }
  ::ERR_clear_error();
  SlotState state;
  state.condition = SlotCondition::complete;
  state.subject = subject_of(own.get());
  state.fingerprint = fingerprint_of(own.get());
  state.key_type = key_type_of(own.get());
  state.not_before = seconds_of(::X509_get0_notBefore(own.get()));
  state.not_after = seconds_of(::X509_get0_notAfter(own.get()));
  return state;
}

std::string content_id(std::string_view text) {
  return text_to_hex(std::string_view(sha256(text)).substr(0, kIdBytes));
}

}  // namespace holdfast::transport
