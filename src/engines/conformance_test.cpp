// Goal:   every engine keeps the port's promises (env/engine.h), whatever the broker does.
// Method: the engine talks to a scripted peer on 127.0.0.1 that refuses, breaks off, keeps silent,
//         sends garbage or odd codes; what the sink is told and what went over the wire is
//         compared. The suite runs once for each engine compiled in.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "engines/engine_harness.h"
#include "engines/scripted_peer.h"

namespace holdfast::engines::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Reads CONNECT and says yes.
void welcome(PeerConnection& client, const Octets& properties = {}) {
  if (client.read(1)) client.send(connack_v5(0, properties));
}

class Conformance : public ::testing::TestWithParam<EngineUnderTest> {
 protected:
  Harness harness{GetParam().make};
  RecordingSink& sink = harness.sink;

  [[nodiscard]] env::Engine& engine() { return *harness.engine; }
  [[nodiscard]] bool up(const ScriptedPeer& peer) {
    return harness.connect_up(harness.request(peer.port()));
  }
  void publish(env::Token token, const StoredMessage& message) {
    const Status status = engine().publish(token, message);
    EXPECT_TRUE(status.ok()) << status.error().message;
  }
  [[nodiscard]] bool ended_with(Verdict verdict) {
    if (!harness.run_until_ended()) return false;
    EXPECT_EQ(to_string(sink.failure.verdict), to_string(verdict)) << sink.failure.detail;
    EXPECT_FALSE(sink.failure.detail.empty());
    return sink.failure.verdict == verdict;
  }
};

// ---- CONNECT ------------------------------------------------------------------------------------

TEST_P(Conformance, ConnectCarriesEverythingAskedFor) {
  std::promise<ConnectPacket> promise;
  ScriptedPeer peer([&](PeerConnection& client) {
    if (const auto packet = client.read(1)) promise.set_value(parse_connect(*packet));
    client.send(connack_v5(0, {}, true));
    client.drain();
  });
  env::ConnectRequest request = harness.request(peer.port());
  request.client_id = "thing-1";
  request.username = "user";
  request.password = "secret";
  request.keep_alive = Seconds(77);
  request.session_expiry = Seconds(0x01020304);
  request.receive_maximum = 0x0506;
  request.will = StatusMessage{"state/thing-1", "gone", Qos::at_least_once, true};
  ASSERT_TRUE(harness.connect_up(request));
  EXPECT_TRUE(sink.info.session_present);

  const ConnectPacket seen = promise.get_future().get();
  EXPECT_EQ(seen.protocol, "MQTT");
  EXPECT_EQ(seen.level, 5U);
  // User name, password, retained will with QoS 1, and no Clean Start.
  EXPECT_EQ(seen.flags, 0x80U | 0x40U | 0x20U | 0x08U | 0x04U);
  EXPECT_EQ(seen.keep_alive, 77U);
  EXPECT_EQ(seen.client_id, "thing-1");
  EXPECT_EQ(seen.will_topic, "state/thing-1");
  EXPECT_EQ(seen.will_payload, "gone");
  EXPECT_EQ(seen.username, "user");
  EXPECT_EQ(seen.password, "secret");
  const auto has = [&](const Octets& property) {
    return std::search(seen.properties.begin(), seen.properties.end(), property.begin(),
                       property.end()) != seen.properties.end();
  };
  EXPECT_TRUE(has({0x11, 1, 2, 3, 4}));  // Session Expiry Interval
  EXPECT_TRUE(has({0x21, 5, 6}));        // Receive Maximum
}

TEST_P(Conformance, ConnectWithMqtt311HasNoPropertiesAndCleanStartIsAFlag) {
  if (!GetParam().can.mqtt311) GTEST_SKIP() << "this engine speaks MQTT 5 only";
  std::promise<ConnectPacket> promise;
  ScriptedPeer peer([&](PeerConnection& client) {
    if (const auto packet = client.read(1)) promise.set_value(parse_connect(*packet));
    client.send(connack_v311(0));
    client.drain();
  });
  env::ConnectRequest request = harness.request(peer.port());
  request.version = MqttVersion::v311;
  request.clean_start = true;
  ASSERT_TRUE(harness.connect_up(request));
  const ConnectPacket seen = promise.get_future().get();
  EXPECT_EQ(seen.level, 4U);
  EXPECT_EQ(seen.flags, 0x02U);
  EXPECT_EQ(seen.keep_alive, 30U);
}

