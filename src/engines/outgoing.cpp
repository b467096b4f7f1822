// See outgoing.h.
#include "engines/outgoing.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>

#include "base/limits.h"

namespace holdfast::engines {
namespace {

/// "5c0291aa-0000000800000001": store and message, of a fixed size.
constexpr std::size_t kIdTextSize = 8 + 1 + 16;
// libmosquitto refuses 1 to 4 s.
constexpr std::int64_t kKeepAliveMin = 5;

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

/// Bytes of the length field for `length`.
std::size_t varint_size(std::size_t length) {
  return length < 128 ? 1 : length < 16384 ? 2 : length < 2097152 ? 3 : 4;
}

bool sends_id(const IdProperty& id, const StoredMessage& message) {
  // The birth message has no id of its own.
  return !id.name.empty() && (is_volatile(message.id) || message.id < kDurableIdEnd);
}

std::size_t packet_size(const StoredMessage& message, MqttVersion version, const IdProperty& id,
                        Alias alias) {
  std::size_t body = 2 + (alias.known ? 0 : message.topic.size()) + message.payload.size();
  if (message.qos != Qos::at_most_once) body += 2;
  if (version == MqttVersion::v5) {
    std::size_t properties = 0;
    if (sends_id(id, message)) properties += 1 + 2 + id.name.size() + 2 + kIdTextSize;
    if (alias.number != 0) properties += 1 + 2;
    if (message.expiry_seconds) properties += 1 + 4;
    for (const std::size_t text : {message.content_type.size(), message.response_topic.size(),
                                   message.correlation_data.size()}) {
      if (text != 0) properties += 1 + 2 + text;
    }
    for (const auto& [name, value] : message.user_properties) {
      properties += 1 + 2 + name.size() + 2 + value.size();
    }
    body += varint_size(properties) + properties;
  }
  return 1 + varint_size(body) + body;
}

}  // namespace

std::string id_text(const IdProperty& id, const StoredMessage& message) {
  if (!sends_id(id, message)) return {};
  char text[kIdTextSize + 1];
  std::snprintf(text, sizeof text, "%08" PRIx32 "-%016" PRIx64, id.prefix, message.known_id());
  return text;
}

Alias Aliases::of(const std::string& topic) const {
  const auto known = numbers_.find(topic);
  if (known != numbers_.end()) return {known->second, true};
  // The first ones keep their numbers: were the oldest replaced, one topic too many would cost all.
  const bool free = numbers_.size() < most_;
  return {static_cast<std::uint16_t>(free ? numbers_.size() + 1 : 0), false};
}

void Aliases::sent(const std::string& topic, Alias alias) {
  if (alias.number != 0 && !alias.known) numbers_.emplace(topic, alias.number);
}

Result<Alias> check_message(const StoredMessage& message, MqttVersion version,
                            const env::UpInfo& broker, const IdProperty& id,
                            const Aliases& aliases) {
  if (has_nul(message.topic) || message.topic.empty() ||
      message.topic.size() > limits::kMqttString) {
    return Error{Errc::protocol, "the topic is unfit for MQTT", 0};
  }
  if (message.retain && !broker.retain_available) {
    return Error{Errc::unsupported, "the broker does not retain messages", 0};
  }
  if (message.qos > broker.maximum_qos) {
    return Error{Errc::unsupported, "the broker only takes QoS 0", 0};
  }
  const std::size_t most = broker.maximum_packet_size;
  Alias alias = aliases.of(message.topic);
  std::size_t size = packet_size(message, version, id, alias);
  if (most != 0 && size > most && alias.number != 0 && !alias.known) {
    alias = {};  // a topic's first number makes its packet larger: a large one goes without
    size = packet_size(message, version, id, alias);
  }
  if (most != 0 && size > most) {
    return Error{Errc::too_large,
                 "the message is a packet of " + std::to_string(size) +
                     " bytes, the broker takes " + std::to_string(most),
                 0};
  }
  return alias;
}

std::uint32_t expiry_left(const StoredMessage& message, BootTime now) {
  const std::uint32_t whole = message.expiry_seconds.value_or(0);
  if (message.expires == kNever || message.expires >= now + std::chrono::seconds(whole)) {
    return whole;
  }
  const auto left = std::chrono::ceil<std::chrono::seconds>(message.expires - now).count();
  return static_cast<std::uint32_t>(std::max<std::int64_t>(left, 1));
}

std::uint16_t keep_alive_seconds(const env::ConnectRequest& request) {
  const std::int64_t wanted = request.keep_alive.count();
  if (wanted <= 0) return 0;
  return static_cast<std::uint16_t>(std::clamp<std::int64_t>(wanted, kKeepAliveMin, 65535));
}

Status check_connect(const env::ConnectRequest& request) {
  if (has_nul(request.client_id) || has_nul(request.username) || has_nul(request.password)) {
    return Error{Errc::invalid_argument, "client id, user name or password is unfit for MQTT", 0};
  }
  if (request.will &&
      (request.will->payload.size() > limits::kMqttString || has_nul(request.will->topic))) {
    return Error{Errc::invalid_argument, "the will is unfit for MQTT", 0};
  }
  return {};
}

}  // namespace holdfast::engines
