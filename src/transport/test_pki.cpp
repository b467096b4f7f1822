#include "transport/test_pki.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace holdfast::transport {

namespace {

void require(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(what);
}

void extend(X509* certificate, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context{};
  ::X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  require(extension != nullptr, "extension");
  require(::X509_add_ext(certificate, extension, -1) == 1, "add extension");
  ::X509_EXTENSION_free(extension);
}

Identity begin(const CertificateWish& wish) {
  Identity made;
  made.key.reset(wish.kind == KeyKind::ec ? ::EVP_EC_gen("P-256") : ::EVP_RSA_gen(2048));
  made.certificate.reset(::X509_new());
  require(made.key && made.certificate, "key");
  X509* certificate = made.certificate.get();
  ::X509_set_version(certificate, X509_VERSION_3);
  std::uint64_t serial = 0;
  ::RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial));
  ::ASN1_INTEGER_set_uint64(::X509_get_serialNumber(certificate), serial >> 1U);
  ::X509_gmtime_adj(::X509_getm_notBefore(certificate), wish.valid_from_s);
  ::X509_gmtime_adj(::X509_getm_notAfter(certificate), wish.valid_from_s + wish.valid_for_s);
  ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.common_name.c_str()), -1,
                               -1, 0);
  ::X509_set_pubkey(certificate, made.key.get());
  return made;
}

}  // namespace

TestDirectory::TestDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "holdfast-test-XXXXXX").string();
  require(::mkdtemp(name.data()) != nullptr, "mkdtemp");
  path_ = name;
}

TestDirectory::~TestDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TestDirectory::write(const std::string& name,
                                           const std::string& content) const {
  auto file = path_ / name;
  std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
  return file;
}

std::string Identity::certificate_pem() const {
  const BioPtr memory(::BIO_new(::BIO_s_mem()));
  require(::PEM_write_bio_X509(memory.get(), certificate.get()) == 1, "write certificate");
  return std::string(content_of(memory));
}

std::string Identity::key_pem(const char* password) const {
  const BioPtr memory(::BIO_new(::BIO_s_mem()));
  const EVP_CIPHER* cipher = password != nullptr ? ::EVP_aes_128_cbc() : nullptr;
  const std::string word = password != nullptr ? password : "";
  require(::PEM_write_bio_PKCS8PrivateKey(memory.get(), key.get(), cipher, word.c_str(),
                                          static_cast<int>(word.size()), nullptr, nullptr) == 1,
          "write key");
  return std::string(content_of(memory));
}

Identity make_ca(const std::string& common_name) {
  CertificateWish wish;
  wish.common_name = common_name;
  wish.valid_from_s = -10L * 365 * 86400;
  wish.valid_for_s = 20L * 365 * 86400;
  Identity made = begin(wish);
  X509* certificate = made.certificate.get();
  ::X509_set_issuer_name(certificate, ::X509_get_subject_name(certificate));
  extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  extend(certificate, certificate, NID_subject_key_identifier, "hash");
  require(::X509_sign(certificate, made.key.get(), ::EVP_sha256()) > 0, "sign");
  return made;
}

Identity issue(const Identity& ca, const CertificateWish& wish) {
  Identity made = begin(wish);
  X509* certificate = made.certificate.get();
  ::X509_set_issuer_name(certificate, ::X509_get_subject_name(ca.certificate.get()));
  if (!wish.alt_names.empty()) {
    extend(certificate, ca.certificate.get(), NID_subject_alt_name, wish.alt_names);
  }
  require(::X509_sign(certificate, ca.key.get(), ::EVP_sha256()) > 0, "sign");
  return made;
}

}  // namespace holdfast::transport
