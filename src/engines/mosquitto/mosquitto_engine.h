// The default engine: libmosquitto speaks MQTT, transport carries the bytes.
//
// Purpose:  an engine of attempts (attempt_engine.h) for MQTT 5 and 3.1.1. With MQTT 3.1.1 there
//           are no properties: content type, user properties and expiry are not sent.
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
