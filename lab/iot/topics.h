// Topic names and filters as AWS IoT Core takes them (Developer Guide, "MQTT topics").
#pragma once

#include <string_view>

namespace holdfast::lab::iot {

/// What a topic or filter is to the service.
enum class TopicVerdict : unsigned char {
  good,
  too_long,   ///< Bytes or levels; the connection is ended for it.
  malformed,  ///< Wildcards out of place, or an empty share name.
  reserved,   ///< Begins with '$' and is none of the service's.
};

/// A name to publish to. "$aws/rules/NAME/" does not count, and other reserved topics have no limit
/// of levels.
[[nodiscard]] TopicVerdict judge_topic(std::string_view topic);
/// A filter to subscribe to. "$share/NAME/" does not count.
[[nodiscard]] TopicVerdict judge_filter(std::string_view filter);

/// Whether the service sends a message on `topic` to a subscriber of `filter`: as MQTT, but "a/#"
/// does not match "a".
[[nodiscard]] bool matches(std::string_view filter, std::string_view topic);

/// Whether a filter can have retained messages: no wildcard, not shared.
[[nodiscard]] bool is_exact(std::string_view filter);

/// The rule of a Basic Ingest topic, "$aws/rules/RULE/…"; empty for others.
[[nodiscard]] std::string_view basic_ingest_rule(std::string_view topic);

}  // namespace holdfast::lab::iot
