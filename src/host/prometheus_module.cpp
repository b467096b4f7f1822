// The module that prometheus_text.h loads: metrics to prometheus-cpp, its text back.
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "host/prometheus_text.h"

namespace {

prometheus::MetricFamily family_of(const holdfast::MetricFamily& from) {
  prometheus::MetricFamily to;
  to.name = from.name;
  to.help = from.help;
  const bool counter = from.kind == holdfast::MetricKind::counter;
  to.type = counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
  for (const holdfast::MetricSample& sample : from.samples) {
    prometheus::ClientMetric metric;
    for (const auto& [name, value] : sample.labels) metric.label.push_back({name, value});
    (counter ? metric.counter.value : metric.gauge.value) = sample.value;
    to.metric.push_back(std::move(metric));
  }
  return to;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) bool holdfast_prometheus_text(
    const holdfast::MetricFamilies* families, holdfast::host::PrometheusText::Write write,
    void* to) {
  try {
    std::vector<prometheus::MetricFamily> all;
    for (const holdfast::MetricFamily& family : *families) {
      if (!family.samples.empty()) all.push_back(family_of(family));
    }
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, all);
    const std::string text = out.str();
    write(to, text.data(), text.size());
    return true;
  } catch (const std::exception&) {
    return false;
  }
}