TEST_P(Conformance, AnEmptyClientIdIsAssignedByTheBroker) {
  std::promise<ConnectPacket> promise;
  ScriptedPeer peer([&](PeerConnection& client) {
    if (const auto packet = client.read(1)) promise.set_value(parse_connect(*packet));
    client.send(connack_v5(0, {0x12, 0, 6, 'a', 'u', 't', 'o', '-', '1'}));
    client.drain();
  });
  env::ConnectRequest request = harness.request(peer.port());
  request.client_id.clear();
  ASSERT_TRUE(harness.connect_up(request));
  EXPECT_EQ(sink.info.assigned_client_id, "auto-1");
  const ConnectPacket seen = promise.get_future().get();
  EXPECT_EQ(seen.client_id, "");
  EXPECT_EQ(seen.flags & 0x02U, 0x02U) << "without a name there is no session to resume";
}

TEST_P(Conformance, TellsWhatTheBrokerGrants) {
  ScriptedPeer peer([](PeerConnection& client) {
    // Receive Maximum 5, Maximum QoS 0, Retain Available 0, Maximum Packet Size 256, Keep Alive 20.
    welcome(client, {0x21, 0, 5, 0x24, 0, 0x25, 0, 0x27, 0, 0, 1, 0, 0x13, 0, 20});
    client.drain();
  });
  ASSERT_TRUE(up(peer));
  EXPECT_EQ(sink.info.receive_maximum, 5);
  EXPECT_EQ(sink.info.maximum_qos, Qos::at_most_once);
  EXPECT_FALSE(sink.info.retain_available);
  EXPECT_EQ(sink.info.maximum_packet_size, 256U);
  EXPECT_EQ(sink.info.server_keep_alive, Seconds(20));
  EXPECT_FALSE(sink.info.session_present);

  EXPECT_EQ(engine().publish(1, make_message("t", "x")).error().code, Errc::unsupported);
  StoredMessage retained = make_message("t", "x", Qos::at_most_once);
  retained.retain = true;
  EXPECT_EQ(engine().publish(2, retained).error().code, Errc::unsupported);
  // The largest packet that fits: 1 type, 2 length, 2+1 topic, 1 properties, payload.
  publish(3, make_message("t", std::string(249, 'x'), Qos::at_most_once));
  const Status large =
      engine().publish(4, make_message("t", std::string(250, 'x'), Qos::at_most_once));
  EXPECT_EQ(large.error().code, Errc::too_large);
  ASSERT_TRUE(harness.run_until([&] { return !sink.published.empty(); }));
  EXPECT_EQ(sink.published.front().first, 3U);
}

struct Refusal {
  std::uint8_t code;
  Verdict verdict;
};

TEST_P(Conformance, RefusalsOfMqtt5BecomeVerdicts) {
  const Refusal refusals[] = {
      {0x80, Verdict::server_gone},     {0x81, Verdict::protocol_error},
      {0x84, Verdict::protocol_error},  {0x85, Verdict::bad_credentials},
      {0x86, Verdict::bad_credentials}, {0x87, Verdict::not_authorized},
      {0x88, Verdict::server_gone},     {0x89, Verdict::server_gone},
      {0x8A, Verdict::not_authorized},  {0x95, Verdict::protocol_error},
      {0x97, Verdict::quota_exceeded},  {0x9F, Verdict::throttled},
  };
  for (const Refusal& refusal : refusals) {
    ScriptedPeer peer([&](PeerConnection& client) {
      if (!client.read(1)) return;
      client.send(connack_v5(refusal.code, {0x1F, 0, 4, 'b', 'a', 'd', '!'}));
    });
    harness.connect(harness.request(peer.port()));
    EXPECT_TRUE(ended_with(refusal.verdict)) << unsigned{refusal.code};
    EXPECT_TRUE(sink.failed);
    EXPECT_EQ(sink.failure.reason_code, refusal.code);
    EXPECT_NE(sink.failure.detail.find("bad!"), std::string::npos) << sink.failure.detail;
  }
}

TEST_P(Conformance, ARefusalInUnfitWordsIsStillThatRefusal) {
  ScriptedPeer peer([](PeerConnection& client) {
    if (client.read(1)) client.send(connack_v5(0x87, {0x1F, 0, 2, 0xFF, '\n'}));
  });
  harness.connect(harness.request(peer.port()));
  EXPECT_TRUE(ended_with(Verdict::not_authorized));
  for (const char c : sink.failure.detail) EXPECT_TRUE(c >= ' ' && c <= '~');
}

