// Topic names and topic filters (MQTT 5.0 section 4.7), with the limits of AWS IoT Core as data.
#pragma once

#include <cstddef>
#include <string_view>

#include "holdfast/result.h"

namespace holdfast::flow {

struct TopicLimits {
  std::size_t bytes = 256;
  std::size_t levels = 8;
};

/// A name to publish to: 1…bytes bytes of well-formed UTF-8 without NUL, no '+' or '#'.
[[nodiscard]] Status check_topic(std::string_view topic, const TopicLimits& limits);

/// A filter to subscribe to; '+' fills a level, '#' ends a filter, "$share/NAME/…" is understood.
[[nodiscard]] Status check_filter(std::string_view filter, const TopicLimits& limits);

/// Whether a message on `topic` belongs to `filter`. Names beginning with '$' are matched only by
/// filters that begin so. "a/#" matches "a" as the specification says; a broker that does not
/// (AWS IoT Core) simply never sends it.
[[nodiscard]] bool matches(std::string_view filter, std::string_view topic) noexcept;

/// Whether every topic that `asked` matches belongs to `filter`, too. REQUIRES: valid filters.
[[nodiscard]] bool covers(std::string_view filter, std::string_view asked) noexcept;

}  // namespace holdfast::flow
