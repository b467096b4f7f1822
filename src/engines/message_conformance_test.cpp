// Goal:   a message goes over the wire with everything that belongs to it, and nothing else.
// Method: the engine publishes to a scripted peer on 127.0.0.1, which keeps the packet. The suite
//         runs once for each engine compiled in.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <future>
#include <optional>

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

  [[nodiscard]] env::ConnectRequest request() { return harness.request(peer.port()); }

  /// The PUBLISH packet that goes over the wire for this message.
  [[nodiscard]] std::optional<Packet> sent(const env::ConnectRequest& request,
                                           const StoredMessage& message) {
    if (!harness.connect_up(request) || !harness.engine->publish(1, message).ok()) return {};
    auto future = packet.get_future();
    const auto ready = [&] {
      return future.wait_for(milliseconds(0)) == std::future_status::ready;
    };
    if (!harness.run_until([&] { return ready() || sink.ended(); }) || !ready()) return {};
    return future.get();
  }

  std::promise<Packet> packet;
  ScriptedPeer peer{[this](PeerConnection& client) {
    welcome(client);
    if (auto publish = client.read(3)) packet.set_value(*publish);
    harness.wake();
    client.drain();
  }};
};

TEST_P(MessageConformance, PropertiesAndFlagsOfAMessageAreSent) {
  StoredMessage message = make_message("t", "p");
  message.retain = true;
  message.expiry_seconds = 0x00010203;
  message.content_type = "ct";
  message.user_properties = {{"k", "v"}, {"k", "w"}};
  message.response_topic = "rt";
  message.correlation_data = {std::byte{0}, std::byte{0xFF}};
  const auto seen = sent(request(), message);
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->first, 0x33);
  // Only user properties have an order (MQTT 5.0 section 2.2.2.2).
  Octets rest = seen->body;
  for (const Octets& part : {Octets{0, 1, 't', 0, 1, 34},  // topic, packet id, length of properties
                             Octets{0x02, 0, 1, 2, 3},     // expiry
                             Octets{0x03, 0, 2, 'c', 't'},  // content type
                             Octets{0x08, 0, 2, 'r', 't'},  // response topic
                             Octets{0x09, 0, 2, 0, 0xFF},   // correlation data
                             Octets{0x26, 0, 1, 'k', 0, 1, 'v', 0x26, 0, 1, 'k', 0, 1, 'w'}}) {
    const auto found = std::search(rest.begin(), rest.end(), part.begin(), part.end());
    ASSERT_NE(found, rest.end()) << "property " << int{part.front()};
    rest.erase(found, found + static_cast<std::ptrdiff_t>(part.size()));
  }
  EXPECT_EQ(rest, Octets{'p'});
}

// Its size must be known before it is sent: the broker's limit is checked by it.
TEST_P(MessageConformance, EveryPropertyCountsTowardsThePacketsSize) {
  StoredMessage message = make_message("t", "p");
  message.expiry_seconds = 1;
  message.content_type = "ct";
  message.user_properties = {{"k", "v"}};
  message.response_topic = "rt";
  message.correlation_data.resize(200);
  const auto seen = sent(request(), message);
  ASSERT_TRUE(seen.has_value());
  const std::size_t size = 1 + 2 + seen->body.size();
  for (const std::size_t most : {size - 1, size}) {
    ScriptedPeer strict{[&](PeerConnection& client) {
      const auto low = static_cast<std::uint8_t>(most & 0xFF);
      const auto high = static_cast<std::uint8_t>(most >> 8);
      if (client.read(1)) client.send(connack_v5(0, {0x27, 0, 0, high, low}));
      client.drain();
    }};
    Harness other(GetParam().make);
    ASSERT_TRUE(other.connect_up(other.request(strict.port())));
    const Status status = other.engine->publish(1, message);
    ASSERT_EQ(status.ok(), most == size) << most;
    EXPECT_TRUE(status.ok() || status.error().code == Errc::too_large);
  }
}

