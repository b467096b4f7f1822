// The stages of one attempt, each with its own deadline:
//
//   credentials → resolving → connecting (→ tunnelling) → securing (→ upgrading) → over
//
// Any stage may fail, which ends the attempt with that stage's verdict; destroying the Connector
// ends it in any stage without a word.
//
// Where the name service gives no answer, what follows `resolving` is done with addresses at which
// a broker let us in before. They may belong to somebody else by now, so this is for TLS only:
// there a stranger is found out. Without it, or with a password for a proxy, the words of a name
// service are all there is to say that the right one is there. An answer is always believed, "no
// such name" as well (RFC 8767 section 4 has it so, too): a name that was taken away or moved is
// not ignored any longer than the name service is silent, and in no case longer than kGoodFor.
#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "base/check.h"
#include "base/limits.h"
#include "transport/address_book.h"
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

/// Whether the other end is to blame, so that another address may do better.
bool blames_address(Verdict verdict) {
  switch (verdict) {
    case Verdict::tls_server_name:
    case Verdict::tls_server_untrusted:
    case Verdict::tls_server_expired:
    case Verdict::tls_failed:
    case Verdict::tls_timeout:
    case Verdict::mqtt_timeout:
    case Verdict::server_gone:
    case Verdict::protocol_error:
    case Verdict::silent_peer:
      return true;
    default:  // TCP's own failures are known for each address: TcpRace::failed().
      return false;
  }
}

enum class Stage : std::uint8_t {
  starting,    ///< Waits for its first turn of the loop.
  resolving,   ///< Waits for the resolver, which keeps resolve_timeout; with good addresses from
               ///< before, at most kSlowLookup. Next: connecting, over.
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
        place_(target.proxy.host.empty() ? env::Place{target.host, target.port}
                                         : env::Place{target.proxy.host, target.proxy.port}),
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

  [[nodiscard]] const env::Failure* unresolved() const {
    return unresolved_ ? &*unresolved_ : nullptr;
  }

  [[nodiscard]] std::string canonical() const {
    return peer_ && !proxied() && !unresolved_ ? peer_->canonical : std::string();
  }

  void let_in() {
    if (target_.addresses != nullptr && peer_) {
      target_.addresses->worked(place_, *peer_, !unresolved_.has_value());
    }
  }

