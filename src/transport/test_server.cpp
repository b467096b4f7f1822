#include "transport/test_server.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <vector>

namespace holdfast::transport {

namespace {

void require(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(what);
}

// OpenSSL's own socket BIO raises SIGPIPE. Only the server's thread blocks it, so that a SIGPIPE of
// the code under test still ends the test.
void block_sigpipe() {
  sigset_t pipe;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
}

}  // namespace

TestListener::TestListener(int backlog, const char* address)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  ::inet_pton(AF_INET, address, &where.sin_addr);
  socklen_t size = sizeof(where);
  auto* generic = reinterpret_cast<sockaddr*>(&where);
  require(::bind(fd_.get(), generic, size) == 0, "bind");
  require(::listen(fd_.get(), backlog) == 0, "listen");
  require(::getsockname(fd_.get(), generic, &size) == 0, "getsockname");
  port_ = ntohs(where.sin_port);
}

TestServer::TestServer(Talk talk) : talk_(std::move(talk)), thread_([this] { serve(); }) {}

TestServer::~TestServer() {
  stopping_ = true;
  ::shutdown(listener_.fd(), SHUT_RDWR);  // Wakes accept().
  thread_.join();
}

void TestServer::serve() {
  block_sigpipe();
  while (!stopping_) {
    const posix::UniqueFd connection(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) continue;
    ++accepted_;
    const timeval limit{10, 0};
    ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    talk_(connection.get());
  }
}

void hold(int fd) {
  std::array<char, 4096> bytes{};
  while (::recv(fd, bytes.data(), bytes.size(), 0) > 0) {
  }
}

void reset_on_close(int fd) {
  const linger now{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

std::uint16_t closed_port() { return TestListener().port(); }

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    static_cast<void>(entry);
    ++count;
  }
  return count;
}

TlsServerContext::TlsServerContext(const TlsServerOptions& options)
    : context_(::SSL_CTX_new(::TLS_server_method())), alpn_(options.alpn) {
  SSL_CTX* context = context_.get();
  require(::SSL_CTX_use_certificate(context, options.identity->certificate.get()) == 1, "cert");
  require(::SSL_CTX_use_PrivateKey(context, options.identity->key.get()) == 1, "key");
  if (options.max_version != 0) SSL_CTX_set_max_proto_version(context, options.max_version);
  if (options.client_ca != nullptr) {
    ::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context), options.client_ca->certificate.get());
    ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  if (alpn_.empty()) return;
  ::SSL_CTX_set_alpn_select_cb(
      context,
      [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in,
         unsigned int in_size, void* wanted) {
        const auto& protocol = *static_cast<const std::string*>(wanted);
        std::string wire(1, static_cast<char>(protocol.size()));
        wire += protocol;
        if (in_size != wire.size() || std::memcmp(in, wire.data(), in_size) != 0) {
          return SSL_TLSEXT_ERR_ALERT_FATAL;
        }
        *out = in + 1;
        *size = in[0];
        return SSL_TLSEXT_ERR_OK;
      },
      &alpn_);
}

bool TlsServerContext::serve(int fd, const std::function<void(SSL*)>& talk,
                             AfterRefusal after) const {
  const SslPtr ssl(::SSL_new(context_.get()));
  ::SSL_set_fd(ssl.get(), fd);
  const bool agreed = ::SSL_accept(ssl.get()) == 1;
  if (agreed) talk(ssl.get());
  ::ERR_clear_error();
  if (!agreed && after == AfterRefusal::wait) {  // Let the peer read the alert before anything
                                                 // resets the connection.
    ::shutdown(fd, SHUT_WR);
    hold(fd);
  }
  return agreed;
}

void echo(SSL* ssl) {
  std::vector<char> bytes(16384);
  while (true) {
    const int got = ::SSL_read(ssl, bytes.data(), static_cast<int>(bytes.size()));
    if (got <= 0 || ::SSL_write(ssl, bytes.data(), got) != got) return;
  }
}

}  // namespace holdfast::transport
