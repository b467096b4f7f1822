// The second engine: the MQTT 5 client of AWS's Common Runtime, which is inside the AWS IoT Device
// SDK for C++ v2.
//
// Purpose:  an engine of attempts (attempt_engine.h) for MQTT 5. Of the runtime only the client is
//           used: it connects to our private socket (domain LOCAL), so names, TLS, proxies and
//           WebSocket are transport's, with the same verdicts as for the other engine.
// Threads:  the runtime has one event-loop thread for each of our engines. Its callbacks only put
//           events into a mailbox. Destroying the engine hands the thread to the runtime's own
//           cleaner and returns at once.
// Cannot:   MQTT 3.1.1, for which the runtime has another client.
// Source:   MQTT 5.0; aws-c-mqtt's C API (aws/mqtt/v5/mqtt5_client.h), 0.15 and later.
#pragma once

#include <memory>

#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "posix/event_loop.h"

namespace holdfast::engines {

/// All four must outlive the engine.
[[nodiscard]] std::unique_ptr<env::Engine> make_aws_crt_engine(posix::EventLoop& loop,
                                                               env::Resolver& resolver,
                                                               env::Clock& clock,
                                                               env::EngineSink& sink);

}  // namespace holdfast::engines