  // Behind a proxy it is the proxy's address that we know, and it has done what it could.
  void ended(Verdict verdict) {
    if (target_.addresses == nullptr || !peer_ || proxied() || !blames_address(verdict)) return;
    target_.addresses->failed(place_, *peer_);
  }

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
    look_up();
  }

  void look_up() {
    stage_ = Stage::resolving;
    if (has_promising_addresses()) {
      deadline_.arm_after(kSlowLookup, [this] {
        const auto self = shared_from_this();
        resolver_.cancel();
        without_name_service(
            {Verdict::dns_timeout, 0,
             place_.host + ": no answer from the name servers within " + in_ms(kSlowLookup)});
      });
    }
    resolver_.resolve(place_.host, target_.resolve_timeout,
                      [self = shared_from_this()](Result<std::vector<env::Address>> answer) {
                        if (self->stage_ == Stage::resolving) self->resolved(std::move(answer));
                      });
  }

  // A stranger at an address of old must have nothing to gain.
  [[nodiscard]] std::vector<env::Address> last_good() const {
    const bool proven = target_.tls.enabled && target_.proxy.username.empty();
    if (target_.addresses == nullptr || !proven) return {};
    return target_.addresses->last_good(place_);
  }

  /// Good before, and not failed since: then a slow name service is not worth waiting for.
  [[nodiscard]] bool has_promising_addresses() const {
    const std::vector<env::Address> known = last_good();
    return std::any_of(known.begin(), known.end(), [this](const env::Address& address) {
      return !target_.addresses->failed_at(place_, address);
    });
  }

  void resolved(Result<std::vector<env::Address>> answer) {
    deadline_.cancel();
    if (answer) {
      race(answer.value());
      return;
    }
    const Errc code = answer.error().code;
    env::Failure failure{resolve_verdict(code), 0, std::move(answer).error().message};
    if (code == Errc::not_found) {
      stage_ = Stage::connecting;  // The resolver has answered: nothing to cancel there.
      fail(std::move(failure));
    } else {
      without_name_service(std::move(failure));
    }
  }

  void without_name_service(env::Failure failure) {
    const std::vector<env::Address> known = last_good();
    if (known.empty()) {
      stage_ = Stage::connecting;
      fail(std::move(failure));
      return;
    }
    unresolved_ = std::move(failure);
    race(known);
  }

  void race(const std::vector<env::Address>& addresses) {
    stage_ = Stage::connecting;
    race_ = std::make_unique<TcpRace>(
        loop_, order_of_attempts(addresses, place_, target_.addresses), place_.port,
        target_.connect_timeout, [weak = weak_from_this()](TcpRace::Outcome& outcome) {
          const auto self = weak.lock();
          if (self && self->stage_ == Stage::connecting) self->connected(outcome);
        });
  }

  void connected(TcpRace::Outcome& outcome) {
    if (target_.addresses != nullptr) {
      for (const env::Address& each : race_->failed()) target_.addresses->failed(place_, each);
    }
    if (auto* failure = std::get_if<env::Failure>(&outcome)) {
      fail(unresolved_ ? nowhere(*failure) : std::move(*failure));
      return;
    }
    auto& winner = std::get<TcpRace::Winner>(outcome);
    peer_ = std::move(winner.address);
    address_ = address_text(peer_->numeric, place_.port);
    socket_.emplace(std::move(winner.socket));
    set_socket_options(socket_->native_handle(), target_.silent_after);
    if (proxied()) {
      ask_proxy();
    } else {
      secure();
    }
  }

  // What is wrong is the name service; that an address of old leads nowhere is no wonder.
  [[nodiscard]] env::Failure nowhere(const env::Failure& failure) const {
    return {unresolved_->verdict, 0, unresolved_->detail + "; last good address " + failure.detail};
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
    if (Secured agreed; target_.secured && layer_->look(agreed)) target_.secured(agreed);
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
    ended(failure.verdict);
    if (unresolved_ && peer_) {
      failure.detail += "; an address of before was used, since " + unresolved_->detail;
    }
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
  const env::Place place_;  ///< What is looked up and connected to.
  std::function<void(Connector::Outcome)> done_;
  Stage stage_ = Stage::starting;
  SslCtxPtr context_;
  std::unique_ptr<TcpRace> race_;
  std::optional<env::Failure> unresolved_;
  std::optional<env::Address> peer_;
  std::string address_;  ///< Of the peer, as people write it.
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
  const env::Failure* unresolved() const override { return attempt_->unresolved(); }
  std::string canonical() const override { return attempt_->canonical(); }
  void let_in() override { attempt_->let_in(); }
  void ended(Verdict verdict) override { attempt_->ended(verdict); }
  ConnectorHandle(const ConnectorHandle&) = delete;
  ConnectorHandle& operator=(const ConnectorHandle&) = delete;

 private:
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace

Target target_of(const env::ConnectRequest& request) {
  Target target;
  target.host = request.host;
  target.port = request.port;
  if (request.transport == Transport::websocket) target.websocket_target = request.websocket_path;
  target.proxy = request.proxy;
  target.proxy_password = request.proxy_password;
  target.tls = request.tls;
  target.resolve_timeout = request.resolve_timeout;
  target.connect_timeout = request.connect_timeout;
  target.silent_after = request.silent_after;
  target.addresses = request.addresses;
  return target;
}

std::unique_ptr<Connector> connect(posix::EventLoop& loop, env::Resolver& resolver,
                                   env::Clock& clock, const Target& target,
                                   std::function<void(Connector::Outcome)> done) {
  auto attempt = std::make_shared<Attempt>(loop, resolver, clock, target, std::move(done));
  attempt->start();
  return std::make_unique<ConnectorHandle>(std::move(attempt));
}

}  // namespace holdfast::transport
