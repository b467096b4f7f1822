// Goal:   reports over MQTT say what the page says, in the form that their reader wants.
// Method: reports of known figures, read back as JSON.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/metrics.h"
#include "runtime/metrics_service.h"

namespace holdfast::runtime {
namespace {

using nlohmann::json;

const MetricFamilies& families() {
  static const MetricFamilies all{
      {"holdfast_connects_total", "h", MetricKind::counter, {{{}, 3}}},
      {"holdfast_messages_dropped_total",
       "h",
       MetricKind::counter,
       {{{{"reason", "expired"}}, 2}, {{{"reason", "refused"}}, 0}, {{{"reason", "evicted"}}, 5}}},
      {"holdfast_uptime_seconds", "h", MetricKind::gauge, {{{}, 1.75}}},
      {"holdfast_build_info", "h", MetricKind::gauge, {{{{"version", "1"}, {"engine", "m"}}, 1}}},
      {"holdfast_disk_free_bytes", "h", MetricKind::gauge, {}}};
  return all;
}

TEST(MetricsReport, PlainJsonHasAMemberForEachMetric) {
  const json report = json::parse(metrics_json(families(), WallTime{1'500'000'000'000}, "me"));
  EXPECT_EQ(report, json::parse(R"({"time":"2017-07-14T02:40:00Z","client_id":"me","metrics":{
    "holdfast_connects_total":3,
    "holdfast_messages_dropped_total":{"expired":2,"evicted":5},
    "holdfast_uptime_seconds":1.75,
    "holdfast_build_info":{"version":"1","engine":"m"}}})"));
}

TEST(MetricsReport, DefenderReportHasDifferencesAndSums) {
  const posix::NetworkFigures before{100, 200, 10, 20, 1};
  const posix::NetworkFigures now{150, 50, 11, 29, 4};  // an interface has gone
  const json report = json::parse(defender_report(families(), 42, before, now));
  EXPECT_EQ(report, json::parse(R"({"header":{"report_id":42,"version":"1.0"},
    "metrics":{"network_stats":{"bytes_in":50,"bytes_out":50,"packets_in":1,"packets_out":9},
               "tcp_connections":{"established_connections":{"total":4}}},
    "custom_metrics":{"holdfast_connects_total":[{"number":3}],
                      "holdfast_messages_dropped_total":[{"number":7}],
                      "holdfast_uptime_seconds":[{"number":1}]}})"));
}

TEST(MetricsReport, DefenderReportWithoutNetworkFiguresHasTheRest) {
  const json report = json::parse(defender_report(families(), 1, std::nullopt, std::nullopt));
  EXPECT_FALSE(report.contains("metrics"));
  EXPECT_EQ(report["custom_metrics"].size(), 3U);
}

TEST(MetricsReport, GoesWhereTheConfigurationSays) {
  Config config;
  EXPECT_EQ(report_topic(config), "");  // no name yet
  config.client_id = "pump-7";
  EXPECT_EQ(report_topic(config), "$aws/things/pump-7/defender/metrics/json");
  config.metrics.format = MetricsFormat::json;
  EXPECT_EQ(report_topic(config), "pump-7/metrics");
  config.metrics.topic = "plant/metrics";
  EXPECT_EQ(report_topic(config), "plant/metrics");
}

}  // namespace
}  // namespace holdfast::runtime
