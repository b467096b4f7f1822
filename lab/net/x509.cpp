// See x509.h.
#include "lab/net/x509.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <climits>
#include <ctime>
#include <utility>

namespace holdfast::lab::net {
namespace {

constexpr std::int64_t kMsPerSecond = 1000;

using BioPtr = OpenSslPtr<BIO>;

Error failed(const std::string& what) { return {Errc::internal, what + ": " + openssl_words()}; }
Error senseless(const std::string& what) {
  return {Errc::invalid_argument, what + ": " + openssl_words()};
}

// OpenSSL would ask on the terminal.
int no_password(char*, int, int, void*) { return -1; }

/// What `write` puts into a stream in memory.
template <class Write>
Result<std::string> written(const char* what, Write write) {
  const BioPtr memory(::BIO_new(::BIO_s_mem()));
  if (memory == nullptr || write(memory.get()) != 1) return failed(what);
  return std::string(content_of(*memory));
}

// ---- reading fields

std::string utf8_of(const ASN1_STRING* string) {
  unsigned char* text = nullptr;
  const int size = ::ASN1_STRING_to_UTF8(&text, string);
  if (size < 0) return {};
  std::string out(static_cast<const char*>(static_cast<const void*>(text)), std::size_t(size));
  ::OPENSSL_free(text);
  return out;
}

struct AttributeName {
  int nid;
  std::string_view name;
};
/// Those that AWS IoT has policy variables for ("X.509 Certificate AWS IoT Core policy variables").
constexpr std::array<AttributeName, 13> kAttributes{{
    {NID_dnQualifier, "DistinguishedNameQualifier"},
    {NID_countryName, "Country"},
    {NID_organizationName, "Organization"},
    {NID_organizationalUnitName, "OrganizationalUnit"},
    {NID_stateOrProvinceName, "State"},
    {NID_commonName, "CommonName"},
    {NID_serialNumber, "SerialNumber"},
    {NID_title, "Title"},
    {NID_surname, "Surname"},
    {NID_givenName, "GivenName"},
    {NID_initials, "Initials"},
    {NID_pseudonym, "Pseudonym"},
    {NID_generationQualifier, "GenerationQualifier"},
}};

void add_name(const X509_NAME* name, const std::string& prefix,
              std::vector<iot::CertificateField>& out) {
  for (int i = 0; i < ::X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* entry = ::X509_NAME_get_entry(name, i);
    const int nid = ::OBJ_obj2nid(::X509_NAME_ENTRY_get_object(entry));
    for (const AttributeName& known : kAttributes) {
      if (known.nid != nid) continue;
      out.emplace_back(prefix + std::string(known.name),
                       utf8_of(::X509_NAME_ENTRY_get_data(entry)));
    }
  }
}

std::string address_of(const ASN1_OCTET_STRING* bytes) {
  const int size = ::ASN1_STRING_length(bytes);
  const int family = size == 4 ? AF_INET : AF_INET6;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (size != 4 && size != 16) return {};
  const void* data = ::ASN1_STRING_get0_data(bytes);
  return ::inet_ntop(family, data, text.data(), text.size()) == nullptr ? "" : text.data();
}

iot::CertificateField alternative(const GENERAL_NAME& name) {
  switch (name.type) {
    case GEN_EMAIL:
      return {"RFC822Name", utf8_of(name.d.rfc822Name)};
    case GEN_DNS:
      return {"DNSName", utf8_of(name.d.dNSName)};
    case GEN_DIRNAME:
      return {"DirectoryName", one_line(name.d.directoryName)};
    case GEN_URI:
      return {"UniformResourceIdentifier", utf8_of(name.d.uniformResourceIdentifier)};
    case GEN_IPADD:
      return {"IPAddress", address_of(name.d.iPAddress)};
    default:
      return {};
  }
}

void add_alternatives(const X509& certificate, int nid, const std::string& prefix,
                      std::vector<iot::CertificateField>& out) {
  auto* names =
      static_cast<GENERAL_NAMES*>(::X509_get_ext_d2i(&certificate, nid, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    auto [name, value] = alternative(*sk_GENERAL_NAME_value(names, i));
    if (!name.empty()) out.emplace_back(prefix + name, std::move(value));
  }
  ::GENERAL_NAMES_free(names);
}

Result<WallTime> time_of(const ASN1_TIME* time, const char* what) {
  std::tm parts{};
  if (::ASN1_TIME_to_tm(time, &parts) != 1) return senseless(what);
  return WallTime{std::int64_t{::timegm(&parts)} * kMsPerSecond};
}

std::string serial_of(const X509& certificate) {
  BIGNUM* number = ::ASN1_INTEGER_to_BN(::X509_get0_serialNumber(&certificate), nullptr);
  char* digits = number == nullptr ? nullptr : ::BN_bn2hex(number);
  std::string out = digits == nullptr ? "" : digits;
  ::OPENSSL_free(digits);
  ::BN_free(number);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
  return out;
}

bool says_ca(const X509& certificate) {
  auto* constraints = static_cast<BASIC_CONSTRAINTS*>(
      ::X509_get_ext_d2i(&certificate, NID_basic_constraints, nullptr, nullptr));
  const bool ca = constraints != nullptr && constraints->ca != 0;
  ::BASIC_CONSTRAINTS_free(constraints);
  return ca;
}

// ---- making certificates

bool set_serial(X509& certificate, env::Random& random) {
  constexpr std::size_t kBytes = 20;  // RFC 5280: at most; positive, so that the first bit is 0.
  std::array<unsigned char, kBytes> bytes{};
  for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random.below(UCHAR_MAX + 1));
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x3fU) | 0x40U);
  BIGNUM* number = ::BN_bin2bn(bytes.data(), kBytes, nullptr);
  const bool set = number != nullptr &&
                   ::BN_to_ASN1_INTEGER(number, ::X509_get_serialNumber(&certificate)) != nullptr;
  ::BN_free(number);
  return set;
}

