// A metric as Prometheus understands the word, before anybody has written it down.
//
// Purpose:  one vocabulary for who measures and who writes: the page, a report over MQTT.
// Names:    https://prometheus.io/docs/practices/naming: base units (seconds, bytes), counters end
//           in "_total". Labels have few values, known beforehand: never a topic, never a text.
// Threads:  plain values.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace holdfast {

enum class MetricKind : std::uint8_t {
  counter,  ///< Only grows, until the process ends.
  gauge,    ///< Goes up and down.
};

struct MetricSample {
  std::vector<std::pair<std::string, std::string>> labels;  ///< Name and value.
  double value = 0;
};

struct MetricFamily {
  std::string name;
  std::string help;  ///< One sentence.
  MetricKind kind = MetricKind::gauge;
  std::vector<MetricSample> samples;  ///< None: not known, and not written.
};
using MetricFamilies = std::vector<MetricFamily>;

}  // namespace holdfast