TEST_P(MessageConformance, TheIdAndWhatIsLeftOfTheExpiryGoAlong) {
  env::ConnectRequest with_ids = request();
  with_ids.id_property = "id";
  with_ids.id_prefix = 0xABCD;
  StoredMessage message = make_message("t", "p");
  message.id = 0x0000000800000002;
  message.alias = kVolatileBit | 5;  // the id that the application knows it by
  message.expiry_seconds = 1000;
  message.expires = harness.clock->now() + std::chrono::seconds(300);
  const auto seen = sent(with_ids, message);
  ASSERT_TRUE(seen.has_value());
  const std::string body(seen->body.begin(), seen->body.end());
  EXPECT_NE(body.find("0000abcd-8000000000000005"), std::string::npos);
  ASSERT_EQ(seen->body[6], 0x02);
  EXPECT_EQ(seen->body[9] * 256 + seen->body[10], 300);
}

TEST_P(MessageConformance, ATopicIsReplacedByItsNumberAsFarAsTheBrokerAllows) {
  std::promise<std::vector<Packet>> promise;
  constexpr std::size_t kCount = 6;
  ScriptedPeer broker{[&](PeerConnection& client) {
    if (client.read(1)) client.send(connack_v5(0, {0x22, 0, 2}));  // Topic Alias Maximum 2
    std::vector<Packet> packets;
    while (packets.size() < kCount) {
      auto publish = client.read(3);
      if (!publish) break;
      packets.push_back(*publish);
    }
    promise.set_value(std::move(packets));
    harness.wake();
    client.drain();
  }};
  env::ConnectRequest aliased = harness.request(broker.port());
  aliased.topic_aliases = 8;
  ASSERT_TRUE(harness.connect_up(aliased));
  env::Token token = 0;
  for (const char* topic : {"a", "b", "c", "a", "b", "c"}) {
    ASSERT_TRUE(harness.engine->publish(++token, make_message(topic, "p", Qos::at_most_once)).ok());
  }
  auto future = promise.get_future();
  ASSERT_TRUE(harness.run_until(
      [&] { return future.wait_for(milliseconds(0)) == std::future_status::ready; }));
  const std::vector<Packet> seen = future.get();
  ASSERT_EQ(seen.size(), kCount);
  EXPECT_EQ(seen[0].body, (Octets{0, 1, 'a', 3, 0x23, 0, 1, 'p'}));
  EXPECT_EQ(seen[1].body, (Octets{0, 1, 'b', 3, 0x23, 0, 2, 'p'}));
  EXPECT_EQ(seen[2].body, (Octets{0, 1, 'c', 0, 'p'})) << "the broker takes two";
  EXPECT_EQ(seen[3].body, (Octets{0, 0, 3, 0x23, 0, 1, 'p'}));
  EXPECT_EQ(seen[4].body, (Octets{0, 0, 3, 0x23, 0, 2, 'p'}));
  EXPECT_EQ(seen[5].body, (Octets{0, 1, 'c', 0, 'p'}));
}

TEST_P(MessageConformance, AMessageThatJustFitsGoesWithoutATopicsFirstNumber) {
  const StoredMessage message = make_message("t", std::string(50, 'x'));
  std::promise<Packet> promise;
  ScriptedPeer strict{[&](PeerConnection& client) {
    // Maximum Packet Size: type, length, topic, packet id, no properties, payload.
    const std::uint8_t most = 2 + 3 + 2 + 1 + 50;
    if (client.read(1)) client.send(connack_v5(0, {0x22, 0, 2, 0x27, 0, 0, 0, most}));
    if (auto publish = client.read(3)) promise.set_value(*publish);
    harness.wake();
    client.drain();
  }};
  env::ConnectRequest aliased = harness.request(strict.port());
  aliased.topic_aliases = 8;
  ASSERT_TRUE(harness.connect_up(aliased));
  ASSERT_TRUE(harness.engine->publish(1, message).ok());
  auto future = promise.get_future();
  ASSERT_TRUE(harness.run_until(
      [&] { return future.wait_for(milliseconds(0)) == std::future_status::ready; }));
  EXPECT_EQ(future.get().body.size(), 3U + 2 + 1 + 50);
}

INSTANTIATE_TEST_SUITE_P(Engines, MessageConformance, ::testing::ValuesIn(engines_under_test()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace holdfast::engines::test
