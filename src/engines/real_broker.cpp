#include "engines/real_broker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <vector>

#include "posix/unique_fd.h"

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

std::uint16_t free_port() {
  const posix::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  require(bind(fd.get(), generic, size) == 0 && getsockname(fd.get(), generic, &size) == 0,
          "free port");
  return ntohs(address.sin_port);
}

std::string find_mosquitto() {
  std::string path = "/usr/sbin:/usr/local/sbin";
  if (const char* value = std::getenv("PATH")) path += std::string(":") + value;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    std::string candidate = path.substr(at, end - at) + "/mosquitto";
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return {};
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

bool RealBroker::available() { return !find_mosquitto().empty(); }

RealBroker::RealBroker(Way way, const std::string& address) : way_(way), port_(free_port()) {
  std::string name = (std::filesystem::temp_directory_path() / "broker-XXXXXX").string();
  require(mkdtemp(name.data()) != nullptr, "mkdtemp");
  directory_ = name;
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
  std::array<int, 2> ends{};
  require(pipe2(ends.data(), O_CLOEXEC) == 0, "pipe2");
  const posix::UniqueFd output(ends[0]);
  posix::UniqueFd input(ends[1]);
  std::string program = find_mosquitto();
  std::string option = "-c";
  std::string conf = (directory_ / "mosquitto.conf").string();
  std::array<char*, 4> arguments{program.data(), option.data(), conf.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDERR_FILENO);
  const int failed =
      posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  require(failed == 0, "posix_spawn");
  input.reset();
  std::string log;
  std::array<char, 512> chunk{};
  while (log.find(" running") == std::string::npos) {
    const ssize_t count = read(output.get(), chunk.data(), chunk.size());
    if (count <= 0) throw std::runtime_error("mosquitto: " + log);
    log.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

void RealBroker::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
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
