#include "engines/mosquitto/properties.h"

#include <mqtt_protocol.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <memory>

#include "base/limits.h"

namespace holdfast::engines {
namespace {

struct Free {
  void operator()(void* memory) const noexcept { std::free(memory); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

bool unfit(const std::string& text) {
  // The library takes C strings and would cut them silently.
  return text.find('\0') != std::string::npos || text.size() > limits::kMqttString;
}

}  // namespace

void Properties::add_u16(int id, std::uint16_t value) {
  if (result_ == 0) result_ = mosquitto_property_add_int16(&list_, id, value);
}

void Properties::add_u32(int id, std::uint32_t value) {
  if (result_ == 0) result_ = mosquitto_property_add_int32(&list_, id, value);
}

void Properties::add_string(int id, const std::string& value) {
  if (result_ != 0) return;
  result_ =
      unfit(value) ? MOSQ_ERR_INVAL : mosquitto_property_add_string(&list_, id, value.c_str());
}

void Properties::add_pair(int id, const std::string& name, const std::string& value) {
  if (result_ != 0) return;
  result_ = unfit(name) || unfit(value)
                ? MOSQ_ERR_INVAL
                : mosquitto_property_add_string_pair(&list_, id, name.c_str(), value.c_str());
}

void Properties::add_binary(int id, const Bytes& value) {
  if (result_ != 0) return;
  result_ = value.size() > limits::kMqttString
                ? MOSQ_ERR_INVAL
                : mosquitto_property_add_binary(&list_, id, value.data(),
                                                static_cast<std::uint16_t>(value.size()));
}

void Properties::add_pairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  for (const auto& [name, value] : pairs) add_pair(MQTT_PROP_USER_PROPERTY, name, value);
}

void Properties::add_message(const StoredMessage& message) {
  if (!message.content_type.empty()) add_string(MQTT_PROP_CONTENT_TYPE, message.content_type);
  if (!message.response_topic.empty()) {
    add_string(MQTT_PROP_RESPONSE_TOPIC, message.response_topic);
  }
  if (!message.correlation_data.empty()) {
    add_binary(MQTT_PROP_CORRELATION_DATA, message.correlation_data);
  }
  add_pairs(message.user_properties);
}

void Properties::add_will(const StatusMessage& will) {
  const auto seconds = [](Seconds time) {
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(time.count(), 0, std::numeric_limits<std::uint32_t>::max()));
  };
  if (will.delay.count() > 0) add_u32(MQTT_PROP_WILL_DELAY_INTERVAL, seconds(will.delay));
  if (will.expiry) add_u32(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, seconds(*will.expiry));
  if (!will.content_type.empty()) add_string(MQTT_PROP_CONTENT_TYPE, will.content_type);
  add_pairs(will.user_properties);
}

std::optional<std::uint8_t> read_u8(const mosquitto_property* list, int id) {
  std::uint8_t value = 0;
  if (mosquitto_property_read_byte(list, id, &value, false) == nullptr) return std::nullopt;
  return value;
}

std::optional<std::uint16_t> read_u16(const mosquitto_property* list, int id) {
  std::uint16_t value = 0;
  if (mosquitto_property_read_int16(list, id, &value, false) == nullptr) return std::nullopt;
  return value;
}

std::optional<std::uint32_t> read_u32(const mosquitto_property* list, int id) {
  std::uint32_t value = 0;
  if (mosquitto_property_read_int32(list, id, &value, false) == nullptr) return std::nullopt;
  return value;
}

std::string read_string(const mosquitto_property* list, int id) {
  char* value = nullptr;
  if (mosquitto_property_read_string(list, id, &value, false) == nullptr) return {};
  const Owned<char> owner(value);
  return value == nullptr ? std::string() : std::string(value);
}

Bytes read_binary(const mosquitto_property* list, int id) {
  void* value = nullptr;
  std::uint16_t size = 0;
  if (mosquitto_property_read_binary(list, id, &value, &size, false) == nullptr) return {};
  const Owned<void> owner(value);
  const auto* bytes = static_cast<const std::byte*>(value);
  return bytes == nullptr ? Bytes() : Bytes(bytes, bytes + size);
}

std::vector<std::pair<std::string, std::string>> read_pairs(const mosquitto_property* list,
                                                            int id) {
  std::vector<std::pair<std::string, std::string>> result;
  bool skip_first = false;
  while (list != nullptr) {
    char* name = nullptr;
    char* value = nullptr;
    list = mosquitto_property_read_string_pair(list, id, &name, &value, skip_first);
    const Owned<char> name_owner(name);
    const Owned<char> value_owner(value);
    if (list == nullptr || name == nullptr || value == nullptr) break;
    result.emplace_back(name, value);
    skip_first = true;
  }
  return result;
}

}  // namespace holdfast::engines
