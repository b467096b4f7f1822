// An engine made of attempts: any library that can be a Session.
//
// Purpose:  implements env::Engine (contract, threads and order of events are documented there)
//           over plain TCP, TLS, WebSocket and proxies alike, since transport carries the bytes.
// Beyond the port's text:
//   - publish(), subscribe() and unsubscribe() on an attempt that has just ended return success and
//     give no result: the outcome is unknown, as for all open tokens. Errors are for a message that
//     can never be sent: protocol, unsupported (retain or QoS 1 that the broker does not offer),
//     too_large (the broker's maximum packet size).
//   - a QoS 0 message is reported when its last byte is in the operating system's socket.
//   - inbound packets above kInboundPacketMax (outgoing.h) end the connection with protocol_error.
//   - keep_alive is promised to the broker as asked (at least 5 s); pings go out as often as
//     silent_after needs, whatever it says (attempt.h). Idle, that is three wake-ups in each half
//     of silent_after.
//   - disconnect() before up ends the attempt with failed(Verdict::none).
#pragma once

#include <functional>
#include <memory>

#include "engines/session.h"
#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "posix/event_loop.h"

namespace holdfast::engines {

/// Has the library's own thread prove that it goes on, as env::Engine::prove().
using Prove = std::function<void(const env::Proofs& proofs)>;

/// The first four must outlive the engine; `open` is called once for each attempt. `prove`: of a
/// library with a thread of its own.
[[nodiscard]] std::unique_ptr<env::Engine> make_attempt_engine(posix::EventLoop& loop,
                                                               env::Resolver& resolver,
                                                               env::Clock& clock,
                                                               env::EngineSink& sink,
                                                               OpenSession open, Prove prove = {});

}  // namespace holdfast::engines
