#include "lab/net/pki.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <utility>

#include "posix/system.h"

namespace holdfast::lab::net {
namespace {

struct Free {
  void operator()(BIO* o) const noexcept { ::BIO_free_all(o); }
  void operator()(X509* o) const noexcept { ::X509_free(o); }
  void operator()(X509_REQ* o) const noexcept { ::X509_REQ_free(o); }
  void operator()(EVP_PKEY* o) const noexcept { ::EVP_PKEY_free(o); }
  void operator()(BIGNUM* o) const noexcept { ::BN_free(o); }
  void operator()(GENERAL_NAMES* o) const noexcept { ::GENERAL_NAMES_free(o); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

constexpr std::size_t kFileMost = std::size_t{64} * 1024;
constexpr std::int64_t kDay = 86'400;
/// When certificates of AWS IoT end: 2049-12-31T23:59:59Z.
constexpr std::int64_t kAwsEnd = 2'524'607'999;

Error failed(Errc code, std::string what) {
  const unsigned long why = ::ERR_get_error();
  ::ERR_clear_error();
  if (why != 0) {
    std::array<char, 160> words{};
    ::ERR_error_string_n(why, words.data(), words.size());
    what += std::string(": ") + words.data();
  }
  return {code, std::move(what)};
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = ::BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

template <class Write>
std::string pem_of(const Write& write) {
  const Owned<BIO> bio(::BIO_new(::BIO_s_mem()));
  if (bio == nullptr || write(bio.get()) != 1) return {};
  return text_of(bio.get());
}
std::string pem_of(X509* certificate) {
  return pem_of([&](BIO* bio) { return ::PEM_write_bio_X509(bio, certificate); });
}
std::string private_pem_of(EVP_PKEY* key) {
  return pem_of([&](BIO* bio) {
    return ::PEM_write_bio_PrivateKey_traditional(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}
std::string public_pem_of(EVP_PKEY* key) {
  return pem_of([&](BIO* bio) { return ::PEM_write_bio_PUBKEY(bio, key); });
}

Owned<BIO> reading(std::string_view text) {
  return Owned<BIO>(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bool extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context{};
  ::X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  const bool added = ::X509_add_ext(certificate, extension, -1) == 1;
  ::X509_EXTENSION_free(extension);
  return added;
}

bool set_serial(X509* certificate) {
  std::array<unsigned char, 20> bytes{};
  if (::RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  bytes[0] &= 0x7F;  // positive
  const Owned<BIGNUM> number(::BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return number != nullptr &&
         ::BN_to_ASN1_INTEGER(number.get(), ::X509_get_serialNumber(certificate)) != nullptr;
}

/// What a certificate says.
struct Wish {
  std::string common_name;
  std::int64_t from = 0;  ///< Seconds since 1970.
  std::int64_t to = 0;
  std::vector<std::pair<int, std::string>> extensions;
};

/// Signs a certificate for `key`. `issuer` null: by itself.
Result<Owned<X509>> sign(const Wish& wish, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
  Owned<X509> made(::X509_new());
  if (made == nullptr) return failed(Errc::internal, "no certificate");
  X509* const c = made.get();
  X509* const by = issuer != nullptr ? issuer : c;
  const auto* name = reinterpret_cast<const unsigned char*>(wish.common_name.c_str());
  X509_NAME* const subject = ::X509_get_subject_name(c);
  bool good = ::X509_set_version(c, X509_VERSION_3) == 1 && set_serial(c) &&
              ::ASN1_TIME_set(::X509_getm_notBefore(c), wish.from) != nullptr &&
              ::ASN1_TIME_set(::X509_getm_notAfter(c), wish.to) != nullptr &&
              ::X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name, -1, -1, 0) == 1 &&
              ::X509_set_issuer_name(c, ::X509_get_subject_name(by)) == 1 &&
              ::X509_set_pubkey(c, key) == 1;
  for (const auto& [nid, value] : wish.extensions) good = good && extend(c, by, nid, value);
  good = good && ::X509_sign(c, issuer_key, ::EVP_sha256()) > 0;
  if (!good) return failed(Errc::internal, "cannot make the certificate of " + wish.common_name);
  return made;
}

/// Only keys that AWS IoT takes (Developer Guide, "X.509 client certificates").
Status check_key(EVP_PKEY* key) {
  if (::EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
    if (::EVP_PKEY_get_bits(key) >= 2048) return {};
    return Error{Errc::invalid_argument, "an RSA key of less than 2048 bits"};
  }
  std::array<char, 32> group{};
  std::size_t size = 0;
  if (::EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1) {
    const std::string_view curve(group.data(), size);
    for (const char* known : {"prime256v1", "P-256", "secp384r1", "P-384", "secp521r1", "P-521"}) {
      if (curve == known) return {};
    }
  }
  return Error{Errc::invalid_argument, "a key that is neither RSA nor on P-256, P-384 or P-521"};
}

std::int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (::ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return ::timegm(&parts);
}

std::string hex(const unsigned char* bytes, std::size_t size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

/// The names of AWS IoT's policy variables, by the names of OpenSSL.
constexpr std::array<std::pair<int, const char*>, 14> kNameFields = {{
    {NID_dnQualifier, "DistinguishedNameQualifier"},
    {NID_commonName, "CommonName"},
    {NID_countryName, "Country"},
    {NID_organizationName, "Organization"},
    {NID_organizationalUnitName, "OrganizationalUnit"},
    {NID_stateOrProvinceName, "State"},
    {NID_localityName, "Locality"},
    {NID_serialNumber, "SerialNumber"},
    {NID_title, "Title"},
    {NID_surname, "Surname"},
    {NID_givenName, "GivenName"},
    {NID_initials, "Initials"},
    {NID_pseudonym, "Pseudonym"},
    {NID_generationQualifier, "GenerationQualifier"},
}};

void add_name(std::vector<iot::CertificateField>& fields, const std::string& prefix,
              const X509_NAME* name) {
  for (int i = 0; i < ::X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* entry = ::X509_NAME_get_entry(name, i);
    const int nid = ::OBJ_obj2nid(::X509_NAME_ENTRY_get_object(entry));
    unsigned char* text = nullptr;
    const int size = ::ASN1_STRING_to_UTF8(&text, ::X509_NAME_ENTRY_get_data(entry));
    if (size < 0) continue;
    const std::string value(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
    ::OPENSSL_free(text);
    for (const auto& [known, word] : kNameFields) {
      if (known == nid) fields.emplace_back(prefix + word, value);
    }
  }
}

void add_alternatives(std::vector<iot::CertificateField>& fields, const X509* certificate) {
  const Owned<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (names == nullptr) return;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(
        ::GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    const char* word = type == GEN_DNS     ? "DNSName"
                       : type == GEN_EMAIL ? "RFC822Name"
                       : type == GEN_URI   ? "UniformResourceIdentifier"
                                           : nullptr;
    if (word == nullptr) continue;
    const auto* text = reinterpret_cast<const char*>(::ASN1_STRING_get0_data(value));
    fields.emplace_back(std::string("Subject.AlternativeName.") + word,
                        std::string(text, static_cast<std::size_t>(::ASN1_STRING_length(value))));
  }
}

std::string alternatives(const std::vector<std::string>& names) {
  std::string text = "DNS:localhost,IP:127.0.0.1,IP:::1";
  for (const std::string& name : names) {
    const bool address = name.find_first_not_of("0123456789.") == std::string::npos ||
                         name.find(':') != std::string::npos;
    text += (address ? ",IP:" : ",DNS:") + name;
  }
  return text;
}

}  // namespace

struct Pki::State {
  std::filesystem::path directory;
  Owned<X509> ca;
  Owned<EVP_PKEY> key;

  [[nodiscard]] std::string file(const char* name) const { return (directory / name).string(); }

  /// Reads the CA; Errc::not_found when there is none.
  Status load() {
    auto certificate = posix::read_file(file("ca.pem"), kFileMost);
    if (!certificate) return certificate.error();
    auto secret = posix::read_file(file("ca.key"), kFileMost);
    if (!secret) return secret.error();
    ca.reset(::PEM_read_bio_X509(reading(*certificate).get(), nullptr, nullptr, nullptr));
    key.reset(::PEM_read_bio_PrivateKey(reading(*secret).get(), nullptr, nullptr, nullptr));
    if (ca == nullptr) return failed(Errc::corrupt, file("ca.pem") + ": no certificate");
    if (key == nullptr || ::X509_check_private_key(ca.get(), key.get()) != 1) {
      return failed(Errc::corrupt, file("ca.key") + ": not the key of ca.pem");
    }
    return {};
  }

  Status create() {
    key.reset(::EVP_EC_gen("P-256"));
    if (key == nullptr) return failed(Errc::internal, "no key");
    const std::int64_t now = ::time(nullptr);
    auto made = sign({"Holdfast lab CA",
                      now - kDay,
                      kAwsEnd,
                      {{NID_basic_constraints, "critical,CA:TRUE"},
                       {NID_key_usage, "critical,keyCertSign,cRLSign"},
                       {NID_subject_key_identifier, "hash"}}},
                     key.get(), nullptr, key.get());
    if (!made) return made.error();
    ca = std::move(*made);
    if (Status kept = posix::replace_file(file("ca.key"), private_pem_of(key.get())); !kept) {
      return kept;
    }
    return posix::replace_file(file("ca.pem"), pem_of(ca.get()), 0644);
  }

  /// How an endpoint's certificate differs from the good one.
  struct Server {
    std::string common_name = "localhost";
    std::string alternatives;
    std::int64_t days = 365;   ///< From now; negative: it ended so long ago.
    std::string comment;       ///< Adds its bytes.
    bool by_stranger = false;  ///< Signed by a CA that nobody knows.
  };

  /// RSA, as AWS's. Writes NAME.pem (or .crt) and NAME.key.
  Status make_server(const std::string& name, const std::string& ending, const Server& wish) {
    const Owned<EVP_PKEY> own(::EVP_RSA_gen(2048));
    const Owned<EVP_PKEY> stranger(wish.by_stranger ? ::EVP_EC_gen("P-256") : nullptr);
    if (own == nullptr || (wish.by_stranger && stranger == nullptr)) {
      return failed(Errc::internal, "no key");
    }
    const std::int64_t now = ::time(nullptr);
    Wish certificate{wish.common_name,
                     now - 400 * kDay,
                     now + wish.days * kDay,
                     {{NID_basic_constraints, "critical,CA:FALSE"},
                      {NID_key_usage, "critical,digitalSignature,keyEncipherment"},
                      {NID_ext_key_usage, "serverAuth"},
                      {NID_subject_alt_name, wish.alternatives}}};
    if (!wish.comment.empty()) {
      certificate.extensions.emplace_back(NID_netscape_comment, wish.comment);
    }
    Owned<X509> other;
    if (wish.by_stranger) {
      auto made = sign({"Somebody else's CA",
                        now - kDay,
                        kAwsEnd,
                        {{NID_basic_constraints, "critical,CA:TRUE"}}},
                       stranger.get(), nullptr, stranger.get());
      if (!made) return made.error();
      other = std::move(*made);
    }
    const auto made = sign(certificate, own.get(), wish.by_stranger ? other.get() : ca.get(),
                           wish.by_stranger ? stranger.get() : key.get());
    if (!made) return made.error();
    const std::string base = (directory / name).string();
    if (Status kept = posix::replace_file(base + ".key", private_pem_of(own.get())); !kept) {
      return kept;
    }
    return posix::replace_file(base + ending, pem_of(made->get()), 0644);
  }

  /// The endpoint's certificates, new at each start: the good one and those of faults.
  Status make_servers(const std::vector<std::string>& names) {
    const std::string good = alternatives(names);
    std::error_code failure;
    std::filesystem::create_directories(directory / "faults", failure);
    if (failure) return Error{Errc::io, file("faults") + ": " + failure.message()};
    const struct {
      std::string name, ending;
      Server wish;
    } all[] = {
        {"server", ".pem", {.alternatives = good}},
        {"faults/expired", ".crt", {.alternatives = good, .days = -1}},
        {"faults/wrong-name", ".crt", {"other.example", "DNS:other.example"}},
        {"faults/unknown-ca", ".crt", {.alternatives = good, .by_stranger = true}},
        {"faults/oversized-chain",
         ".crt",
         {.alternatives = good, .comment = std::string(900, '.')}},
    };
    for (const auto& one : all) {
      if (Status made = make_server(one.name, one.ending, one.wish); !made) return made;
    }
    return {};
  }

  Result<Owned<X509>> make_device(WallTime now, EVP_PKEY* device, const std::string& name) const {
    return sign({name,
                 now.ms / 1000 - 120,
                 kAwsEnd,
                 {{NID_basic_constraints, "critical,CA:FALSE"},
                  {NID_key_usage, "critical,digitalSignature"}}},
                device, ca.get(), key.get());
  }
};

Pki::Pki(std::unique_ptr<State> state) : state_(std::move(state)) {}
Pki::~Pki() = default;

Result<std::unique_ptr<Pki>> Pki::open(const std::filesystem::path& directory,
                                       const std::vector<std::string>& names) {
  auto state = std::make_unique<State>();
  state->directory = directory;
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  if (failure) return Error{Errc::io, directory.string() + ": " + failure.message()};
  Status ready = state->load();
  if (!ready && ready.error().code == Errc::not_found) ready = state->create();
  if (ready) ready = state->make_servers(names);
  if (!ready) return ready.error();
  return std::unique_ptr<Pki>(new Pki(std::move(state)));
}

std::string Pki::ca_file() const { return state_->file("ca.pem"); }
std::string Pki::server_chain_file() const { return state_->file("server.pem"); }
std::string Pki::server_key_file() const { return state_->file("server.key"); }
std::string Pki::fault_folder() const { return state_->file("faults"); }

Result<iot::IssuedCertificate> Pki::issue_from_csr(WallTime now, std::string_view csr_pem) {
  const Owned<X509_REQ> request(
      ::PEM_read_bio_X509_REQ(reading(csr_pem).get(), nullptr, nullptr, nullptr));
  if (request == nullptr) return failed(Errc::invalid_argument, "no certificate signing request");
  EVP_PKEY* const key = ::X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || ::X509_REQ_verify(request.get(), key) != 1) {
    return failed(Errc::invalid_argument, "the request is not signed by its own key");
  }
  if (const Status good = check_key(key); !good) return good.error();
  auto made = state_->make_device(now, key, "AWS IoT Certificate");
  if (!made) return std::move(made).error();
  // The subject is the device's choice.
  if (::X509_NAME_entry_count(::X509_REQ_get_subject_name(request.get())) > 0 &&
      (::X509_set_subject_name(made->get(), ::X509_REQ_get_subject_name(request.get())) != 1 ||
       ::X509_sign(made->get(), state_->key.get(), ::EVP_sha256()) <= 0)) {
    return failed(Errc::invalid_argument, "a subject that cannot be taken over");
  }
  return iot::IssuedCertificate{pem_of(made->get()), {}, {}};
}

Result<iot::IssuedCertificate> Pki::issue_with_new_key(WallTime now) {
  const Owned<EVP_PKEY> key(::EVP_RSA_gen(2048));
  if (key == nullptr) return failed(Errc::internal, "no key");
  auto made = state_->make_device(now, key.get(), "AWS IoT Certificate");
  if (!made) return std::move(made).error();
  return iot::IssuedCertificate{pem_of(made->get()), public_pem_of(key.get()),
                                private_pem_of(key.get())};
}

Result<iot::CertificateFacts> Pki::read(std::string_view pem) const {
  const Owned<X509> certificate(::PEM_read_bio_X509(reading(pem).get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return failed(Errc::invalid_argument, "no certificate in PEM");
  X509* const c = certificate.get();
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  unsigned size = 0;
  if (::X509_digest(c, ::EVP_sha256(), digest.data(), &size) != 1) {
    return failed(Errc::internal, "no digest");
  }
  iot::CertificateFacts facts;
  facts.id = hex(digest.data(), digest.size());
  facts.not_before = {seconds_of(::X509_get0_notBefore(c)) * 1000};
  facts.not_after = {seconds_of(::X509_get0_notAfter(c)) * 1000};
  add_name(facts.fields, "Subject.", ::X509_get_subject_name(c));
  add_name(facts.fields, "Issuer.", ::X509_get_issuer_name(c));
  add_alternatives(facts.fields, c);
  const Owned<BIGNUM> serial(::ASN1_INTEGER_to_BN(::X509_get0_serialNumber(c), nullptr));
  if (char* text = serial != nullptr ? ::BN_bn2hex(serial.get()) : nullptr) {
    facts.fields.emplace_back("SerialNumber", text);
    ::OPENSSL_free(text);
  }
  return facts;
}

}  // namespace holdfast::lab::net
