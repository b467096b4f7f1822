// See settings.h.
#include "device/settings.h"

namespace holdfast::device {

/// Only MQTT 5 can ask for a subscription without its retained messages.
Duration verification(const Config& config) {
  const bool can = config.mqtt_version == MqttVersion::v5;
  return can ? Duration(config.timing.verify_subscriptions) : Duration::zero();
}

MessageId first_volatile_id(std::uint32_t epoch, env::Random& random) {
  constexpr unsigned kCounterBits = 35;
  const std::uint64_t run = epoch != 0 ? epoch : random.next() >> (64 - 26);
  return kVolatileBit | (run << kCounterBits);
}

}  // namespace holdfast::device
