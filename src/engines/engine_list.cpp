#include "engines/engine_list.h"

#include <array>
#include <cstddef>

#include "engines/mosquitto/mosquitto_engine.h"
#ifdef HOLDFAST_WITH_AWS_CRT
#include "engines/aws_crt/aws_crt_engine.h"
#endif

namespace holdfast::engines {
namespace {

#ifdef HOLDFAST_WITH_AWS_CRT
constexpr EngineFactory kAwsCrt = &make_aws_crt_engine;
#else
constexpr EngineFactory kAwsCrt = nullptr;
#endif

constexpr std::array<EngineKind, 2> kEngines{
    EngineKind{MqttEngine::mosquitto,
               "mosquitto",
               "libmosquitto",
               {.mqtt311 = true},
               &make_mosquitto_engine},
    EngineKind{MqttEngine::aws_crt,
               "aws_crt",
               "the AWS IoT Device SDK for C++ v2",
               {.mqtt311 = false},
               kAwsCrt},
};

}  // namespace

std::span<const EngineKind> known_engines() noexcept { return kEngines; }

const EngineKind& kind_of(MqttEngine id) noexcept {
  return kEngines.at(static_cast<std::size_t>(id));
}

}  // namespace holdfast::engines
