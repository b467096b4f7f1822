#include "engines/attempt_engine.h"

#include <utility>

#include "base/check.h"
#include "engines/attempt.h"

namespace holdfast::engines {
namespace {

class AttemptEngine final : public env::Engine {
 public:
  AttemptEngine(posix::EventLoop& loop, env::Resolver& resolver, env::Clock& clock,
                env::EngineSink& sink, OpenSession open, Prove prove)
      : loop_(loop),
        resolver_(resolver),
        clock_(clock),
        sink_(sink),
        open_(std::move(open)),
        prove_(std::move(prove)) {}

  ~AttemptEngine() override { stop(); }

  void connect(const env::ConnectRequest& request) override {
    HF_CHECK(request.attempt != 0);
    HF_CHECK(attempt_ == nullptr || attempt_->ended());
    attempt_ = std::make_shared<Attempt>(loop_, clock_, sink_, request, open_);
    attempt_->start(resolver_);
  }

  Status publish(env::Token token, const StoredMessage& message) override {
    return attempt_ ? attempt_->publish(token, message) : nothing_runs();
  }

  Status subscribe(env::Token token, std::span<const env::FilterRequest> filters) override {
    return attempt_ ? attempt_->subscribe(token, filters) : nothing_runs();
  }

  Status unsubscribe(env::Token token, std::span<const std::string> filters) override {
    return attempt_ ? attempt_->unsubscribe(token, filters) : nothing_runs();
  }

  void taken(env::Token ticket) override {
    if (attempt_) attempt_->taken(ticket);
  }

  void disconnect() override {
    if (attempt_) attempt_->disconnect();
  }

  void network_changed(bool gained) override {
    if (attempt_) attempt_->network_changed(resolver_, gained);
  }

  void abort() override { stop(); }

  void prove(const env::Proofs& proofs) override {
    prove_ ? prove_(proofs) : env::Engine::prove(proofs);
  }

 private:
  static Status nothing_runs() { return Error{Errc::closed, "no connection attempt runs", 0}; }

  void stop() {
    if (const auto attempt = std::exchange(attempt_, nullptr)) attempt->abort();
  }

  posix::EventLoop& loop_;
  env::Resolver& resolver_;
  env::Clock& clock_;
  env::EngineSink& sink_;
  OpenSession open_;
  Prove prove_;
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace

std::unique_ptr<env::Engine> make_attempt_engine(posix::EventLoop& loop, env::Resolver& resolver,
                                                 env::Clock& clock, env::EngineSink& sink,
                                                 OpenSession open, Prove prove) {
  return std::make_unique<AttemptEngine>(loop, resolver, clock, sink, std::move(open),
                                         std::move(prove));
}

}  // namespace holdfast::engines
