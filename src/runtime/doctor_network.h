// The doctor's looks at the way to the broker, stage by stage, each awaited within its deadline.
//
// Purpose:  the parts of transport that the agent connects with, one at a time.
// Threads:  the one that owns the loop; nobody else may run it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "health/doctor_network.h"
#include "posix/event_loop.h"

namespace holdfast::runtime {

/// Runs the loop until something has happened, or the time is over.
class LoopWait {
 public:
  explicit LoopWait(posix::EventLoop& loop) : loop_(loop), timer_(loop) {}

  /// Forgets what has happened.
  void begin() { happened_ = false; }
  /// Called by what was awaited, on the loop.
  void finish();
  /// False: the time was over first.
  [[nodiscard]] bool wait(Duration limit);
  /// Lets the loop run for so long, whatever happens.
  void pause(Duration time);

 private:
  posix::EventLoop& loop_;
  posix::Timer timer_;
  bool happened_ = false;
};

class NetworkLook {
 public:
  /// All must outlive this.
  NetworkLook(posix::EventLoop& loop, env::Resolver& resolver, const env::Clock& clock)
      : loop_(loop), resolver_(resolver), clock_(clock), wait_(loop) {}

  /// Looks the name up; keeps the addresses.
  [[nodiscard]] health::NameFacts look_up(const std::string& host, Duration timeout);
  [[nodiscard]] std::vector<health::RouteFacts> routes() const;
  /// Connects to each of the addresses in turn, and closes again.
  [[nodiscard]] std::vector<health::ReachFacts> reach(std::uint16_t port, Duration timeout);
  /// Proxy, TLS and WebSocket of one attempt, without a word of MQTT. `request` has its logins
  /// filled in.
  [[nodiscard]] health::StreamFacts open_stream(const env::ConnectRequest& request,
                                                env::Clock& clock);

 private:
  [[nodiscard]] double ms_since(BootTime begun) const;

  posix::EventLoop& loop_;
  env::Resolver& resolver_;
  const env::Clock& clock_;
  LoopWait wait_;
  std::vector<env::Address> addresses_;
};

}  // namespace holdfast::runtime
