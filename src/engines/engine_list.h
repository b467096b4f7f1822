// The engines by name: which this build has, and what each can do.
//
// Purpose:  the configuration names an engine; what it cannot do is refused there, by name, before
//           anything starts. Elsewhere all engines are alike.
// Threads:  plain functions; an engine belongs to its loop's thread.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "holdfast/config.h"
#include "posix/event_loop.h"

namespace holdfast::engines {

/// What not every engine can do.
struct Capabilities {
  bool mqtt311 = false;  ///< Also speaks MQTT 3.1.1.
};

/// All four arguments must outlive the engine.
using EngineFactory = std::unique_ptr<env::Engine> (*)(posix::EventLoop&, env::Resolver&,
                                                       env::Clock&, env::EngineSink&);

struct EngineKind {
  MqttEngine id = MqttEngine::mosquitto;
  std::string_view name;     ///< As in connection.engine.
  std::string_view library;  ///< What it is made of, for people.
  Capabilities can;
  EngineFactory make = nullptr;  ///< Null: not compiled in.
};

/// All that Holdfast knows, the default first.
[[nodiscard]] std::span<const EngineKind> known_engines() noexcept;

[[nodiscard]] const EngineKind& kind_of(MqttEngine id) noexcept;

}  // namespace holdfast::engines