TEST_P(Conformance, RefusalsOfMqtt311BecomeVerdicts) {
  if (!GetParam().can.mqtt311) GTEST_SKIP() << "this engine speaks MQTT 5 only";
  const Refusal refusals[] = {{1, Verdict::protocol_error},  {2, Verdict::bad_credentials},
                              {3, Verdict::server_gone},     {4, Verdict::bad_credentials},
                              {5, Verdict::not_authorized},  {6, Verdict::not_authorized},
                              {255, Verdict::not_authorized}};
  for (const Refusal& refusal : refusals) {
    ScriptedPeer peer([&](PeerConnection& client) {
      if (client.read(1)) client.send(connack_v311(refusal.code));
    });
    env::ConnectRequest request = harness.request(peer.port());
    request.version = MqttVersion::v311;
    harness.connect(request);
    EXPECT_TRUE(ended_with(refusal.verdict)) << unsigned{refusal.code};
    EXPECT_TRUE(sink.failed);
  }
}

TEST_P(Conformance, AnOldBrokerRefusesMqtt5InItsOwnWay) {
  const Refusal refusals[] = {{1, Verdict::protocol_error}, {5, Verdict::not_authorized}};
  for (const Refusal& refusal : refusals) {
    ScriptedPeer peer([&](PeerConnection& client) {
      if (client.read(1)) client.send(connack_v311(refusal.code));
    });
    harness.connect(harness.request(peer.port()));
    EXPECT_TRUE(ended_with(refusal.verdict)) << unsigned{refusal.code};
    EXPECT_TRUE(sink.failed);
  }
}

// ---- not brokers --------------------------------------------------------------------------------

TEST_P(Conformance, ClosingInsteadOfAnsweringIsServerGone) {
  ScriptedPeer peer([](PeerConnection& client) { (void)client.read(1); });
  harness.connect(harness.request(peer.port()));
  ASSERT_TRUE(ended_with(Verdict::server_gone));
  EXPECT_TRUE(sink.failed);
  EXPECT_NE(sink.failure.detail.find("instead of answering CONNECT"), std::string::npos);
}

TEST_P(Conformance, ResetInsteadOfAnsweringIsServerGone) {
  ScriptedPeer peer([](PeerConnection& client) {
    if (client.read(1)) client.reset();
  });
  harness.connect(harness.request(peer.port()));
  EXPECT_TRUE(ended_with(Verdict::server_gone));
  EXPECT_TRUE(sink.failed);
}

TEST_P(Conformance, SilenceInsteadOfAnsweringIsMqttTimeout) {
  ScriptedPeer peer([](PeerConnection& client) { client.drain(); });
  env::ConnectRequest request = harness.request(peer.port());
  request.connack_timeout = milliseconds(300);
  harness.connect(request);
  EXPECT_TRUE(ended_with(Verdict::mqtt_timeout));
  EXPECT_TRUE(sink.failed);
}

TEST_P(Conformance, NobodyListeningIsTcpRefused) {
  std::uint16_t port = 0;
  {
    ScriptedPeer peer([](PeerConnection&) {});
    port = peer.port();
  }
  harness.connect(harness.request(port));
  EXPECT_TRUE(ended_with(Verdict::tcp_refused));
}

TEST_P(Conformance, GarbageIsAProtocolError) {
  const std::string garbage[] = {
      "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
      std::string("\x15\x03\x01\x00\x02\x02\x46", 7),  // a TLS alert
      std::string("\x20\xFF\xFF\xFF\xFF\xFF", 6),      // a length of five bytes
      std::string("\x20\xFF\xFF\xFF\x7F", 5),          // 256 MiB announced
      std::string("\x20\x01\x00", 3),                  // CONNACK too short
      std::string("\x20\x04\x00\x00\x7F\x01", 6),      // properties that run over the end
      std::string("\x30\x04\x00\x01tx", 6),            // PUBLISH before CONNACK
      std::string(100000, '\xFF'),
  };
  for (const std::string& bytes : garbage) {
    ScriptedPeer peer([&](PeerConnection& client) {
      if (client.read(1)) client.send_text(bytes);
      client.drain();
    });
    harness.connect(harness.request(peer.port()));
    EXPECT_TRUE(ended_with(Verdict::protocol_error)) << bytes.substr(0, 10);
    EXPECT_TRUE(sink.failed);
  }
}

