#include "engines/real_broker.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <vector>

namespace holdfast::engines::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

void require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

Key make_key() { return {EVP_EC_gen("P-256"), &EVP_PKEY_free}; }

void add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, "extension");
  X509_EXTENSION_free(extension);
}

/// Signed by `issuer`, or by itself when that is null.
Certificate make_certificate(const char* name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
                             long serial) {
  Certificate made(X509_new(), &X509_free);
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 24 * 3600);
  X509_set_pubkey(made.get(), key);
  X509_NAME* subject = X509_get_subject_name(made.get());
  const std::string text = name;
  const std::vector<unsigned char> bytes(text.begin(), text.end());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, bytes.data(),
                             static_cast<int>(bytes.size()), -1, 0);
  X509_set_issuer_name(made.get(), issuer != nullptr ? X509_get_subject_name(issuer) : subject);
  if (issuer == nullptr) {
    add_extension(made.get(), NID_basic_constraints, "critical,CA:TRUE");
  } else {
    add_extension(made.get(), NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
  }
  require(X509_sign(made.get(), issuer_key, EVP_sha256()) > 0, "sign");
  return made;
}

void write_pem(const std::filesystem::path& path, X509* certificate, EVP_PKEY* key) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> file(BIO_new_file(path.c_str(), "w"), &BIO_free);
  require(file != nullptr, "BIO_new_file");
  const int done = certificate != nullptr ? PEM_write_bio_X509(file.get(), certificate)
                                          : PEM_write_bio_PrivateKey(file.get(), key, nullptr,
                                                                     nullptr, 0, nullptr, nullptr);
  require(done == 1, "PEM_write");
}

}  // namespace

void make_pki(const std::filesystem::path& directory) {
  const Key ca_key = make_key();
  const Certificate ca = make_certificate("test CA", ca_key.get(), nullptr, ca_key.get(), 1);
  write_pem(directory / "ca.pem", ca.get(), nullptr);
  long serial = 1;
  for (const char* name : {"server", "client"}) {
    const Key key = make_key();
    const Certificate made = make_certificate(name, key.get(), ca.get(), ca_key.get(), ++serial);
    write_pem(directory / (std::string(name) + ".pem"), made.get(), nullptr);
    write_pem(directory / (std::string(name) + ".key"), nullptr, key.get());
  }
}

bool RealBroker::available() { return !find_program("mosquitto").empty(); }

RealBroker::RealBroker(Way way, const std::string& address)
    : directory_(make_directory()), way_(way), port_(free_port()) {
  std::ofstream conf(directory_ / "mosquitto.conf");
  // Started as root it would change to a user that cannot read the directory.
  if (geteuid() == 0) conf << "user root\n";
  if (transport() == Transport::websocket) {
    // Version 2.0.11 does not start without a listener of the other kind, and knows addresses of
    // its libwebsockets in this domain only.
    conf << "listener 0 " << (directory_ / "broker.sock").string() << "\n";
    conf << "listener " << port_ << ' ' << address << "\nsocket_domain ipv4\nprotocol websockets\n";
  } else {
    conf << "listener " << port_ << ' ' << address << "\n";
  }
  conf << "allow_anonymous true\npersistence false\nlog_dest stderr\nset_tcp_nodelay true\n"
       << "max_inflight_messages 1000\nmax_queued_messages 0\n";
  if (way_ == Way::tls || way_ == Way::websocket_tls) {
    make_pki(directory_);
    conf << "cafile " << (directory_ / "ca.pem").string() << "\n"
         << "certfile " << (directory_ / "server.pem").string() << "\n"
         << "keyfile " << (directory_ / "server.key").string() << "\n"
         << "require_certificate true\n";
  }
  conf.close();
  start();
}

void RealBroker::start() {
  process_.start({find_program("mosquitto"), "-c", (directory_ / "mosquitto.conf").string()}, {},
                 directory_ / "output");
  process_.wait_for(" running", std::chrono::seconds(20));
}

RealBroker::~RealBroker() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

TlsConfig RealBroker::tls() const {
  TlsConfig config;
  config.enabled = way_ == Way::tls || way_ == Way::websocket_tls;
  if (config.enabled) {
    config.ca_file = directory_ / "ca.pem";
    config.cert_file = directory_ / "client.pem";
    config.key_file = directory_ / "client.key";
  }
  return config;
}

Transport RealBroker::transport() const {
  const bool web = way_ == Way::websocket || way_ == Way::websocket_tls;
  return web ? Transport::websocket : Transport::mqtt;
}

}  // namespace holdfast::engines::test