bool set_time(ASN1_TIME* at, WallTime time) {
  return ::ASN1_TIME_set(at, static_cast<std::time_t>(time.ms / kMsPerSecond)) != nullptr;
}

bool add_extension(X509& certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context{};
  ::X509V3_set_ctx(&context, issuer, &certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  const bool added = extension != nullptr && ::X509_add_ext(&certificate, extension, -1) == 1;
  ::X509_EXTENSION_free(extension);
  return added;
}

bool is_host(const std::string& name) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.*_";
  return !name.empty() && name.find_first_not_of(kLetters) == std::string::npos;
}

/// For OpenSSL's small language of extensions, in which a comma or a colon has a meaning.
Result<std::string> alternatives_text(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    const bool address = is_address(name);
    if (!address && !is_host(name)) {
      return Error{Errc::invalid_argument, "\"" + name + "\" is no host name and no IP address"};
    }
    out += (out.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + name;
  }
  return out;
}

bool add_extensions(X509& made, const CertificatePlan& plan, X509* issuer,
                    const std::string& alternatives) {
  // An RSA key also encrypts, in the suites of TLS 1.2 without forward secrecy.
  const char* usage = plan.is_ca       ? "critical,keyCertSign,cRLSign"
                      : plan.is_server ? "critical,digitalSignature,keyEncipherment"
                                       : "critical,digitalSignature";
  return add_extension(made, issuer, NID_basic_constraints,
                       plan.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
         add_extension(made, issuer, NID_key_usage, usage) &&
         add_extension(made, issuer, NID_subject_key_identifier, "hash") &&
         add_extension(made, issuer, NID_authority_key_identifier, "keyid") &&
         (!plan.is_server || add_extension(made, issuer, NID_ext_key_usage, "serverAuth")) &&
         (alternatives.empty() || add_extension(made, issuer, NID_subject_alt_name, alternatives));
}

}  // namespace

Result<KeyPtr> make_key(KeyKind kind) {
  constexpr std::size_t kRsaBits = 2048;
  KeyPtr key(kind == KeyKind::rsa_2048 ? EVP_RSA_gen(kRsaBits) : EVP_EC_gen("P-256"));
  if (key == nullptr) return failed("making a key");
  return key;
}