TEST_P(Conformance, GarbageWhileUpIsAProtocolErrorAndBounded) {
  const std::string garbage[] = {
      std::string("\x00\x00", 2),                   // no such packet type
      std::string("\x32\x05\x00\x01t\x00\x00", 7),  // packet id 0
      std::string("\x30\x80\x80\x80\x7F", 5),       // 255 MiB announced
      std::string("\x90\x03\x00\x00\x00", 5),       // SUBACK with packet id 0
      std::string("\x20\x03\x00\x00\x00", 5),       // a second CONNACK
  };
  for (const std::string& bytes : garbage) {
    ScriptedPeer peer([&](PeerConnection& client) {
      welcome(client);
      client.send_text(bytes);
      client.drain();
    });
    harness.connect(harness.request(peer.port()));
    EXPECT_TRUE(ended_with(Verdict::protocol_error));
  }
}

// ---- publishing ---------------------------------------------------------------------------------

TEST_P(Conformance, PubackCodesArriveAsTheyWereSent) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    for (const int code : {-1, 0x00, 0x10, 0x87, 0x97}) {
      const auto packet = client.read(3);
      if (!packet) return;
      client.send(puback(packet->packet_id(), code));
    }
    client.drain();
  });
  ASSERT_TRUE(up(peer));
  for (env::Token token = 100; token < 105; ++token) publish(token, make_message("a/b", "payload"));
  EXPECT_TRUE(sink.published.empty()) << "the sink was called from inside publish()";
  ASSERT_TRUE(harness.run_until([&] { return sink.published.size() == 5; }));
  const std::vector<std::pair<env::Token, std::uint8_t>> expected{
      {100, 0}, {101, 0}, {102, 0x10}, {103, 0x87}, {104, 0x97}};
  EXPECT_EQ(sink.published, expected);
}

TEST_P(Conformance, UnfitMessagesAreRefusedAndHarmNothing) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    while (const auto packet = client.read(3)) client.send(puback(packet->packet_id(), 0));
  });
  ASSERT_TRUE(up(peer));
  for (const std::string& topic : {std::string(), std::string("a/+"), std::string("a\0b", 3),
                                   std::string("\xFF"), std::string(70000, 't')}) {
    const Status status = engine().publish(1, make_message(topic, "x"));
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Errc::protocol);
  }
  StoredMessage message = make_message("t", "x");
  message.user_properties = {{"\xC0", "v"}};
  EXPECT_EQ(engine().publish(2, message).error().code, Errc::protocol);
  const env::FilterRequest filters[] = {{"ok", Qos::at_least_once}, {"a/#/b", Qos::at_least_once}};
  EXPECT_FALSE(engine().subscribe(3, filters).ok());
  publish(4, make_message("t", "x"));
  ASSERT_TRUE(harness.run_until([&] { return sink.published.size() == 1; }));
  EXPECT_EQ(sink.published.front().first, 4U);
}

TEST_P(Conformance, LossWithUnackedTokensGivesNoResult) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    for (int i = 0; i < 20; ++i) {
      const auto packet = client.read(3);
      if (packet && i < 5) client.send(puback(packet->packet_id(), 0));
    }
    client.reset();
  });
  ASSERT_TRUE(up(peer));
  for (env::Token token = 1; token <= 20; ++token) publish(token, make_message("t", "x"));
  ASSERT_TRUE(ended_with(Verdict::server_gone));
  EXPECT_FALSE(sink.failed);
  EXPECT_LE(sink.published.size(), 5U);
  // The core may not know yet: no error, which would drop the message, and no result either.
  const std::size_t results = sink.published.size();
  EXPECT_TRUE(engine().publish(21, make_message("t", "x")).ok());
  sink.expect_silence();
  harness.run_for(milliseconds(50));
  EXPECT_EQ(sink.published.size(), results);
}

TEST_P(Conformance, OneAttemptsLeftoversDoNotReachTheNext) {
  int connection = 0;
  ScriptedPeer peer([&](PeerConnection& client) {
    welcome(client);
    if (++connection == 1) {
      (void)client.read(3);
      return;
    }
    client.send(publish_v5("hello", "", 0));
    // Nothing of the first connection is sent again.
    EXPECT_FALSE(client.read(3).has_value());
  });
  ASSERT_TRUE(up(peer));
  publish(7, make_message("t", "x"));
  ASSERT_TRUE(ended_with(Verdict::server_gone));
  ASSERT_TRUE(up(peer));
  ASSERT_TRUE(harness.run_until([&] { return sink.message_count == 1; }));
  EXPECT_TRUE(sink.published.empty());
  engine().disconnect();
  ASSERT_TRUE(harness.run_until_ended());
}

