// The stages of one attempt, each with its own deadline:
//
//   credentials → resolving → connecting (→ tunnelling) → securing (→ upgrading) → over
//
// Any stage may fail, which ends the attempt with that stage's verdict; destroying the Connector
// ends it in any stage without a word.
#include <cerrno>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "base/check.h"
#include "base/limits.h"
#include "transport/credentials.h"
#include "transport/http_words.h"
#include "transport/layer.h"
#include "transport/socket_options.h"
#include "transport/stream.h"
#include "transport/tcp_race.h"
#include "transport/tls_layer.h"
#include "transport/transport.h"
#include "transport/tunnel.h"
#include "transport/websocket.h"

namespace holdfast::transport {

namespace {

using boost::asio::ip::tcp;

std::string in_ms(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return std::to_string(ms) + " ms";
}

Verdict resolve_verdict(Errc code) {
  return code == Errc::timeout || code == Errc::full ? Verdict::dns_timeout : Verdict::dns_failed;
}

// Having no descriptor left to open a file with says nothing about the file.
Verdict credentials_verdict(const Error& error) {
  const bool ours = error.code == Errc::internal || error.os_error == EMFILE ||
                    error.os_error == ENFILE || error.os_error == ENOMEM;
  return ours ? Verdict::engine_failed : Verdict::no_credentials;
}

enum class Stage : std::uint8_t {
  starting,    ///< Waits for its first turn of the loop.
  resolving,   ///< Waits for the resolver, which keeps resolve_timeout. Next: connecting, over.
  connecting,  ///< Waits for the race, which keeps connect_timeout. Next: tunnelling, securing,
               ///< over.
  tunnelling,  ///< Waits for the proxy, at most connect_timeout. Next: securing, over.
  securing,    ///< Waits for the TLS peer, at most connect_timeout. Next: upgrading, over.
  upgrading,   ///< Waits for the server's WebSocket, at most connect_timeout. Next: over.
  over,        ///< `done` has been called, or the Connector is gone.
};

class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(posix::EventLoop& loop, env::Resolver& resolver, env::Clock& clock, const Target& target,
          std::function<void(Connector::Outcome)> done)
      : loop_(loop),
        resolver_(resolver),
        clock_(clock),
        target_(target),
        done_(std::move(done)),
        deadline_(loop) {
    HF_CHECK(done_ != nullptr);
  }

  void start() {
    loop_.post([self = shared_from_this()] {
      if (self->stage_ == Stage::starting) self->load_credentials();
    });
  }

  [[nodiscard]] bool reached() const { return stage_ > Stage::connecting; }

  void cancel() {
    if (stage_ == Stage::resolving) resolver_.cancel();
    stage_ = Stage::over;
    done_ = nullptr;
    release();
  }

 private:
  // First, because it needs no network: an attempt without credentials is no use to anybody.
  void load_credentials() {
    if (target_.tls.enabled) {
      auto context = load_context(target_.tls);
      if (!context) {
        fail({credentials_verdict(context.error()), 0, context.error().message});
        return;
      }
      context_ = std::move(context).value();
    }
    stage_ = Stage::resolving;
    resolver_.resolve(proxied() ? target_.proxy.host : target_.host, target_.resolve_timeout,
                      [self = shared_from_this()](Result<std::vector<env::Address>> answer) {
                        if (self->stage_ == Stage::resolving) self->resolved(std::move(answer));
                      });
  }

  void resolved(Result<std::vector<env::Address>> answer) {
    if (!answer) {
      const Verdict verdict = resolve_verdict(answer.error().code);
      stage_ = Stage::connecting;  // The resolver has answered: nothing to cancel there.
      fail({verdict, 0, std::move(answer).error().message});
      return;
    }
    stage_ = Stage::connecting;
    const std::uint16_t port = proxied() ? target_.proxy.port : target_.port;
    race_ = std::make_unique<TcpRace>(loop_, answer.value(), port, target_.connect_timeout,
                                      [weak = weak_from_this()](TcpRace::Outcome& outcome) {
                                        const auto self = weak.lock();
                                        if (self && self->stage_ == Stage::connecting)
                                          self->connected(outcome);
                                      });
  }

  void connected(TcpRace::Outcome& outcome) {
    if (auto* failure = std::get_if<env::Failure>(&outcome)) {
      fail(std::move(*failure));
      return;
    }
    auto& winner = std::get<TcpRace::Winner>(outcome);
    address_ = std::move(winner.address);
    socket_.emplace(std::move(winner.socket));
    set_socket_options(socket_->native_handle(), target_.silent_after);
    if (proxied()) {
      ask_proxy();
    } else {
      secure();
    }
  }

  [[nodiscard]] bool proxied() const { return !target_.proxy.host.empty(); }

  void fail_after_connect_timeout(Verdict verdict, std::string_view what) {
    deadline_.arm_after(target_.connect_timeout, [this, verdict, what] {
      const auto self = shared_from_this();
      fail({verdict, 0,
            address_ + ": " + std::string(what) + " within " + in_ms(target_.connect_timeout)});
    });
  }

  void ask_proxy() {
    stage_ = Stage::tunnelling;
    fail_after_connect_timeout(Verdict::proxy_failed, "the proxy did not answer");
    std::string login;
    if (!target_.proxy.username.empty()) {
      login = "Basic " + text_to_base64(target_.proxy.username + ':' + target_.proxy_password);
    }
    tunnel_ = std::make_unique<Tunnel>(*socket_, target_.host, target_.port, login,
                                       [this](const env::Failure* failure) {
                                         const auto self = shared_from_this();
                                         tunnelled(failure);
                                       });
  }

