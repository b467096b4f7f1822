// Whether an endpoint is well, as far as can be told without MQTT: name, TCP, proxy, TLS.
//
// Purpose:  the way back to a better endpoint is looked at beside a connection that works. No
//           CONNECT is sent, so there is never a second session, and nobody is thrown out.
// Method:   a stream is brought up as for an attempt; a server that has second thoughts about our
//           certificate (TLS 1.3 tells after the handshake) is given a second to say so.
// Threads:  loop thread only; the answer comes through the event loop.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>

#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "posix/event_loop.h"
#include "transport/transport.h"

namespace holdfast::runtime {

class EndpointProbe {
 public:
  /// Verdict::none: it is well.
  using Answer = std::function<void(const env::Failure& failure)>;

  /// All must outlive it.
  EndpointProbe(posix::EventLoop& loop, env::Clock& clock);
  ~EndpointProbe();

  /// In place of one that is under way, which gives no answer then.
  void begin(const env::ConnectRequest& request, Answer answer);
  void cancel();

 private:
  void connected(transport::Connector::Outcome outcome);
  void finish(const env::Failure& failure);

  posix::EventLoop& loop_;
  env::Clock& clock_;
  std::unique_ptr<env::Resolver> resolver_;  // of its own: the attempts' has one look-up at a time
  posix::Timer timer_;
  std::unique_ptr<transport::Connector> connector_;
  std::unique_ptr<transport::Stream> stream_;
  std::array<std::byte, 1> nothing_{};
  Answer answer_;
};

}  // namespace holdfast::runtime