// ---- subscribing and receiving ------------------------------------------------------------------

TEST_P(Conformance, CodesComeInTheOrderOfTheRequestWhateverTheQos) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    // The codes tell the filters apart: the answer to "rN" is 0x80 + N, whatever packet it is in.
    for (int filters = 0; filters < 4;) {
      const auto packet = client.read(8);
      if (!packet) return;
      Octets body{packet->body[0], packet->body[1], 0};
      for (std::size_t at = 3; at < packet->body.size(); at += 5, ++filters) {
        body.push_back(static_cast<std::uint8_t>(0x80 + packet->body[at + 3] - '0'));
      }
      client.send(test::packet(0x90, body));
    }
    const auto packet = client.read(10);
    if (!packet) return;
    client.send(test::packet(0xB0, {packet->body[0], packet->body[1], 0, 0x00, 0x11, 0x87}));
    client.drain();
  });
  ASSERT_TRUE(up(peer));
  const env::FilterRequest filters[] = {{"r1", Qos::at_least_once},
                                        {"r2", Qos::at_most_once},
                                        {"r3", Qos::at_least_once},
                                        {"r4", Qos::at_most_once}};
  ASSERT_TRUE(engine().subscribe(5, filters).ok());
  ASSERT_TRUE(harness.run_until([&] { return sink.subscribed.size() == 1; }));
  EXPECT_EQ(sink.subscribed[0].first, 5U);
  EXPECT_EQ(sink.subscribed[0].second, (std::vector<std::uint8_t>{0x81, 0x82, 0x83, 0x84}));

  const std::string names[] = {"r1", "r2", "r3"};
  ASSERT_TRUE(engine().unsubscribe(6, names).ok());
  ASSERT_TRUE(harness.run_until([&] { return sink.subscribed.size() == 2; }));
  EXPECT_EQ(sink.subscribed[1].first, 6U);
  EXPECT_EQ(sink.subscribed[1].second, (std::vector<std::uint8_t>{0x00, 0x11, 0x87}));
}

TEST_P(Conformance, AnAnswerWithTooFewCodesIsAProtocolError) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    const auto packet = client.read(8);
    if (packet) client.send(test::packet(0x90, {packet->body[0], packet->body[1], 0, 1}));
    client.drain();
  });
  ASSERT_TRUE(up(peer));
  const env::FilterRequest filters[] = {{"a", Qos::at_least_once}, {"b", Qos::at_least_once}};
  ASSERT_TRUE(engine().subscribe(1, filters).ok());
  EXPECT_TRUE(ended_with(Verdict::protocol_error));
  EXPECT_TRUE(sink.subscribed.empty());
}

