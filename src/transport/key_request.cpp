#include "transport/key_request.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <utility>

#include "base/utf8.h"
#include "transport/credentials.h"
#include "transport/openssl_ptr.h"
#include "transport/tls_errors.h"

namespace holdfast::transport {

namespace {

constexpr std::size_t kCommonNameMax = 64;  // ub-common-name

struct FreeRequest {
  void operator()(X509_REQ* request) const noexcept { ::X509_REQ_free(request); }
};

Error failed(const char* what) {
  return Error{Errc::internal, std::string(what) + ": " + openssl_words(), 0};
}

/// Memory that is wiped when it is freed.
BioPtr secret_memory() { return BioPtr(::BIO_new(::BIO_s_secmem())); }

}  // namespace

Result<Secret> make_key() {
  ::ERR_clear_error();
  const KeyPtr key(::EVP_EC_gen("P-256"));
  const BioPtr out = secret_memory();
  if (!key || !out ||
      ::PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                      nullptr) != 1) {
    return failed("no private key can be made");
  }
  return Secret(std::string(content_of(out)));
}

Result<std::string> make_certificate_request(const Secret& key, std::string_view common_name) {
  auto parsed = parse_private_key(key, "of the new certificate");
  if (!parsed) return std::move(parsed).error();
  ::ERR_clear_error();
  std::string_view name = common_name.substr(0, kCommonNameMax);
  while (!valid_utf8(name)) name.remove_suffix(1);
  const std::unique_ptr<X509_REQ, FreeRequest> request(::X509_REQ_new());
  const BioPtr out(::BIO_new(::BIO_s_mem()));
  if (!request || !out) return failed("no certificate request can be made");
  X509_NAME* const subject = ::X509_REQ_get_subject_name(request.get());
  const bool made =
      ::X509_REQ_set_version(request.get(), 0) == 1 &&
      ::X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(name.data()),
                                   static_cast<int>(name.size()), -1, 0) == 1 &&
      ::X509_REQ_set_pubkey(request.get(), parsed->get()) == 1 &&
      ::X509_REQ_sign(request.get(), parsed->get(), ::EVP_sha256()) > 0 &&
      ::PEM_write_bio_X509_REQ(out.get(), request.get()) == 1;
  if (!made) return failed("no certificate request can be made");
  return std::string(content_of(out));
}

}  // namespace holdfast::transport
