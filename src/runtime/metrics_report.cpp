// Metrics as JSON, for reports over MQTT (see metrics.h).
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/calendar.h"
#include "runtime/metrics.h"

namespace holdfast::runtime {
namespace {

using nlohmann::ordered_json;

/// Whole numbers without ".0".
ordered_json number(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::floor(value) == value && std::abs(value) < kExact) {
    return static_cast<std::int64_t>(value);
  }
  return value;
}

ordered_json value_of(const MetricFamily& family) {
  const MetricSample& first = family.samples.front();
  if (first.labels.empty()) return number(first.value);
  ordered_json out = ordered_json::object();
  if (first.labels.size() > 1) {  // what is told is the labels
    for (const auto& [name, value] : first.labels) out[name] = value;
    return out;
  }
  for (const MetricSample& sample : family.samples) {
    if (sample.value != 0) out[sample.labels.front().second] = number(sample.value);
  }
  return out;
}

std::uint64_t since(std::uint64_t before, std::uint64_t now) {
  return now < before ? now : now - before;  // an interface that went took its count along
}

}  // namespace

std::string metrics_json(const MetricFamilies& families, WallTime at,
                         const std::string& client_id) {
  ordered_json metrics = ordered_json::object();
  for (const MetricFamily& family : families) {
    if (!family.samples.empty()) metrics[family.name] = value_of(family);
  }
  return ordered_json{
      {"time", iso_time(at)}, {"client_id", client_id}, {"metrics", std::move(metrics)}}
      .dump();
}

std::string defender_report(const MetricFamilies& families, std::int64_t report_id,
                            const std::optional<posix::NetworkFigures>& before,
                            const std::optional<posix::NetworkFigures>& now) {
  ordered_json report{{"header", {{"report_id", report_id}, {"version", "1.0"}}}};
  if (before && now) {
    report["metrics"] = {
        {"network_stats",
         {{"bytes_in", since(before->bytes_in, now->bytes_in)},
          {"bytes_out", since(before->bytes_out, now->bytes_out)},
          {"packets_in", since(before->packets_in, now->packets_in)},
          {"packets_out", since(before->packets_out, now->packets_out)}}},
        {"tcp_connections", {{"established_connections", {{"total", now->established}}}}}};
  }
  ordered_json custom = ordered_json::object();
  for (const char* const name : kDefenderMetrics) {
    const auto found = std::find_if(families.begin(), families.end(),
                                    [&](const MetricFamily& f) { return f.name == name; });
    if (found == families.end() || found->samples.empty()) continue;
    double sum = 0;
    for (const MetricSample& sample : found->samples) sum += sample.value;
    ordered_json value{{"number", number(std::floor(sum))}};
    custom[name] = ordered_json::array({std::move(value)});
  }
  report["custom_metrics"] = std::move(custom);
  return report.dump();
}

}  // namespace holdfast::runtime
