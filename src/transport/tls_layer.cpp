#include "transport/tls_layer.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "base/check.h"
#include "transport/certificate_look.h"
#include "transport/socket_bio.h"
#include "transport/tls_errors.h"
#include "transport/transport.h"

namespace holdfast::transport {

namespace {

constexpr int kSelf = 0;               // OpenSSL's slot for the application's own pointer
constexpr std::size_t kAlpnMax = 255;  // RFC 7301: one byte of length

bool numeric(const std::string& host) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET, host.c_str(), &parsed) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

// A name's trailing dot means "absolute" to the resolver; certificates and SNI are without it. The
// zone of a link-local address is no part of what a certificate names.
std::string name_to_verify(std::string host) {
  if (const std::size_t zone = host.find('%'); zone != std::string::npos) host.resize(zone);
  if (host.size() > 1 && host.back() == '.') host.pop_back();
  return host;
}

int to_int(std::size_t size) {
  return static_cast<int>(std::min<std::size_t>(size, std::numeric_limits<int>::max()));
}

class TlsLayer final : public Layer {
 public:
  TlsLayer(SSL_CTX& context, int fd, const TlsParameters& parameters)
      : expected_(name_to_verify(parameters.server_name)), now_(parameters.now) {
    socket_.fd = fd;
    ssl_.reset(::SSL_new(&context));
  }

  // False, with OpenSSL's words in its queue, when something is refused.
  bool prepare(const TlsParameters& parameters) {
    if (!ssl_) return false;
    BIO* bio = make_socket_bio(socket_).release();
    ::SSL_set_bio(ssl_.get(), bio, bio);
    ::SSL_set_connect_state(ssl_.get());
    ::SSL_set_ex_data(ssl_.get(), kSelf, this);
    ::SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER, note_verification);
    ::SSL_set_cert_cb(ssl_.get(), note_client_asked, this);
    X509_VERIFY_PARAM* checks = ::SSL_get0_param(ssl_.get());
    ::X509_VERIFY_PARAM_set_time(checks, now_.ms / 1000);
    ::X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (!expect_name(checks)) return false;
    return parameters.alpn.empty() || offer(parameters.alpn);
  }

  Step handshake() override {
    ::ERR_clear_error();
    const int result = ::SSL_do_handshake(ssl_.get());
    if (result != 1) return step_of(result);
    handshaking_ = false;
    return {};
  }

  // Several small records that have come together are handed up together.
  Step read(std::span<std::byte> into) override {
    if (held_) return *held_;
    Step whole = read_record(into);
    while (whole.kind == Step::Kind::done && whole.bytes < into.size() &&
           ::SSL_has_pending(ssl_.get()) == 1) {
      Step more = read_record(into.subspan(whole.bytes));
      if (more.kind == Step::Kind::done) {
        whole.bytes += more.bytes;
        continue;
      }
      if (more.kind == Step::Kind::failed) held_ = std::move(more);  // Told by the next read().
      break;
    }
    return whole;
  }

  Step write(std::span<const std::byte> bytes) override {
    ::ERR_clear_error();
    const int put = ::SSL_write(ssl_.get(), bytes.data(), to_int(bytes.size()));
    if (put > 0) return Step{Step::Kind::done, static_cast<std::size_t>(put), {}};
    Step step = step_of(put);
    if (step.kind == Step::Kind::failed && socket_.os_error != 0) look_for_alert(step);
    return step;
  }

  Step farewell() override {
    if (handshaking_ || failed_) return {};
    ::ERR_clear_error();
    const int result = ::SSL_shutdown(ssl_.get());
    if (result >= 0) return {};  // Sent; the peer's own close_notify is not awaited.
    return step_of(result);
  }

  std::string name() const override { return ::SSL_get_version(ssl_.get()); }

  bool look(Secured& secured) const override {
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    ::SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
    secured.version = name();
    secured.suite = ::SSL_get_cipher_name(ssl_.get());
    secured.alpn.assign(protocol, protocol + size);
    if (const X509* peer = ::SSL_get0_peer_certificate(ssl_.get()); peer != nullptr) {
      secured.peer = look_at(peer);
    }
    return true;
  }

 private:
  static TlsLayer& of(const SSL* ssl) {
    return *static_cast<TlsLayer*>(::SSL_get_ex_data(ssl, kSelf));
  }

