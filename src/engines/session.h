// One client of an MQTT library for one connection attempt: calls in, events out.
//
// Purpose:  what an attempt needs of a library. The library speaks MQTT over the private socket
//           whose other end is the bridge; its threads, timers, reconnecting and queueing decide
//           nothing.
// Threads:  loop thread. A library with a thread of its own reports through a Mailbox.
// Order:    events come in the order in which the library saw their causes. A sink may destroy
//           everything while it handles one: no library code is on the stack then.
// Errors:   opening fails with words; a failure later is a Closed event, given once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/message.h"
#include "engines/framing.h"
#include "env/engine.h"
#include "holdfast/result.h"
#include "posix/event_loop.h"

namespace holdfast::engines {

/// The broker said yes.
struct Accepted {
  env::UpInfo info;
};
/// The broker said no.
struct Refused {
  std::uint8_t code = 0;
  std::string reason;
};
/// A QoS 0 message is in the local socket as a whole.
struct HandedOver {
  env::Token token = 0;
};
struct Acknowledged {
  env::Token token = 0;
  std::uint8_t reason_code = 0;
};
/// SUBACK or UNSUBACK, one code a filter.
struct Subscribed {
  env::Token token = 0;
  std::vector<std::uint8_t> codes;
};
/// The library has closed its end, or must not go on.
struct Closed {
  bool own = false;                          ///< After disconnect(), as wanted.
  Verdict verdict = Verdict::engine_failed;  ///< protocol_error: the peer broke the protocol.
  std::string words;
};
/// The ticket of an env::Arrival is the message's packet id.
using SessionEvent =
    std::variant<Accepted, Refused, HandedOver, Acknowledged, Subscribed, env::Arrival, Closed>;

class Session {
 public:
  virtual ~Session() = default;

  /// As env::Engine says; also `unsupported` for retain or QoS that the broker does not offer.
  /// `now` is for what is left of the message's expiry.
  [[nodiscard]] virtual Status publish(env::Token token, const StoredMessage& message,
                                       BootTime now) = 0;
  [[nodiscard]] virtual Status subscribe(env::Token token,
                                         std::span<const env::FilterRequest> filters) = 0;
  [[nodiscard]] virtual Status unsubscribe(env::Token token,
                                           std::span<const std::string> filters) = 0;
  /// Sends DISCONNECT behind what is queued; the library closes its end after it.
  virtual void disconnect() = 0;

  /// What has happened since the last call.
  [[nodiscard]] virtual std::vector<SessionEvent> take_events() = 0;

  /// Whether the library works on a thread of its own, and not inside the following two.
  [[nodiscard]] virtual bool own_thread() const = 0;
  /// Takes in everything that waits in the library's end of the local socket.
  virtual void read_all() {}
  /// Writes what the library has queued, as far as the local socket takes it.
  virtual void write_all() {}

  /// A whole CONNACK, SUBACK or UNSUBACK is about to be given to the library.
  virtual void packet_comes(const Framing& /*packet*/) {}
  /// A whole packet of the library is on its way to the broker.
  virtual void packet_leaves(const Framing& /*packet*/) {}
};

/// What every library needs to begin.
struct SessionRequest {
  const env::ConnectRequest& connect;
  std::string path;            ///< The Unix socket to connect to.
  posix::EventLoop& loop;      ///< For a library with a thread of its own: where `news` runs.
  std::function<void()> news;  ///< take_events() has something that no call has brought.
};

/// Makes the library connect and write CONNECT.
using OpenSession = std::function<Result<std::unique_ptr<Session>>(const SessionRequest&)>;

}  // namespace holdfast::engines
