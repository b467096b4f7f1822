// The default engine: libmosquitto speaks MQTT, transport carries the bytes.
//
// Purpose:  implements env::Engine (contract, threads and order of events are documented there)
//           for MQTT 5 and 3.1.1, over plain TCP and TLS.
// Beyond the port's text:
//   - publish(), subscribe() and unsubscribe() on an attempt that has just ended return success and
//     give no result: the outcome is unknown, as for all open tokens. Errors are for a message that
//     can never be sent: protocol, unsupported (retain or QoS 1 that the broker does not offer),
//     too_large (the broker's maximum packet size).
//   - with MQTT 3.1.1 there are no properties: content type, user properties and expiry are not
//   sent.
//   - a QoS 0 message is reported when its last byte is in the operating system's socket.
//   - inbound packets above kInboundPacketMax (session.h) end the connection with protocol_error.
//   - keep_alive is promised to the broker as asked (at least 5 s); pings go out as often as
//     silent_after needs, whatever it says (attempt.h). Idle, that is three wake-ups in each half
//     of silent_after.
//   - disconnect() before up ends the attempt with failed(Verdict::none).
// Source:   MQTT 5.0, MQTT 3.1.1; libmosquitto 2.0.11 to 2.0.21.
#pragma once

#include <memory>

#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "posix/event_loop.h"

namespace holdfast::engines {

/// All four must outlive the engine.
[[nodiscard]] std::unique_ptr<env::Engine> make_mosquitto_engine(posix::EventLoop& loop,
                                                                 env::Resolver& resolver,
                                                                 env::Clock& clock,
                                                                 env::EngineSink& sink);

}  // namespace holdfast::engines
