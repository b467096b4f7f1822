// From the broker to the device; see door.h.
#include <algorithm>
#include <chrono>
#include <utility>

#include "lab/iot/door.h"
#include "lab/iot/quotas.h"
#include "lab/iot/region.h"
#include "lab/iot/stamp.h"
#include "lab/iot/topics.h"

namespace holdfast::lab::iot {

void Door::settle(std::uint16_t broker_id, mqtt::Wishes& out) {
  to_broker(mqtt::Ack{mqtt::Type::puback, broker_id, reason::kSuccess, {}}, out);
}

void Door::on_broker_publish(BootTime now, mqtt::Publish publish, mqtt::Wishes& out) {
  const std::uint16_t broker_id = publish.qos > 0 ? publish.packet_id : std::uint16_t{0};
  const auto published = take_stamp(publish);
  const auto drop = [&](std::string_view why) {
    out.note("not delivered, " + std::string(why) + ": " + publish.topic);
    if (broker_id != 0) settle(broker_id, out);
  };
  const auto& filters = region_.session(who_.client_id).subscriptions;
  const bool wanted = std::any_of(filters.begin(), filters.end(), [&](const mqtt::Subscription& s) {
    return matches(s.filter, publish.topic);
  });
  if (!wanted) return drop("no filter matches as the service matches");
  if (!region_.access().allows(who_, "iot:Receive", "topic/" + publish.topic, facts_)) {
    if (region_.switches.receive_denied_disconnects) {
      return end(DisconnectReason::forbidden_access, reason::kNotAuthorized,
                 "iot:Receive on topic/" + publish.topic + " is not allowed", out);
    }
    return drop("iot:Receive is not allowed");
  }
  const bool stored = published && !publish.retain && published->ms < opened_.ms;
  const std::int64_t kept_ms = region_.switches.session_expiry_most * 1000;
  if (stored && region_.wall().ms - published->ms > kept_ms) return drop("stored for too long");
  publish.properties.erase(mqtt::PropertyId::subscription_identifier);
  if (largest_ != 0 && mqtt::encode(version_, publish).size() > largest_) {
    return drop("larger than the device takes");
  }
  delivery_->add(std::move(publish), broker_id, stored);
  pump(now, out);
}

void Door::pump(BootTime now, mqtt::Wishes& out) {
  Delivery::Output output;
  delivery_->pump(now, publishes_, output);
  last_pump_ = now;
  for (const mqtt::Publish& message : output.to_device) to_device(message, out);
  for (const std::uint16_t broker_id : output.settled) {
    out.note("given up: a message over the rate, or never acknowledged");
    settle(broker_id, out);
  }
}

}  // namespace holdfast::lab::iot