TEST_P(Conformance, InboundMessagesArriveWholeAndAreAcked) {
  std::promise<std::vector<std::uint16_t>> promise;
  const std::string large(200000, 'L');
  ScriptedPeer peer([&](PeerConnection& client) {
    if (!client.read(1)) return;
    // In one go with CONNACK: nothing may be lost between it and the first handler.
    Octets all = connack_v5(0);
    for (const Octets& more : {publish_v5("in/0", "zero", 0), publish_v5("in/1", "one", 11),
                               publish_v5("in/L", large, 12)}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    client.send(all);
    std::vector<std::uint16_t> acked;
    while (acked.size() < 2) {
      const auto packet = client.read(4);
      if (!packet) break;
      acked.push_back(packet->packet_id());
    }
    promise.set_value(acked);
    harness.wake();
    client.drain();
  });
  ASSERT_TRUE(up(peer));
  ASSERT_TRUE(harness.run_until([&] { return sink.message_count == 3; }));
  EXPECT_EQ(sink.messages[0].topic, "in/0");
  EXPECT_EQ(sink.messages[0].qos, Qos::at_most_once);
  EXPECT_EQ(text(sink.messages[0].payload), "zero");
  EXPECT_EQ(text(sink.messages[1].payload), "one");
  EXPECT_EQ(sink.messages[1].qos, Qos::at_least_once);
  EXPECT_EQ(text(sink.messages[2].payload), large);
  auto future = promise.get_future();
  ASSERT_TRUE(harness.run_until([&] {
    return future.wait_for(milliseconds(0)) == std::future_status::ready || sink.ended();
  }));
  EXPECT_EQ(future.get(), (std::vector<std::uint16_t>{11, 12}));
}

// ---- ends ---------------------------------------------------------------------------------------

TEST_P(Conformance, FarewellsOfTheServerBecomeVerdicts) {
  const Refusal farewells[] = {
      {0x00, Verdict::server_gone},    {0x81, Verdict::protocol_error},
      {0x82, Verdict::protocol_error}, {0x87, Verdict::not_authorized},
      {0x89, Verdict::server_gone},    {0x8B, Verdict::server_gone},
      {0x8D, Verdict::server_gone},    {0x8E, Verdict::id_taken_over},
      {0x96, Verdict::throttled},      {0x97, Verdict::quota_exceeded},
      {0x98, Verdict::server_gone},
  };
  for (const Refusal& farewell : farewells) {
    ScriptedPeer peer([&](PeerConnection& client) {
      welcome(client);
      client.send(test::packet(0xE0, {farewell.code, 7, 0x1F, 0, 4, 'w', 'h', 'y', '!'}));
    });
    harness.connect(harness.request(peer.port()));
    EXPECT_TRUE(ended_with(farewell.verdict)) << unsigned{farewell.code};
    EXPECT_FALSE(sink.failed);
    EXPECT_EQ(sink.failure.reason_code, farewell.code);
    EXPECT_NE(sink.failure.detail.find("why!"), std::string::npos) << sink.failure.detail;
  }
}

TEST_P(Conformance, BytesMayComeOneAtATime) {
  ScriptedPeer peer([](PeerConnection& client) {
    if (!client.read(1)) return;
    Octets all = connack_v5(0, {0x21, 0, 9});
    for (const Octets& more :
         {publish_v5("in", "payload", 5), test::packet(0xD0, {}), test::packet(0xE0, {0x97})}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    for (const std::uint8_t byte : all) client.send({byte});
  });
  harness.connect(harness.request(peer.port()));
  ASSERT_TRUE(ended_with(Verdict::quota_exceeded));
  EXPECT_FALSE(sink.failed);
  EXPECT_EQ(sink.info.receive_maximum, 9);
  ASSERT_EQ(sink.message_count, 1U);
  EXPECT_EQ(text(sink.messages[0].payload), "payload");
}

TEST_P(Conformance, AFarewellWithoutACodeIsServerGone) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    client.send({0xE0, 0x00});
  });
  harness.connect(harness.request(peer.port()));
  EXPECT_TRUE(ended_with(Verdict::server_gone));
  EXPECT_FALSE(sink.failed);
}

TEST_P(Conformance, AFarewellIsHeardThoughOurWritesFail) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    (void)client.read(3);
    client.send(test::packet(0xE0, {0x8E}));
    // Closing with unread bytes makes the kernel answer further writes with a reset.
  });
  ASSERT_TRUE(up(peer));
  for (env::Token token = 1; token <= 100; ++token) {
    publish(token, make_message("t", std::string(5000, 'x')));
  }
  ASSERT_TRUE(harness.run_until_ended());
  // A reset may overtake the farewell; a farewell that arrived is never forgotten.
  EXPECT_TRUE(sink.failure.verdict == Verdict::id_taken_over ||
              sink.failure.verdict == Verdict::server_gone)
      << to_string(sink.failure.verdict);
}

TEST_P(Conformance, DisconnectSendsEverythingAndThenDisconnect) {
  std::promise<std::vector<unsigned>> promise;
  ScriptedPeer peer([&](PeerConnection& client) {
    welcome(client);
    std::vector<unsigned> types;
    while (const auto packet = client.read()) types.push_back(packet->type());
    promise.set_value(types);
  });
  ASSERT_TRUE(up(peer));
  for (env::Token token = 1; token <= 3; ++token) publish(token, make_message("t", "x"));
  engine().disconnect();
  EXPECT_TRUE(sink.up()) << "the sink was called from inside disconnect()";
  ASSERT_TRUE(ended_with(Verdict::none));
  EXPECT_FALSE(sink.failed);
  EXPECT_EQ(promise.get_future().get(), (std::vector<unsigned>{3, 3, 3, 14}));
}