Result<NamePtr> make_name(const std::string& common_name) {
  NamePtr name(::X509_NAME_new());
  const auto* text =
      static_cast<const unsigned char*>(static_cast<const void*>(common_name.data()));
  if (name == nullptr ||
      ::X509_NAME_add_entry_by_NID(name.get(), NID_commonName, MBSTRING_UTF8, text,
                                   static_cast<int>(common_name.size()), -1, 0) != 1) {
    return failed("making the name " + common_name);
  }
  return name;
}

Result<CertificatePtr> make_certificate(const CertificatePlan& plan, X509* issuer,
                                        EVP_PKEY& issuer_key, env::Random& random) {
  const auto alternatives = alternatives_text(plan.names);
  if (!alternatives) return alternatives.error();
  CertificatePtr made(::X509_new());
  if (made == nullptr) return failed("making a certificate");
  if (issuer == nullptr) issuer = made.get();
  if (::X509_set_version(made.get(), X509_VERSION_3) != 1 || !set_serial(*made, random) ||
      ::X509_set_subject_name(made.get(), plan.subject) != 1 ||
      ::X509_set_issuer_name(made.get(), ::X509_get_subject_name(issuer)) != 1 ||
      !set_time(::X509_getm_notBefore(made.get()), plan.not_before) ||
      !set_time(::X509_getm_notAfter(made.get()), plan.not_after) ||
      ::X509_set_pubkey(made.get(), plan.key) != 1 ||
      !add_extensions(*made, plan, issuer, *alternatives) ||
      ::X509_sign(made.get(), &issuer_key, ::EVP_sha256()) == 0) {
    return failed("making a certificate");
  }
  return made;
}

Result<CertificatePtr> parse_certificate(std::string_view pem) {
  const BioPtr memory = memory_of(pem);
  CertificatePtr read(memory == nullptr
                          ? nullptr
                          : ::PEM_read_bio_X509(memory.get(), nullptr, no_password, nullptr));
  if (read == nullptr) return senseless("no certificate in PEM");
  return read;
}

Result<RequestPtr> parse_request(std::string_view pem) {
  const BioPtr memory = memory_of(pem);
  RequestPtr read(memory == nullptr
                      ? nullptr
                      : ::PEM_read_bio_X509_REQ(memory.get(), nullptr, no_password, nullptr));
  if (read == nullptr) return senseless("no certificate signing request in PEM");
  return read;
}

Result<KeyPtr> parse_private_key(std::string_view pem) {
  const BioPtr memory = memory_of(pem);
  KeyPtr read(memory == nullptr
                  ? nullptr
                  : ::PEM_read_bio_PrivateKey(memory.get(), nullptr, no_password, nullptr));
  if (read == nullptr) return senseless("no private key in PEM");
  return read;
}

Result<std::string> pem_of(const X509& certificate) {
  return written("writing a certificate",
                 [&](BIO* to) { return ::PEM_write_bio_X509(to, &certificate); });
}

Result<std::string> public_pem_of(const EVP_PKEY& key) {
  return written("writing a public key", [&](BIO* to) { return ::PEM_write_bio_PUBKEY(to, &key); });
}

Result<std::string> private_pem_of(const EVP_PKEY& key) {
  return written("writing a private key", [&](BIO* to) {
    return ::PEM_write_bio_PrivateKey_traditional(to, &key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

Result<iot::CertificateFacts> facts_of(const X509& certificate) {
  iot::CertificateFacts out;
  out.id = fingerprint_of(certificate);
  if (out.id.empty()) return failed("certificate id");
  const auto from = time_of(::X509_get0_notBefore(&certificate), "begin of validity");
  const auto to = time_of(::X509_get0_notAfter(&certificate), "end of validity");
  if (!from) return from.error();
  if (!to) return to.error();
  out.not_before = *from;
  out.not_after = *to;
  add_name(::X509_get_subject_name(&certificate), "Subject.", out.fields);
  add_alternatives(certificate, NID_subject_alt_name, "Subject.AlternativeName.", out.fields);
  add_name(::X509_get_issuer_name(&certificate), "Issuer.", out.fields);
  add_alternatives(certificate, NID_issuer_alt_name, "Issuer.AlternativeName.", out.fields);
  out.fields.emplace_back("SerialNumber", serial_of(certificate));
  out.subject = one_line(::X509_get_subject_name(&certificate));
  out.is_ca = says_ca(certificate);
  return out;
}

}  // namespace holdfast::lab::net
