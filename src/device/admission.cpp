// See admission.h. Checks in the order of RejectReason, so that the first thing wrong is named.
#include "device/admission.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/limits.h"
#include "base/utf8.h"
#include "flow/topic.h"

namespace holdfast::device {
namespace {

bool valid_fields(const Message& message, const flow::TopicLimits& topic) {
  if (message.qos != Qos::at_most_once && message.qos != Qos::at_least_once) return false;
  if (message.expiry && (message.expiry->count() <= 0 ||
                         message.expiry->count() > std::numeric_limits<std::uint32_t>::max())) {
    return false;
  }
  if (!message.response_topic.empty() && !flow::check_topic(message.response_topic, topic)) {
    return false;
  }
  if (!valid_utf8(message.content_type) || !valid_utf8(message.key)) return false;
  return std::all_of(message.user_properties.begin(), message.user_properties.end(),
                     [](const auto& property) {
                       return valid_utf8(property.first) && valid_utf8(property.second);
                     });
}

bool small_enough(const Message& message, const Config& config) {
  if (message.payload.size() > std::min(config.limits.payload, limits::kPayloadMax)) return false;
  if (message.content_type.size() > limits::kContentTypeMax) return false;
  if (message.key.size() > limits::kKeyMax) return false;
  if (message.correlation_data.size() > limits::kCorrelationMax) return false;
  std::size_t properties = 0;
  for (const auto& [name, value] : message.user_properties)
    properties += name.size() + value.size();
  // Every pair costs its lengths, too, so that empty ones aren't free.
  constexpr std::size_t kPerProperty = 4;
  properties += kPerProperty * message.user_properties.size();
  return properties <= limits::kUserPropertiesMax;
}

}  // namespace

flow::TopicLimits topic_limits(const Config& config, std::string_view topic) {
  const flow::TopicLimits whole{std::min(config.limits.topic, limits::kTopicMax),
                                config.limits.topic_levels};
  if (topic.starts_with('$') && !topic.starts_with("$share/")) return whole;
  flow::TopicLimits most = whole;
  const auto leave_room = [&](const std::string& prefix) {
    const auto levels = static_cast<std::size_t>(std::count(prefix.begin(), prefix.end(), '/'));
    most.bytes = std::min(most.bytes, whole.bytes - std::min(whole.bytes, prefix.size()));
    most.levels = std::min(most.levels, whole.levels - std::min(whole.levels, levels));
  };
  leave_room(config.topic_prefix);
  for (const EndpointConfig& one : config.endpoints) leave_room(one.topic_prefix);
  return most;
}

RejectReason check(const Message& message, const Config& config) {
  if (!flow::check_topic(message.topic, topic_limits(config, message.topic))) {
    return RejectReason::invalid_topic;
  }
  if (!valid_fields(message, topic_limits(config, message.response_topic))) {
    return RejectReason::invalid_field;
  }
  const bool known =
      std::find(config.lanes.begin(), config.lanes.end(), message.lane) != config.lanes.end();
  if (!known) return RejectReason::unknown_lane;
  return small_enough(message, config) ? RejectReason::none : RejectReason::too_large;
}

Admission admit(Message message, const Config& config) {
  Admission answer;
  answer.rejected = check(message, config);
  if (answer.rejected != RejectReason::none) return answer;
  const auto lane = std::find(config.lanes.begin(), config.lanes.end(), message.lane);
  StoredMessage& stored = answer.message;
  stored.lane = static_cast<LaneIndex>(lane - config.lanes.begin());
  stored.qos = message.qos;
  stored.retain = message.retain;
  if (message.expiry) stored.expiry_seconds = static_cast<std::uint32_t>(message.expiry->count());
  stored.topic = std::move(message.topic);
  stored.payload = std::move(message.payload);
  stored.content_type = std::move(message.content_type);
  stored.key = std::move(message.key);
  stored.user_properties = std::move(message.user_properties);
  stored.response_topic = std::move(message.response_topic);
  stored.correlation_data = std::move(message.correlation_data);
  return answer;
}

}  // namespace holdfast::device
