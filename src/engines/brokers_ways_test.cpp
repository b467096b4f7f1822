// Goal:   TLS and WebSocket work with the stacks of all brokers, which are not OpenSSL and
//         libwebsockets only, but Erlang's and Go's, too.
// Method: as brokers_test.cpp; the listener with TLS demands a client certificate.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "engines/brokers_fixture.h"

namespace holdfast::engines::test {
namespace {

using std::chrono::seconds;

class BrokersByOtherWays : public Brokers {
 protected:
  [[nodiscard]] env::ConnectRequest request_by(Transport transport, bool tls) {
    env::ConnectRequest result = request();
    result.transport = transport;
    if (tls) {
      result.tls = broker->tls();
      result.port = broker->tls_port();
    } else {
      result.port = broker->websocket_port();
      result.websocket_path = "/mqtt";
    }
    return result;
  }
  /// Payloads around the sizes at which records, frames and buffers end, and a large one.
  void round_trips() {
    EXPECT_EQ(subscribe(topic("#")), Codes{1});
    constexpr std::size_t kSizes[] = {0,     1,     100,   125,   126,   4096,
                                      16383, 16384, 65535, 65536, 131072};
    env::Token token = 0;
    for (const std::size_t size : kSizes) {
      ASSERT_TRUE(engine().publish(++token, make_message(topic("n"), std::string(size, 'x'))).ok());
    }
    ASSERT_TRUE(harness.run_until(
        [&] {
          return (sink.message_count == token && sink.published.size() == token) || sink.ended();
        },
        seconds(30)));
    ASSERT_TRUE(sink.up()) << sink.failure.detail;
    for (std::size_t i = 0; i < token; ++i) {
      EXPECT_EQ(sink.messages[i].payload, make_message("", std::string(kSizes[i], 'x')).payload);
    }
    end();
  }
};

TEST_P(BrokersByOtherWays, MutualTlsCarriesMessagesWhole) {
  ASSERT_TRUE(harness.connect_up(request_by(Transport::mqtt, true)));
  round_trips();
}

TEST_P(BrokersByOtherWays, WithoutTheWantedCertificateThereIsNoConnectionWhereItIsDemanded) {
  env::ConnectRequest bare = request_by(Transport::mqtt, true);
  bare.tls.cert_file.clear();
  bare.tls.key_file.clear();
  harness.connect(bare);
  ASSERT_TRUE(harness.run_until([&] { return sink.up() || sink.ended(); }));
  ASSERT_NE(sink.failed, sink.up());
  ASSERT_EQ(sink.failed, kind().demands_certificate);
  if (!kind().demands_certificate) return;
  EXPECT_EQ(to_string(sink.failure.verdict), to_string(Verdict::tls_client_refused))
      << sink.failure.detail;
}

TEST_P(BrokersByOtherWays, WebSocketCarriesMessagesWhole) {
  ASSERT_TRUE(harness.connect_up(request_by(Transport::websocket, false)));
  round_trips();
}

INSTANTIATE_TEST_SUITE_P(Real, BrokersByOtherWays, ::testing::ValuesIn(combinations(true)),
                         name_of);

}  // namespace
}  // namespace holdfast::engines::test
