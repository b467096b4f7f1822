// Goal:   a message goes over the wire with everything that belongs to it, and nothing else.
// Method: the engine publishes to a scripted peer on 127.0.0.1, which keeps the packet. The suite
//         runs once for each engine compiled in.
#include <gtest/gtest.h>

#include <future>

#include "engines/engine_harness.h"
#include "engines/scripted_peer.h"

namespace holdfast::engines::test {
namespace {

using std::chrono::milliseconds;

/// Reads CONNECT and says yes.
void welcome(PeerConnection& client) {
  if (client.read(1)) client.send(connack_v5(0, {}));
}

class MessageConformance : public ::testing::TestWithParam<EngineUnderTest> {
 protected:
  Harness harness{GetParam().make};
  RecordingSink& sink = harness.sink;

  [[nodiscard]] env::Engine& engine() { return *harness.engine; }
};

TEST_P(MessageConformance, PropertiesAndFlagsOfAMessageAreSent) {
  std::promise<Packet> promise;
  ScriptedPeer peer([&](PeerConnection& client) {
    welcome(client);
    if (auto packet = client.read(3)) promise.set_value(*packet);
    harness.wake();
    client.drain();
  });
  ASSERT_TRUE(harness.connect_up(harness.request(peer.port())));
  StoredMessage message = make_message("t", "p");
  message.retain = true;
  message.expiry_seconds = 0x00010203;
  message.content_type = "ct";
  message.user_properties = {{"k", "v"}, {"k", "w"}};
  ASSERT_TRUE(engine().publish(1, message).ok());
  auto future = promise.get_future();
  ASSERT_TRUE(harness.run_until([&] {
    return future.wait_for(milliseconds(0)) == std::future_status::ready || sink.ended();
  }));
  const Packet seen = future.get();
  EXPECT_EQ(seen.first, 0x33);
  const Octets expected{0,    1, 't', 0,   1,            // topic, packet id
                        24,                              // properties
                        0x02, 0, 1,   2,   3,            // expiry
                        0x03, 0, 2,   'c', 't',          // content type
                        0x26, 0, 1,   'k', 0,   1, 'v',  // user properties
                        0x26, 0, 1,   'k', 0,   1, 'w', 'p'};
  EXPECT_EQ(seen.body, expected);
}

TEST_P(MessageConformance, TheIdAndWhatIsLeftOfTheExpiryGoAlong) {
  std::promise<Packet> promise;
  ScriptedPeer peer([&](PeerConnection& client) {
    welcome(client);
    if (auto packet = client.read(3)) promise.set_value(*packet);
    harness.wake();
    client.drain();
  });
  env::ConnectRequest request = harness.request(peer.port());
  request.id_property = "id";
  request.id_prefix = 0xABCD;
  ASSERT_TRUE(harness.connect_up(request));
  StoredMessage message = make_message("t", "p");
  message.id = 0x0000000800000002;
  message.alias = kVolatileBit | 5;  // the id that the application knows it by
  message.expiry_seconds = 1000;
  message.expires = harness.clock->now() + std::chrono::seconds(300);
  ASSERT_TRUE(engine().publish(1, message).ok());
  auto future = promise.get_future();
  ASSERT_TRUE(harness.run_until([&] {
    return future.wait_for(milliseconds(0)) == std::future_status::ready || sink.ended();
  }));
  const Packet seen = future.get();
  const std::string body(seen.body.begin(), seen.body.end());
  EXPECT_NE(body.find("0000abcd-8000000000000005"), std::string::npos);
  ASSERT_EQ(seen.body[6], 0x02);
  EXPECT_EQ(seen.body[9] * 256 + seen.body[10], 300);
}

INSTANTIATE_TEST_SUITE_P(Engines, MessageConformance, ::testing::ValuesIn(engines_under_test()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace holdfast::engines::test