  // Runs once per certificate of the server; changes nothing, remembers which one failed.
  static int note_verification(int fine, X509_STORE_CTX* store) {
    if (fine == 1) return fine;
    const void* ssl = ::X509_STORE_CTX_get_ex_data(store, ::SSL_get_ex_data_X509_STORE_CTX_idx());
    const X509* bad = ::X509_STORE_CTX_get_current_cert(store);
    if (ssl != nullptr && bad != nullptr) {
      of(static_cast<const SSL*>(ssl)).certificate_ =
          "certificate of " + name_text(::X509_get_subject_name(bad)) + ", issued by " +
          name_text(::X509_get_issuer_name(bad));
    }
    return fine;
  }

  static int note_client_asked(SSL*, void* layer) {
    static_cast<TlsLayer*>(layer)->client_asked_ = true;
    return 1;
  }

  bool expect_name(X509_VERIFY_PARAM* checks) {
    if (numeric(expected_)) return ::X509_VERIFY_PARAM_set1_ip_asc(checks, expected_.c_str()) == 1;
    return !expected_.empty() &&
           ::X509_VERIFY_PARAM_set1_host(checks, expected_.c_str(), expected_.size()) == 1 &&
           ::SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                      expected_.data()) == 1;
  }

  bool offer(const std::string& protocol) {
    if (protocol.size() > kAlpnMax) return false;
    std::string wire(1, static_cast<char>(protocol.size()));
    wire += protocol;
    const std::vector<unsigned char> bytes(wire.begin(), wire.end());
    return ::SSL_set_alpn_protos(ssl_.get(), bytes.data(), static_cast<unsigned>(bytes.size())) ==
           0;
  }

  Step read_record(std::span<std::byte> into) {
    ::ERR_clear_error();
    const int got = ::SSL_read(ssl_.get(), into.data(), to_int(into.size()));
    if (got > 0) return Step{Step::Kind::done, static_cast<std::size_t>(got), {}};
    return step_of(got);
  }

  Step step_of(int result) {
    switch (::SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ:
        return Step{Step::Kind::want_read, 0, {}};
      case SSL_ERROR_WANT_WRITE:
        return Step{Step::Kind::want_write, 0, {}};
      case SSL_ERROR_ZERO_RETURN:
        return Step{Step::Kind::end, 0, {}};
      default:
        failed_ = true;
        return Step{Step::Kind::failed, 0, failure()};
    }
  }

  env::Failure failure() {
    TlsTrouble trouble;
    trouble.error = ::ERR_get_error();
    ::ERR_clear_error();
    trouble.verify_result = ::SSL_get_verify_result(ssl_.get());
    trouble.certificate = certificate_;
    trouble.expected_name = expected_;
    trouble.client_asked = client_asked_;
    trouble.handshaking = handshaking_;
    trouble.ended = socket_.ended;
    trouble.os_error = socket_.os_error;
    trouble.now = now_;
    return tls_failure(trouble);
  }

  // In TLS 1.3 a server that refuses our certificate says so after we consider the handshake done,
  // and then closes. Our first write may meet the closed socket before the alert has been read; the
  // alert is the better reason.
  void look_for_alert(Step& step) {
    const Step before = step;
    std::byte probe{};
    ::ERR_clear_error();
    socket_.os_error = 0;
    const int got = ::SSL_peek(ssl_.get(), &probe, 1);
    if (got > 0) return;
    const Step now = step_of(got);
    if (now.kind == Step::Kind::failed && now.failure.verdict == Verdict::tls_client_refused) {
      step = now;
      held_ = now;
    }
  }

  SocketBioState socket_;  // Before ssl_, whose BIO refers to it.
  SslPtr ssl_;
  std::string expected_;
  WallTime now_;
  std::string certificate_;
  std::optional<Step> held_;
  bool client_asked_ = false;
  bool handshaking_ = true;
  bool failed_ = false;
};

}  // namespace

std::unique_ptr<Layer> make_tls_layer(SSL_CTX& context, int fd, const TlsParameters& parameters,
                                      std::string& problem) {
  ::ERR_clear_error();
  auto layer = std::make_unique<TlsLayer>(context, fd, parameters);
  if (layer->prepare(parameters)) return layer;
  problem = "TLS cannot be set up for \"" + parameters.server_name + "\": " + openssl_words();
  return nullptr;
}

}  // namespace holdfast::transport