  void tunnelled(const env::Failure* failure) {
    if (failure != nullptr) {
      env::Failure told = *failure;
      told.detail.insert(0, address_ + ": ");
      fail(std::move(told));
      return;
    }
    deadline_.cancel();
    address_ += " to " + target_.host + ':' + std::to_string(target_.port);
    secure();
  }

  void secure() {
    stage_ = Stage::securing;
    if (!make_layer()) return;
    fail_after_connect_timeout(Verdict::tls_timeout, "the TLS handshake was not finished");
    shake_hands();
  }

  bool make_layer() {
    if (!context_) {
      layer_ = make_plain_layer(socket_->native_handle());
      return true;
    }
    const std::string& name =
        target_.tls.server_name.empty() ? target_.host : target_.tls.server_name;
    std::string problem;
    layer_ = make_tls_layer(*context_, socket_->native_handle(),
                            {name, target_.tls.alpn, clock_.wall()}, problem);
    if (layer_) return true;
    fail({Verdict::tls_failed, 0, std::move(problem)});
    return false;
  }

  void shake_hands() {
    Step step = layer_->handshake();
    switch (step.kind) {
      case Step::Kind::want_read:
        wait(tcp::socket::wait_read);
        return;
      case Step::Kind::want_write:
        wait(tcp::socket::wait_write);
        return;
      case Step::Kind::done:
        succeed();
        return;
      case Step::Kind::end:
      case Step::Kind::failed:
        break;
    }
    if (step.kind == Step::Kind::end) {
      step.failure = {Verdict::tls_failed, 0, "the server ended the TLS handshake"};
    }
    step.failure.detail.insert(0, address_ + ": ");
    fail(std::move(step.failure));
  }

  void wait(tcp::socket::wait_type what) {
    socket_->async_wait(what, [self = shared_from_this()](const boost::system::error_code&) {
      if (self->stage_ == Stage::securing) self->shake_hands();
    });
  }

  void succeed() {
    deadline_.cancel();
    std::string description = address_ + " " + layer_->name();
    auto stream = make_stream(std::move(*socket_), std::move(layer_), std::move(description));
    if (target_.websocket_target.empty()) {
      finish(std::move(stream));
    } else {
      upgrade(std::move(stream));
    }
  }

  void upgrade(std::unique_ptr<Stream> stream) {
    stage_ = Stage::upgrading;
    fail_after_connect_timeout(Verdict::mqtt_timeout, "the server did not answer for WebSocket");
    const UpgradeRequest request{host_header(target_.host, target_.port, target_.tls.enabled),
                                 target_.websocket_target};
    upgrade_ = std::make_unique<Upgrade>(loop_, std::move(stream), request,
                                         [this](Connector::Outcome outcome) {
                                           const auto self = shared_from_this();
                                           upgraded(std::move(outcome));
                                         });
  }

  void upgraded(Connector::Outcome outcome) {
    if (auto* failure = std::get_if<env::Failure>(&outcome)) {
      failure->detail.insert(0, address_ + ": ");
      fail(std::move(*failure));
    } else {
      finish(std::move(outcome));
    }
  }

  void fail(env::Failure failure) {
    if (failure.detail.size() > limits::kErrorDetailMax) {
      failure.detail.resize(limits::kErrorDetailMax);
    }
    finish(std::move(failure));
  }

  // The last thing that happens: the receiver may destroy the Connector.
  void finish(Connector::Outcome outcome) {
    const auto self = shared_from_this();
    stage_ = Stage::over;
    release();
    const auto done = std::exchange(done_, nullptr);
    done(std::move(outcome));
  }

  // The layer refers to the socket's descriptor, so it goes first.
  void release() {
    deadline_.cancel();
    race_.reset();
    tunnel_.reset();
    upgrade_.reset();
    layer_.reset();
    socket_.reset();
    context_.reset();
  }

  posix::EventLoop& loop_;
  env::Resolver& resolver_;
  env::Clock& clock_;
  const Target target_;
  std::function<void(Connector::Outcome)> done_;
  Stage stage_ = Stage::starting;
  SslCtxPtr context_;
  std::unique_ptr<TcpRace> race_;
  std::string address_;
  std::optional<tcp::socket> socket_;
  std::unique_ptr<Tunnel> tunnel_;
  std::unique_ptr<Layer> layer_;
  std::unique_ptr<Upgrade> upgrade_;
  posix::Timer deadline_;
};

class ConnectorHandle final : public Connector {
 public:
  explicit ConnectorHandle(std::shared_ptr<Attempt> attempt) : attempt_(std::move(attempt)) {}
  ~ConnectorHandle() override { attempt_->cancel(); }
  bool reached() const override { return attempt_->reached(); }
  ConnectorHandle(const ConnectorHandle&) = delete;
  ConnectorHandle& operator=(const ConnectorHandle&) = delete;

 private:
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace

std::unique_ptr<Connector> connect(posix::EventLoop& loop, env::Resolver& resolver,
                                   env::Clock& clock, const Target& target,
                                   std::function<void(Connector::Outcome)> done) {
  auto attempt = std::make_shared<Attempt>(loop, resolver, clock, target, std::move(done));
  attempt->start();
  return std::make_unique<ConnectorHandle>(std::move(attempt));
}

}  // namespace holdfast::transport
