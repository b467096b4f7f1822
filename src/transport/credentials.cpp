#include "transport/credentials.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <cerrno>
#include <limits>

#include "posix/os_error.h"
#include "posix/system.h"
#include "transport/pem.h"
#include "transport/tls_errors.h"
#include "transport/token_key.h"
#include "transport/tpm_key.h"
#include "transport/transport.h"

namespace holdfast::transport {

namespace {

namespace fs = std::filesystem;

static_assert(kCaFileMax < std::size_t{std::numeric_limits<int>::max()});

/// Content that is wiped when it is no longer needed, because it may be a key.
Result<Secret> read(const char* what, const fs::path& file, std::size_t max_bytes) {
  auto text = posix::read_file(file, max_bytes);
  if (!text) return std::move(text).error().with(what);
  if (text->empty()) return unfit(Errc::corrupt, what, file, "the file is empty");
  return Secret(std::move(text).value());
}

int refuse_password(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Status load_ca(SSL_CTX* context, const fs::path& file) {
  if (file.empty()) {
    // A directory of hashed names is read certificate by certificate when one is needed.
    if (::SSL_CTX_set_default_verify_paths(context) == 1) return {};
    return Error{Errc::io, "the system's CA store cannot be used: " + openssl_words(), 0};
  }
  auto text = read("CA file", file, kCaFileMax);
  if (!text) return std::move(text).error();
  const BioPtr from = view_of(*text);
  X509_STORE* store = ::SSL_CTX_get_cert_store(context);
  std::size_t count = 0;
  ::ERR_clear_error();
  while (const X509Ptr certificate = next_certificate(from)) {
    if (::X509_STORE_add_cert(store, certificate.get()) != 1) {
      return unfit(Errc::corrupt, "CA file", file, openssl_words());
    }
    ++count;
  }
  if (!ended_well()) {
    return unfit(Errc::corrupt, "CA file", file,
                 "certificate " + std::to_string(count + 1) + " in it is damaged");
  }
  if (count == 0) return unfit(Errc::corrupt, "CA file", file, "no PEM certificate in it");
  // Whatever stands in this file is trusted as it is, be it a root, an intermediate or a server.
  ::X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  return {};
}

Result<X509Ptr> load_certificates(SSL_CTX* context, const fs::path& file) {
  auto text = read("certificate", file, kCertFileMax);
  if (!text) return std::move(text).error();
  const BioPtr from = view_of(*text);
  ::ERR_clear_error();
  X509Ptr own = next_certificate(from);
  if (!own) {
    return unfit(Errc::corrupt, "certificate", file,
                 ended_well() ? "no PEM certificate in it" : "the certificate in it is damaged");
  }
  if (::SSL_CTX_use_certificate(context, own.get()) != 1) {
    return unfit(Errc::invalid_argument, "certificate", file, openssl_words());
  }
  while (X509Ptr link = next_certificate(from)) {
    if (::SSL_CTX_add0_chain_cert(context, link.get()) != 1) {
      return unfit(Errc::invalid_argument, "certificate", file, openssl_words());
    }
    static_cast<void>(link.release());  // The context owns it now.
  }
  if (!ended_well()) {
    return unfit(Errc::corrupt, "certificate", file, "a certificate of the chain is damaged");
  }
  return own;
}

Result<KeyPtr> read_key(const TlsConfig& tls) {
  if (tls.key_uri.starts_with(kTpmHandle)) return load_tpm_key(tls);
  if (!tls.key_uri.empty()) return load_token_key(tls);
  auto pem = read("key", tls.key_file, kKeyFileMax);
  if (!pem) return std::move(pem).error();
  if (is_tpm_key(*pem)) return load_tpm_key(tls, &*pem, tls.key_file);
  return parse_private_key(*pem, tls.key_file);
}

Status load_identity(SSL_CTX* context, const TlsConfig& tls) {
  const fs::path key_name = tls.key_uri.empty() ? tls.key_file : fs::path(tls.key_uri);
  if (tls.cert_file.empty() && key_name.empty()) return {};
  if (tls.cert_file.empty() || key_name.empty()) {
    return Error{Errc::invalid_argument,
                 key_name.empty() ? "a certificate is given without its key; set tls.key_file"
                                  : "a key is given without its certificate; set tls.cert_file",
                 0};
  }
  auto certificate = load_certificates(context, tls.cert_file);
  if (!certificate) return std::move(certificate).error();
  auto key = read_key(tls);
  if (!key) return std::move(key).error();
  ::ERR_clear_error();
  if (::X509_check_private_key(certificate->get(), key->get()) != 1) {
    return unfit(Errc::invalid_argument, "key", key_name,
                 "does not fit the certificate " + tls.cert_file.string() +
                     "; install the two that were made together");
  }
  if (::SSL_CTX_use_PrivateKey(context, key->get()) != 1) {
    return unfit(Errc::invalid_argument, "key", key_name, openssl_words());
  }
  return {};
}

/// Of TLS 1.2: those that AWS IoT Core has, the better ones first; AWS IoT Device Advisor warns of
/// any other. TLS 1.3 has only good ones.
constexpr const char* kSuitesOf12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:"
    "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:"
    "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:"
    "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA";

SslCtxPtr new_context() {
  SslCtxPtr context(::SSL_CTX_new(::TLS_client_method()));
  if (!context) return context;
  ::SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  ::SSL_CTX_set_cipher_list(context.get(), kSuitesOf12);
  ::SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  ::SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  ::SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  // One recv() may bring several records; without it each record costs two.
  ::SSL_CTX_set_read_ahead(context.get(), 1);
  return context;
}

}  // namespace

Result<KeyPtr> parse_private_key(const Secret& pem, const fs::path& file) {
  if (is_tpm_key(pem)) {
    return unfit(Errc::invalid_argument, "key", file,
                 "only a TPM can use it, and that for connections; give another");
  }
  const bool present = pem.text().find("PRIVATE KEY-----") != std::string::npos;
  const BioPtr from = view_of(pem);
  bool asked = false;
  ::ERR_clear_error();
  KeyPtr key(::PEM_read_bio_PrivateKey(from.get(), nullptr, refuse_password, &asked));
  if (key) return key;
  if (asked) {
    return unfit(Errc::invalid_argument, "key", file,
                 "it is protected by a password, which an unattended device cannot type; store it "
                 "without one, readable by its owner only");
  }
  return unfit(Errc::corrupt, "key", file,
               present ? "the private key in it is damaged" : "no PEM private key in it");
}

Result<SslCtxPtr> load_context(const TlsConfig& tls) {
  ::ERR_clear_error();
  SslCtxPtr context = new_context();
  if (!context) return Error{Errc::internal, "TLS cannot start: " + openssl_words(), 0};
  if (Status ca = load_ca(context.get(), tls.ca_file); !ca) return std::move(ca).error();
  if (Status own = load_identity(context.get(), tls); !own) return std::move(own).error();
  return context;
}

Status check_credentials(const TlsConfig& tls) {
  auto context = load_context(tls);
  if (!context) return std::move(context).error();
  return {};
}

}  // namespace holdfast::transport
