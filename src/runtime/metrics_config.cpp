// See metrics_config.h.
#include "runtime/metrics_config.h"

#include <string>
#include <utility>

#include "device/admission.h"
#include "flow/topic.h"
#include "host/prometheus_text.h"
#include "runtime/config_keys.h"
#include "runtime/http_place.h"
#include "runtime/metrics_service.h"

namespace holdfast::runtime {
namespace {

void check_listen(const Config::Metrics& metrics, std::vector<ConfigProblem>& problems) {
  if (metrics.listen.empty()) return;
  const auto wrong = [&](std::string what) {
    problems.push_back({"metrics.listen", "is " + in_quotes(metrics.listen) + std::move(what)});
  };
  if (!host::has_prometheus()) {
    return wrong(", which this build cannot serve; build with prometheus-cpp, or remove the key");
  }
  const auto place = parse_http_place(metrics.listen);
  if (!place) return wrong(", which " + place.error().message);
  if (place->socket.empty() && !place->tcp.loopback && !metrics.allow_remote) {
    wrong(
        ", which other machines reach; give a loopback address, or metrics.allow_remote = true if "
        "everybody in that network may read the metrics");
  }
}

}  // namespace

void check_metrics(const Config& config, std::vector<ConfigProblem>& problems) {
  const Config::Metrics& metrics = config.metrics;
  check_listen(metrics, problems);
  if (metrics.publish_every.count() == 0) return;
  const bool defender = metrics.format == MetricsFormat::defender;
  const Seconds least = defender ? kDefenderEvery : kReportEvery;
  const auto text = [](Seconds seconds) {
    return format_duration(static_cast<std::uint64_t>(Milliseconds(seconds).count()));
  };
  if (metrics.publish_every < least) {
    problems.push_back(
        {"metrics.publish_every", "is " + text(metrics.publish_every) +
                                      "; give 0 for never, or at least " + text(least) +
                                      (defender ? ", since Device Defender takes no more" : "")});
  }
  const std::string topic = report_topic(config);
  const flow::TopicLimits limits = device::topic_limits(config, topic);
  if (topic.empty()) return;  // named by provisioning, or by the broker
  if (const Status good = flow::check_topic(topic, limits); !good) {
    problems.push_back({"metrics.topic", "is " + in_quotes(topic) + ": " + good.error().message +
                                             "; give another topic"});
  }
}

void check_metrics_module(const Config& config, std::vector<ConfigProblem>& problems) {
  if (config.metrics.listen.empty() || !host::has_prometheus()) return;
  if (const auto module = host::PrometheusText::load(); !module) {
    problems.push_back(
        {"metrics.listen", "cannot be served: " + module.error().message, module.error().code});
  }
}

}  // namespace holdfast::runtime
