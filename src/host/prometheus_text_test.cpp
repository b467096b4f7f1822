// Goal:   metrics become Prometheus' text, through the module, as the format asks.
// Method: the real module with the real library; the expected text is written out.
#include "host/prometheus_text.h"

#include <gtest/gtest.h>

namespace holdfast::host {
namespace {

TEST(PrometheusText, WritesWhatPrometheusReads) {
  if (!has_prometheus()) GTEST_SKIP() << "built without prometheus-cpp";
  const auto text = PrometheusText::load();
  ASSERT_TRUE(text.ok()) << text.error().message;
  const MetricFamilies families{
      {"a_total", "Things.", MetricKind::counter, {{{{"of", "x\"\\\n"}}, 7}}},
      {"none", "Not known.", MetricKind::gauge, {}},
      {"big_bytes", "Large.", MetricKind::gauge, {{{}, 9007199254740991.0}, {{{"a", "b"}}, 0.25}}}};
  EXPECT_EQ(text->text(families),
            "# HELP a_total Things.\n"
            "# TYPE a_total counter\n"
            "a_total{of=\"x\\\"\\\\\\n\"} 7\n"
            "# HELP big_bytes Large.\n"
            "# TYPE big_bytes gauge\n"
            "big_bytes 9007199254740991\n"
            "big_bytes{a=\"b\"} 0.25\n");
}

TEST(PrometheusText, ABuildWithoutItSaysSo) {
  if (has_prometheus()) GTEST_SKIP() << "built with prometheus-cpp";
  const auto text = PrometheusText::load();
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, Errc::unsupported);
}

}  // namespace
}  // namespace holdfast::host