TEST_P(Conformance, DisconnectFromAPeerThatDoesNotReadIsCutByAbort) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    client.ignore();
  });
  ASSERT_TRUE(up(peer));
  for (env::Token token = 1; token <= 100; ++token) {
    publish(token, make_message("t", std::string(200000, 'x')));
  }
  engine().disconnect();
  harness.run_for(milliseconds(100));
  EXPECT_TRUE(sink.up());
  engine().abort();
  sink.expect_silence();
  harness.run_for(milliseconds(50));
}

// Field lessons 2 and 6.
TEST_P(Conformance, ASilentPeerIsNoticedInTimeWhenIdle) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    client.drain();
  });
  env::ConnectRequest request = harness.request(peer.port());
  request.silent_after = milliseconds(800);
  ASSERT_TRUE(harness.connect_up(request));
  const BootTime begin = harness.clock->now();
  ASSERT_TRUE(ended_with(Verdict::silent_peer));
  EXPECT_GE(harness.clock->now() - begin, milliseconds(750));
}

TEST_P(Conformance, AnIdlePeerThatAnswersPingsIsKept) {
  std::atomic<int> pings{0};
  ScriptedPeer peer([&](PeerConnection& client) {
    welcome(client);
    while (const auto packet = client.read()) {
      if (packet->type() != 12) continue;
      ++pings;
      client.send({0xD0, 0x00});
    }
  });
  env::ConnectRequest request = harness.request(peer.port());
  request.silent_after = milliseconds(200);
  ASSERT_TRUE(harness.connect_up(request));
  ASSERT_TRUE(harness.run_until([&] { return pings >= 5 || sink.ended(); }));
  EXPECT_TRUE(sink.up());
}

TEST_P(Conformance, TheServersKeepAliveIsObeyed) {
  std::atomic<int> pings{0};
  ScriptedPeer peer([&](PeerConnection& client) {
    welcome(client, {0x13, 0, 1});  // Server Keep Alive 1 s
    while (const auto packet = client.read()) {
      if (packet->type() != 12) continue;
      ++pings;
      client.send({0xD0, 0x00});
    }
  });
  ASSERT_TRUE(up(peer));
  ASSERT_TRUE(harness.run_until([&] { return pings >= 1; }, milliseconds(1500)));
}

TEST_P(Conformance, PingsFitBetweenPacketsUnderLoad) {
  std::atomic<int> pings{0};
  ScriptedPeer peer([&](PeerConnection& client) {
    welcome(client);
    // Only QoS 0 comes, so that nothing but PINGRESP ever goes back. A byte in the wrong place
    // would show as a packet of an unexpected type.
    while (const auto packet = client.read()) {
      if (packet->type() == 12) {
        ++pings;
        client.send({0xD0, 0x00});
      } else {
        EXPECT_EQ(packet->first, 0x30);
      }
    }
  });
  env::ConnectRequest request = harness.request(peer.port());
  request.silent_after = milliseconds(300);
  ASSERT_TRUE(harness.connect_up(request));
  const StoredMessage message = make_message("t", std::string(3000, 'x'), Qos::at_most_once);
  env::Token token = 0;
  const auto refill = [&] {
    while (sink.up() && token < sink.published.size() + 100) publish(++token, message);
  };
  sink.on_event = refill;
  refill();
  ASSERT_TRUE(harness.run_until([&] { return pings >= 4 || sink.ended(); }));
  EXPECT_TRUE(sink.up()) << sink.failure.detail;
  EXPECT_GT(token, 100U);
  sink.on_event = nullptr;
}

// Field lesson 27.
TEST_P(Conformance, APeerThatStopsReadingIsFoundAndCostsBoundedMemory) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    client.ignore();
  });
  env::ConnectRequest request = harness.request(peer.port());
  request.silent_after = milliseconds(1500);
  ASSERT_TRUE(harness.connect_up(request));
  const std::size_t before = resident_bytes();
  // QoS 0 with a window of 50: what isn't written is not reported, so no more is handed over.
  const StoredMessage message = make_message("t", std::string(100000, 'x'), Qos::at_most_once);
  env::Token token = 0;
  const auto refill = [&] {
    while (sink.up() && token < sink.published.size() + 50) publish(++token, message);
  };
  sink.on_event = refill;
  refill();
  ASSERT_TRUE(ended_with(Verdict::silent_peer));
  sink.on_event = nullptr;
  EXPECT_LT(token, 1000U);
  if (kMemoryIsMeasurable) {
    EXPECT_LT(resident_bytes(), before + 24 * 1024 * 1024);
  }
}

