#include "posix/signals.h"

#include <csignal>

#include <boost/asio/signal_set.hpp>

#include "base/check.h"

namespace holdfast::posix {

struct Signals::State : std::enable_shared_from_this<Signals::State> {
  State(boost::asio::io_context& context, std::function<void(int)> what)
      : signals(context, SIGTERM, SIGINT, SIGHUP), handler(std::move(what)) {}

  void wait() {
    signals.async_wait(
        [self = shared_from_this()](const boost::system::error_code& error, int signal) {
          if (error || !self->handler) return;
          self->wait();
          const auto call = self->handler;  // It may destroy the Signals.
          call(signal);
        });
  }

  boost::asio::signal_set signals;
  std::function<void(int)> handler;
};

Signals::Signals(EventLoop& loop, std::function<void(int)> handler)
    : state_(std::make_shared<State>(loop.context(), std::move(handler))) {
  HF_CHECK(state_->handler != nullptr);
  state_->wait();
}

Signals::~Signals() {
  state_->handler = nullptr;
  boost::system::error_code ignored;
  state_->signals.clear(ignored);
  state_->signals.cancel(ignored);
}

void ignore_sigpipe() { static_cast<void>(std::signal(SIGPIPE, SIG_IGN)); }

}  // namespace holdfast::posix
