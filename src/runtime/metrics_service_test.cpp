// Goal:   a device serves its metrics as [metrics] says, online or not, and a wrong [metrics] is
// told
//         in one line.
// Method: real devices without a broker; the page is read through its Unix socket. Reports to a
// real
//         broker and to Device Defender are in lab/metrics_test.py.
#include "runtime/metrics_service.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "holdfast/device.h"
#include "host/prometheus_text.h"
#include "posix/tcp_listener.h"
#include "runtime/config_file.h"
#include "runtime/metrics_config.h"
#include "runtime/page_fixture.h"

namespace holdfast::runtime {
namespace {

class MetricsServiceTest : public PageFixture {
 protected:
  void SetUp() override {
    if (!host::has_prometheus()) GTEST_SKIP() << "built without prometheus-cpp";
  }

  [[nodiscard]] Config config() const {
    Config config = offline_config();
    config.metrics.listen = "unix:" + socket().string();
    return config;
  }

  [[nodiscard]] std::string scrape() const { return ask("GET /metrics HTTP/1.1\r\n\r\n"); }

  static bool has(const std::string& page, const std::string& line) {
    return page.find('\n' + line + '\n') != std::string::npos;
  }
};

TEST_F(MetricsServiceTest, ThePageShowsTheDeviceAlsoWithoutABroker) {
  auto device = Device::open(config(), [](const LogLine&) {});
  ASSERT_TRUE(device.ok()) << device.error().message;
  Message message;
  message.topic = "a/b";
  message.payload = Bytes(1000, std::byte{1});
  message.lane = "bulk";
  ASSERT_TRUE((*device)->publish(message));
  std::string page;
  do {
    page = scrape();
  } while (page.starts_with("HTTP/1.1 200") &&
           (!has(page, "holdfast_outbox_messages{lane=\"bulk\"} 1") ||
            !has(page, "holdfast_messages_pending 1") ||
            has(page, "holdfast_log_lines_total{result=\"written\"} 0")));
  EXPECT_TRUE(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
  EXPECT_TRUE(has(page, "holdfast_outbox_messages{lane=\"urgent\"} 0")) << page;
  EXPECT_TRUE(has(page, "holdfast_connected 0"));
  EXPECT_TRUE(has(page, "holdfast_storage_health{health=\"ok\"} 1"));
  EXPECT_TRUE(has(page, "holdfast_ledger_balanced 1"));
  EXPECT_FALSE(has(page, "holdfast_outbox_bytes{lane=\"bulk\"} 0"));
  EXPECT_FALSE(has(page, "holdfast_outbox_flushes_total 0"));
  EXPECT_FALSE(has(page, "holdfast_disk_size_bytes 0"));
  EXPECT_TRUE(
      has(scrape(), "process_max_fds " + std::to_string(posix::process_figures().max_files)));
  (*device)->stop(Milliseconds(5000));
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(MetricsServiceTest, TheSocketIsForTheGroupOnly) {
  auto device = Device::open(config());
  ASSERT_TRUE(device.ok()) << device.error().message;
  struct stat about {};
  ASSERT_EQ(::stat(socket().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777U, 0660U);
}

TEST_F(MetricsServiceTest, AnAddressInUseIsTold) {
  const auto taken = posix::listen_tcp({"127.0.0.1", 0, true});
  ASSERT_TRUE(taken.ok());
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  ASSERT_EQ(::getsockname(taken->get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
  std::array<unsigned char, 4> head{};
  std::copy_n(reinterpret_cast<const unsigned char*>(&own), head.size(), head.begin());
  const std::string port = std::to_string(head[2] * 256 + head[3]);
  Config wrong = config();
  wrong.metrics.listen = "127.0.0.1:" + port;
  const auto device = Device::open(wrong);
  ASSERT_FALSE(device.ok());
  EXPECT_EQ(device.error().code, Errc::in_use);
  EXPECT_EQ(device.error().message, "metrics.listen: cannot listen on 127.0.0.1, port " + port +
                                        ": Address already in use");
}

TEST_F(MetricsServiceTest, ChangingItNeedsARestart) {
  auto device = Device::open(config());
  ASSERT_TRUE(device.ok()) << device.error().message;
  Config other = config();
  other.metrics.publish_every = Seconds(600);
  const Status status = (*device)->reload(other);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "metrics cannot change while running; restart");
}

/// Of a whole file with this [metrics], the first problem; "" when there is none.
std::string problem_with(const std::string& metrics) {
  const ConfigReport report = parse_config(
      "[connection]\nhost = \"h\"\nclient_id = \"c\"\n[outbox]\ndirectory = \"/x\"\n[metrics]\n" +
          metrics,
      "/etc/h.toml", {});
  return report.problems.empty() ? "" : report.problems[0].message;
}

TEST_F(MetricsServiceTest, OnlyThisMachineUnlessAllowed) {
  EXPECT_EQ(problem_with("listen = \"127.0.0.1:9464\""), "");
  EXPECT_EQ(problem_with("listen = \"127.3.2.1:9464\""), "");
  EXPECT_EQ(problem_with("listen = \"[::1]:9464\""), "");
  EXPECT_EQ(problem_with("listen = \"unix:/run/m.sock\""), "");
  EXPECT_EQ(
      problem_with("listen = \"0.0.0.0:9464\""),
      "/etc/h.toml:7: metrics.listen: is \"0.0.0.0:9464\", which other machines reach; give a "
      "loopback address, or metrics.allow_remote = true if everybody in that network may read "
      "the metrics");
  EXPECT_NE(problem_with("listen = \"[::]:9464\""), "");
  EXPECT_NE(problem_with("listen = \"192.0.2.7:9464\""), "");
  EXPECT_EQ(problem_with("listen = \"0.0.0.0:9464\"\nallow_remote = true"), "");
}

TEST_F(MetricsServiceTest, WrongPlacesAreTold) {
  for (const char* const wrong : {"localhost:9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
                                  "127.0.0.1:70000", "::1:9464", "[127.0.0.1]:9464", "[::1]",
                                  ":9464", "9464", "unix:", "unix:metrics.sock", "127.0.0.1:94x"}) {
    EXPECT_EQ(problem_with(std::string("listen = \"") + wrong + '"')
                  .find("/etc/h.toml:7: metrics.listen: is \""),
              0U)
        << wrong << problem_with(std::string("listen = \"") + wrong + '"');
  }
  EXPECT_NE(problem_with("listen = \"unix:/" + std::string(107, 'x') + "\""), "");
}

TEST_F(MetricsServiceTest, ReportsAreNotFasterThanTheyAreTaken) {
  EXPECT_EQ(problem_with("publish_every = \"5m\""), "");
  EXPECT_EQ(
      problem_with("publish_every = \"299s\""),
      "/etc/h.toml:7: metrics.publish_every: is 299s; give 0 for never, or at least 5m, since "
      "Device Defender takes no more");
  EXPECT_EQ(problem_with("publish_every = \"10s\"\nformat = \"json\""), "");
  EXPECT_NE(problem_with("publish_every = \"9s\"\nformat = \"json\""), "");
  EXPECT_NE(problem_with("format = \"xml\""), "");
  EXPECT_NE(problem_with("publish_every = \"5m\"\ntopic = \"a/#\""), "");
}

TEST(MetricsBuild, ABuildWithoutPrometheusSaysSo) {
  if (host::has_prometheus()) GTEST_SKIP() << "built with prometheus-cpp";
  EXPECT_EQ(problem_with("listen = \"127.0.0.1:9464\""),
            "/etc/h.toml:7: metrics.listen: is \"127.0.0.1:9464\", which this build cannot serve; "
            "build with prometheus-cpp, or remove the key");
}

TEST(MetricsProfile, OnlyAwsHasDeviceDefender) {
  const std::string text =
      "[connection]\nhost = \"h\"\nclient_id = \"c\"\n[outbox]\ndirectory = \"/x\"\n";
  EXPECT_EQ(parse_config(text, "/h.toml", {}).config.metrics.format, MetricsFormat::defender);
  EXPECT_EQ(parse_config("profile = \"generic\"\n" + text, "/h.toml", {}).config.metrics.format,
            MetricsFormat::json);
}

}  // namespace
}  // namespace holdfast::runtime