// ---- abort --------------------------------------------------------------------------------------

TEST_P(Conformance, AbortInEachPhaseLeavesNothing) {
  const auto wake = [this] { harness.wake(); };
  ScriptedPeer silent([](PeerConnection& client) { client.drain(); }, wake);
  ScriptedPeer polite(
      [](PeerConnection& client) {
        welcome(client);
        client.drain();
      },
      wake);
  // Once for what is made on first use and stays.
  ASSERT_TRUE(up(polite));
  engine().abort();
  harness.run_for(milliseconds(20));
  const std::size_t descriptors = count_descriptors();

  const std::vector<std::pair<const ScriptedPeer*, std::function<void()>>> phases = {
      {&silent, [] {}},                                       // just asked for
      {&silent, [&] { harness.run_for(milliseconds(20)); }},  // waiting for CONNACK
      {&polite, [&] { (void)harness.run_until([&] { return sink.up(); }); }},
      {&polite,
       [&] {
         (void)harness.run_until([&] { return sink.up(); });
         publish(1, make_message("t", "x"));
       }},
      {&polite,
       [&] {
         (void)harness.run_until([&] { return sink.up(); });
         engine().disconnect();
       }},
  };
  for (const auto& [peer, reach] : phases) {
    harness.connect(harness.request(peer->port()));
    reach();
    engine().abort();
    engine().abort();  // harmless
    sink.expect_silence();
    harness.run_for(milliseconds(30));
    // The peer closes its end on its own thread.
    EXPECT_TRUE(harness.run_until([&] { return count_descriptors() <= descriptors; }, seconds(2)))
        << count_descriptors() << " descriptors instead of " << descriptors;
  }
}

TEST_P(Conformance, AbortAndReconnectFromInsideTheSink) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    client.send(publish_v5("a", "1", 0));
    client.send(publish_v5("a", "2", 0));
    client.drain();
  });
  int rounds = 0;
  sink.on_event = [&] {
    if (sink.message_count != 1 || rounds == 3) return;
    ++rounds;
    engine().abort();  // the second message must not come any more
    const env::ConnectRequest request = harness.request(peer.port());
    sink.expect(request.attempt);
    engine().connect(request);
  };
  harness.connect(harness.request(peer.port()));
  ASSERT_TRUE(harness.run_until([&] { return rounds == 3 && sink.message_count == 2; }));
  sink.on_event = nullptr;
}

TEST_P(Conformance, DestroyingTheEngineFromInsideTheSinkIsSafe) {
  ScriptedPeer peer([](PeerConnection& client) {
    welcome(client);
    client.drain();
  });
  sink.on_event = [&] {
    harness.engine.reset();
    sink.expect_silence();
  };
  harness.connect(harness.request(peer.port()));
  ASSERT_TRUE(harness.run_until([&] { return harness.engine == nullptr; }));
  harness.run_for(milliseconds(30));
  sink.on_event = nullptr;
}

TEST_P(Conformance, TwoHundredCyclesLeakNothing) {
  ScriptedPeer peer(
      [](PeerConnection& client) {
        welcome(client);
        client.drain();
      },
      [this] { harness.wake(); });
  const auto cycle = [&](int i) {
    harness.connect(harness.request(peer.port()));
    if (i % 3 != 0) (void)harness.run_until([&] { return sink.up(); });
    if (i % 3 == 2) {
      publish(1, make_message("t", std::string(10000, 'x')));
      engine().disconnect();
      (void)harness.run_until_ended();
    }
    engine().abort();
  };
  for (int i = 0; i < 30; ++i) cycle(i);
  harness.run_for(milliseconds(20));
  const std::size_t descriptors = count_descriptors();
  const std::size_t memory = resident_bytes();
  for (int i = 0; i < 200; ++i) cycle(i);
  EXPECT_TRUE(harness.run_until([&] { return count_descriptors() <= descriptors; }, seconds(2)))
      << count_descriptors() << " descriptors instead of " << descriptors;
  if (kMemoryIsMeasurable) {
    EXPECT_LT(resident_bytes(), memory + 4 * 1024 * 1024);
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, Conformance, ::testing::ValuesIn(engines_under_test()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace holdfast::engines::test
