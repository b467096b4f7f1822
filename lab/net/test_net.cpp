#include "lab/net/test_net.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <fstream>

#include "base/check.h"

namespace holdfast::lab::net {

namespace {

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)>;
using CertificatePtr = std::unique_ptr<X509, decltype(&::X509_free)>;

struct Identity {
  KeyPtr key{::EVP_EC_gen("P-256"), ::EVP_PKEY_free};
  CertificatePtr certificate{::X509_new(), ::X509_free};
};

void extend(X509* certificate, X509* issuer, int what, const char* value) {
  X509V3_CTX context{};
  ::X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, &context, what, value);
  HF_CHECK(extension != nullptr && ::X509_add_ext(certificate, extension, -1) == 1);
  ::X509_EXTENSION_free(extension);
}

// Self-signed without `ca`. Valid until `seconds` from now.
Identity certify(const char* name, const Identity* ca, long seconds) {
  static long serial = 1;
  constexpr long kDay = 86400;
  Identity made;
  X509* certificate = made.certificate.get();
  HF_CHECK(made.key != nullptr && certificate != nullptr);
  ::X509_set_version(certificate, X509_VERSION_3);
  ::ASN1_INTEGER_set_int64(::X509_get_serialNumber(certificate), serial++);
  ::X509_gmtime_adj(::X509_getm_notBefore(certificate), -10 * kDay);
  ::X509_gmtime_adj(::X509_getm_notAfter(certificate), seconds);
  ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               static_cast<const unsigned char*>(static_cast<const void*>(name)),
                               -1, -1, 0);
  ::X509_set_pubkey(certificate, made.key.get());
  const Identity& issuer = ca == nullptr ? made : *ca;
  ::X509_set_issuer_name(certificate, ::X509_get_subject_name(issuer.certificate.get()));
  if (ca == nullptr) {
    extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  } else {
    extend(certificate, issuer.certificate.get(), NID_subject_alt_name,
           "DNS:localhost,IP:127.0.0.1");
  }
  HF_CHECK(::X509_sign(certificate, issuer.key.get(), ::EVP_sha256()) > 0);
  return made;
}

void save(const std::filesystem::path& folder, const std::string& name, const Identity& identity) {
  std::FILE* file = std::fopen((folder / (name + ".crt")).c_str(), "we");
  HF_CHECK(file != nullptr && ::PEM_write_X509(file, identity.certificate.get()) == 1);
  std::fclose(file);
  file = std::fopen((folder / (name + ".key")).c_str(), "we");
  HF_CHECK(file != nullptr && ::PEM_write_PKCS8PrivateKey(file, identity.key.get(), nullptr,
                                                          nullptr, 0, nullptr, nullptr) == 1);
  std::fclose(file);
}

void read_on(const std::shared_ptr<Reader>& reader) {
  reader->stream->read([reader](const ErrorCode& error, std::string_view bytes) {
    if (error) {
      reader->end = words_of(error);
    } else {
      reader->bytes += bytes;
      read_on(reader);
    }
  });
}

}  // namespace

NetTest::NetTest() {
  std::string name = (std::filesystem::temp_directory_path() / "holdfast-net-XXXXXX").string();
  HF_CHECK(::mkdtemp(name.data()) != nullptr);
  folder_ = name;
  listening_ =
      trace.listen([this](const std::string& line) { events.push_back(Json::parse(line)); });
}

NetTest::~NetTest() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

bool NetTest::until(const std::function<bool()>& done) {
  const BootTime limit = clock->now() + std::chrono::seconds(10);
  while (!done()) {
    if (clock->now() > limit) return false;
    loop.context().run_one_for(std::chrono::milliseconds(20));
    loop.context().restart();
  }
  return true;
}

void NetTest::turn_for(Duration time) {
  const BootTime limit = clock->now() + time;
  until([&] { return clock->now() > limit; });
}

NetTest::Pair NetTest::make_pair() {
  Pair out;
  Listener listener(loop, {[](const std::string&) { return Reception::serve; },
                           [&](std::shared_ptr<Stream> stream, const std::string&) {
                             out.server = std::move(stream);
                           }});
  HF_CHECK(listener.listen({"127.0.0.1", 0, ""}).ok());
  out.client = dial(listener.port());
  HF_CHECK(until([&] { return out.server != nullptr; }));
  return out;
}

std::shared_ptr<Stream> NetTest::dial(std::uint16_t port) {
  std::shared_ptr<Stream> out;
  bool done = false;
  connect(loop, {"127.0.0.1", port, ""}, [&](auto connected) {
    done = true;
    if (connected) out = *connected;
  });
  HF_CHECK(until([&] { return done; }));
  return out;
}

std::shared_ptr<Reader> NetTest::read_all(const std::shared_ptr<Stream>& stream) {
  auto reader = std::make_shared<Reader>();
  reader->stream = stream;
  read_on(reader);
  return reader;
}

void NetTest::write(const std::shared_ptr<Stream>& stream, std::string bytes) {
  bool done = false;
  stream->write(std::move(bytes), [&](const ErrorCode&) { done = true; });
  ASSERT_TRUE(until([&] { return done; }));
}

std::string NetTest::file(const std::string& name) {
  if (!certified_) make_certificates();
  return (folder_ / name).string();
}

std::string NetTest::write_file(const std::string& name, const std::string& content) {
  const auto path = folder_ / name;
  std::ofstream(path, std::ios::binary) << content;
  return path.string();
}

void NetTest::make_certificates() {
  certified_ = true;
  constexpr long kDay = 86400;
  const Identity ca = certify("test CA", nullptr, kDay);
  const Identity foreign = certify("foreign CA", nullptr, kDay);
  save(folder_, "ca", ca);
  save(folder_, "server", certify("server", &ca, kDay));
  save(folder_, "client", certify("client", &ca, kDay));
  save(folder_, "other", certify("other", &foreign, kDay));
  save(folder_, "expired", certify("server", &ca, -kDay));
}

TlsServerOptions NetTest::server_options() {
  TlsServerOptions out;
  out.chain_file = chain("server");
  out.key_file = key("server");
  return out;
}

TlsClientOptions NetTest::client_options() {
  TlsClientOptions out;
  out.ca_file = ca();
  out.server_name = "localhost";
  return out;
}

std::vector<Json> NetTest::events_named(const std::string& name) const {
  std::vector<Json> out;
  for (const Json& event : events) {
    if (event["ev"] == name) out.push_back(event);
  }
  return out;
}

}  // namespace holdfast::lab::net
