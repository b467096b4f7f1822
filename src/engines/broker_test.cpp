// Goal:   every engine works with a real broker: what is published arrives, what is retained,
//         willed or kept in a session is there, and a killed broker is noticed.
// Method: a mosquitto on 127.0.0.1 for each test, plain and with mutual TLS, with WebSocket and
//         without, MQTT 5 and 3.1.1.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <tuple>

#include "engines/engine_harness.h"
#include "engines/real_broker.h"
#include "posix/test_network.h"

namespace holdfast::engines::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A second engine on the same loop: who watches, or who publishes from outside.
class Companion {
 public:
  Companion(Harness& harness, EngineFactory make)
      : harness_(harness), engine(make(harness.loop, *harness.resolver, *harness.clock, sink)) {}

  [[nodiscard]] bool connect(env::ConnectRequest request) {
    request.client_id = "companion";
    request.will.reset();
    request.clean_start = true;
    sink.take_all(*engine);
    sink.expect(request.attempt);
    engine->connect(request);
    return harness_.run_until([this] { return sink.up() || sink.ended(); }) && sink.up();
  }

 private:
  Harness& harness_;

 public:
  RecordingSink sink;
  std::unique_ptr<env::Engine> engine;
};

using Parameters = std::tuple<EngineUnderTest, MqttVersion, Way>;

class WithBroker : public ::testing::TestWithParam<Parameters> {
 protected:
  void SetUp() override {
    if (!RealBroker::available()) GTEST_SKIP() << "mosquitto is not installed";
    broker.emplace(std::get<Way>(GetParam()));
  }

  [[nodiscard]] MqttVersion version() const { return std::get<MqttVersion>(GetParam()); }
  [[nodiscard]] EngineFactory make() const { return std::get<EngineUnderTest>(GetParam()).make; }
  [[nodiscard]] env::Engine& engine() { return *harness.engine; }
  [[nodiscard]] env::ConnectRequest request() {
    env::ConnectRequest result = harness.request(broker->port());
    result.version = version();
    result.tls = broker->tls();
    result.transport = broker->transport();
    result.websocket_path = "/mqtt";
    result.session_expiry = Seconds(600);
    result.topic_aliases = 8;
    return result;
  }
  void subscribe(env::Engine& who, RecordingSink& its, const std::string& filter,
                 Qos qos = Qos::at_least_once) {
    const env::FilterRequest filters[] = {{filter, qos}};
    const std::size_t before = its.subscribed.size();
    ASSERT_TRUE(who.subscribe(1000 + before, filters).ok());
    ASSERT_TRUE(harness.run_until([&] { return its.subscribed.size() > before; }));
    EXPECT_EQ(its.subscribed.back().second,
              std::vector<std::uint8_t>{static_cast<std::uint8_t>(qos)});
  }

  std::optional<RealBroker> broker;
  Harness harness{make()};
  RecordingSink& sink = harness.sink;
};

TEST_P(WithBroker, MessagesOfBothQosComeBackWhole) {
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_FALSE(sink.info.session_present);
  subscribe(engine(), sink, "round/#");
  StoredMessage first = make_message("round/0", "zero", Qos::at_most_once);
  StoredMessage second = make_message("round/1", std::string(131072, 'x'));
  if (version() == MqttVersion::v5) {
    second.content_type = "text/plain";
    second.user_properties = {{"a", "1"}, {"a", "2"}, {"\xC3\xA4", ""}};
    second.response_topic = "round/answers";
    second.correlation_data = {std::byte{0}, std::byte{0xFF}};
  }
  ASSERT_TRUE(engine().publish(1, first).ok());
  ASSERT_TRUE(engine().publish(2, second).ok());
  ASSERT_TRUE(
      harness.run_until([&] { return sink.message_count == 2 && sink.published.size() == 2; }));
  EXPECT_EQ(text(sink.messages[0].payload), "zero");
  EXPECT_EQ(sink.messages[0].qos, Qos::at_most_once);
  EXPECT_EQ(sink.messages[1].payload, second.payload);
  EXPECT_EQ(sink.messages[1].qos, Qos::at_least_once);
  EXPECT_EQ(sink.messages[1].content_type, second.content_type);
  EXPECT_EQ(sink.messages[1].user_properties, second.user_properties);
  EXPECT_EQ(sink.messages[1].response_topic, second.response_topic);
  EXPECT_EQ(sink.messages[1].correlation_data, second.correlation_data);
}

TEST_P(WithBroker, TwentyThousandMessagesInAWindowOfAHundred) {
  constexpr std::size_t kCount = 20000;
  constexpr std::size_t kWindow = 100;
  ASSERT_TRUE(harness.connect_up(request()));
  const StoredMessage message = make_message("bulk", std::string(200, 'b'));
  env::Token token = 0;
  std::size_t most = 0;
  const auto refill = [&] {
    while (token < kCount && token < sink.published.size() + kWindow) {
      ASSERT_TRUE(engine().publish(++token, message).ok());
    }
    most = std::max(most, static_cast<std::size_t>(token) - sink.published.size());
  };
  sink.on_event = refill;
  refill();
  ASSERT_TRUE(harness.run_until([&] { return sink.published.size() == kCount || sink.ended(); },
                                seconds(60)));
  sink.on_event = nullptr;
  ASSERT_EQ(sink.published.size(), kCount);
  EXPECT_EQ(most, kWindow);
  // Mosquitto acknowledges in order, so each token once means this sequence. 0x10: no subscriber.
  for (std::size_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(sink.published[i].first, i + 1);
    ASSERT_LT(sink.published[i].second, 0x80);
  }
}

TEST_P(WithBroker, TheSessionIsKeptBetweenConnections) {
  env::ConnectRequest first = request();
  ASSERT_TRUE(harness.connect_up(first));
  EXPECT_FALSE(sink.info.session_present);
  subscribe(engine(), sink, "kept");
  engine().disconnect();
  ASSERT_TRUE(harness.run_until_ended());
  EXPECT_EQ(sink.failure.verdict, Verdict::none);

  Companion other(harness, make());
  ASSERT_TRUE(other.connect(request()));
  ASSERT_TRUE(other.engine->publish(1, make_message("kept", "while away")).ok());
  ASSERT_TRUE(harness.run_until([&] { return other.sink.published.size() == 1; }));

  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_TRUE(sink.info.session_present);
  ASSERT_TRUE(harness.run_until([&] { return sink.message_count == 1; }));
  EXPECT_EQ(text(sink.messages[0].payload), "while away");
  engine().disconnect();
  ASSERT_TRUE(harness.run_until_ended());

  env::ConnectRequest clean = request();
  clean.clean_start = true;
  ASSERT_TRUE(harness.connect_up(clean));
  EXPECT_FALSE(sink.info.session_present);
}

TEST_P(WithBroker, TheWillIsPublishedOnAbortAndNotOnDisconnect) {
  Companion watcher(harness, make());
  ASSERT_TRUE(watcher.connect(request()));
  subscribe(*watcher.engine, watcher.sink, "will/#");
  env::ConnectRequest willed = request();
  willed.will = StatusMessage{"will/first", "gone", Qos::at_least_once, false};
  ASSERT_TRUE(harness.connect_up(willed));
  engine().disconnect();
  ASSERT_TRUE(harness.run_until_ended());

  willed = request();
  willed.will = StatusMessage{"will/second", "gone", Qos::at_least_once, false};
  ASSERT_TRUE(harness.connect_up(willed));
  engine().abort();
  sink.expect_silence();
  // Only the second comes; the first would have come before it.
  ASSERT_TRUE(harness.run_until([&] { return watcher.sink.message_count == 1; }));
  EXPECT_EQ(watcher.sink.messages[0].topic, "will/second");
  EXPECT_EQ(text(watcher.sink.messages[0].payload), "gone");
}

TEST_P(WithBroker, AWillThatAsksForItIsPublishedOnDisconnectToo) {
  if (version() != MqttVersion::v5) GTEST_SKIP() << "MQTT 5 only";
  Companion watcher(harness, make());
  ASSERT_TRUE(watcher.connect(request()));
  subscribe(*watcher.engine, watcher.sink, "will");
  env::ConnectRequest willed = request();
  willed.will = StatusMessage{"will", "gone", Qos::at_least_once, true};
  willed.will->on_stop = true;
  ASSERT_TRUE(harness.connect_up(willed));
  engine().disconnect();
  ASSERT_TRUE(harness.run_until_ended());
  EXPECT_EQ(sink.failure.verdict, Verdict::none);
  ASSERT_TRUE(harness.run_until([&] { return watcher.sink.message_count == 1; }));
  EXPECT_EQ(text(watcher.sink.messages[0].payload), "gone");
}

TEST_P(WithBroker, RetainedMessagesAreKeptAndMarked) {
  ASSERT_TRUE(harness.connect_up(request()));
  StoredMessage retained = make_message("state", "on");
  retained.retain = true;
  ASSERT_TRUE(engine().publish(1, retained).ok());
  ASSERT_TRUE(harness.run_until([&] { return sink.published.size() == 1; }));
  subscribe(engine(), sink, "state");
  ASSERT_TRUE(harness.run_until([&] { return sink.message_count == 1; }));
  EXPECT_TRUE(sink.messages[0].retain);
  EXPECT_EQ(text(sink.messages[0].payload), "on");
}

TEST_P(WithBroker, AnEmptyRetainedMessageClearsTheTopic) {
  ASSERT_TRUE(harness.connect_up(request()));
  subscribe(engine(), sink, "state");
  StoredMessage retained = make_message("state", "on");
  retained.retain = true;
  ASSERT_TRUE(engine().publish(1, retained).ok());
  retained.payload.clear();
  ASSERT_TRUE(engine().publish(2, retained).ok());
  ASSERT_TRUE(harness.run_until([&] { return sink.message_count == 2; }));
  EXPECT_TRUE(sink.messages[1].payload.empty()) << "those who listen hear of it";
  EXPECT_FALSE(sink.messages[1].retain);

  Companion late(harness, make());
  ASSERT_TRUE(late.connect(request()));
  subscribe(*late.engine, late.sink, "state");
  ASSERT_TRUE(engine().publish(3, make_message("state", "live")).ok());
  ASSERT_TRUE(harness.run_until([&] { return late.sink.message_count > 0; }));
  EXPECT_EQ(text(late.sink.messages[0].payload), "live") << "nothing was kept";
}

TEST_P(WithBroker, AWillSaysAllThatItWasTold) {
  if (version() != MqttVersion::v5) GTEST_SKIP() << "MQTT 5 only";
  Companion watcher(harness, make());
  ASSERT_TRUE(watcher.connect(request()));
  subscribe(*watcher.engine, watcher.sink, "will");
  env::ConnectRequest willed = request();
  willed.will = StatusMessage{"will", "gone", Qos::at_least_once, true};
  willed.will->content_type = "text/plain";
  willed.will->expiry = Seconds(600);
  willed.will->user_properties = {{"a", "1"}, {"a", "2"}};
  willed.will->delay = Seconds(1);
  ASSERT_TRUE(harness.connect_up(willed));
  const BootTime gone = harness.clock->now();
  engine().abort();
  sink.expect_silence();
  ASSERT_TRUE(harness.run_until([&] { return watcher.sink.message_count == 1; }));
  EXPECT_GE(harness.clock->now() - gone, milliseconds(500)) << "the delay was not told";
  const InboundMessage& will = watcher.sink.messages[0];
  EXPECT_EQ(text(will.payload), "gone");
  EXPECT_EQ(will.content_type, "text/plain");
  EXPECT_EQ(will.user_properties, willed.will->user_properties);
}

// A verification finds the subscription, and brings what is retained only if it was lost.
TEST_P(WithBroker, AVerifiedSubscriptionBringsRetainedMessagesOnlyIfItWasLost) {
  if (version() != MqttVersion::v5) GTEST_SKIP() << "MQTT 5 only";
  ASSERT_TRUE(harness.connect_up(request()));
  StoredMessage retained = make_message("state", "on");
  retained.retain = true;
  ASSERT_TRUE(engine().publish(1, retained).ok());
  ASSERT_TRUE(harness.run_until([&] { return sink.published.size() == 1; }));
  const env::FilterRequest verify[] = {{"state", Qos::at_least_once, true}};
  const auto ask = [&](env::Token token) {
    ASSERT_TRUE(engine().subscribe(token, verify).ok());
    ASSERT_TRUE(harness.run_until(
        [&] { return !sink.subscribed.empty() && sink.subscribed.back().first == token; }));
    EXPECT_EQ(sink.subscribed.back().second, std::vector<std::uint8_t>{1});
  };
  ask(11);  // not there: as a new one
  ASSERT_TRUE(harness.run_until([&] { return sink.message_count == 1; }));
  ask(12);
  ASSERT_TRUE(engine().publish(2, make_message("state", "live")).ok());
  ASSERT_TRUE(harness.run_until([&] { return sink.message_count > 1; }));
  EXPECT_EQ(text(sink.messages[1].payload), "live") << "what is retained came again";
}

TEST_P(WithBroker, UnsubscribingEndsTheMessages) {
  ASSERT_TRUE(harness.connect_up(request()));
  subscribe(engine(), sink, "a");
  subscribe(engine(), sink, "b", Qos::at_most_once);
  const std::string names[] = {"a"};
  ASSERT_TRUE(engine().unsubscribe(9, names).ok());
  ASSERT_TRUE(harness.run_until([&] { return sink.subscribed.size() == 3; }));
  EXPECT_EQ(sink.subscribed[2].second, std::vector<std::uint8_t>{0});
  ASSERT_TRUE(engine().publish(1, make_message("a", "1")).ok());
  ASSERT_TRUE(engine().publish(2, make_message("b", "2")).ok());
  ASSERT_TRUE(harness.run_until([&] { return sink.message_count == 1; }));
  EXPECT_EQ(sink.messages[0].topic, "b");
  EXPECT_EQ(sink.messages[0].qos, Qos::at_most_once);
}

TEST_P(WithBroker, AKilledBrokerIsServerGone) {
  ASSERT_TRUE(harness.connect_up(request()));
  broker->kill();
  ASSERT_TRUE(harness.run_until_ended());
  EXPECT_EQ(to_string(sink.failure.verdict), to_string(Verdict::server_gone));
  EXPECT_FALSE(sink.failed);
}

TEST_P(WithBroker, TheSecondOfTheSameIdTakesOver) {
  ASSERT_TRUE(harness.connect_up(request()));
  Harness second(make());
  env::ConnectRequest rival = request();
  second.sink.expect(rival.attempt);
  second.engine->connect(rival);
  ASSERT_TRUE(second.run_until([&] { return second.sink.up(); }));
  ASSERT_TRUE(harness.run_until_ended());
  // MQTT 3.1.1 has no words for it, and mosquitto before 2.1 closes without them in MQTT 5, too;
  // the conformance suite has the code.
  EXPECT_TRUE(sink.failure.verdict == Verdict::id_taken_over ||
              sink.failure.verdict == Verdict::server_gone)
      << to_string(sink.failure.verdict) << ": " << sink.failure.detail;
  EXPECT_TRUE(second.sink.up());
}

// The network is a part of this machine: the same for all versions and ways.
// Field lessons 6 and 12.
TEST(NetworkOfTheEngine, AConnectionWhoseLinkGoesDownSoonEndsAndTheNextOneComesUp) {
  if (!RealBroker::available()) GTEST_SKIP() << "mosquitto is not installed";
  const EngineUnderTest tested = engines_under_test().front();
  const bool ran = posix::in_own_network([&] {
    posix::set_loopback(true);
    RealBroker broker(Way::plain);
    Harness harness(tested.make);
    env::ConnectRequest request = harness.request(broker.port());
    ASSERT_TRUE(harness.connect_up(request));
    harness.engine->network_changed(true);
    posix::set_loopback(false);
    harness.engine->network_changed(false);
    ASSERT_TRUE(harness.run_until([&] { return harness.sink.ended(); }));
    EXPECT_EQ(harness.sink.failure.verdict, Verdict::link_down) << harness.sink.failure.detail;

    posix::set_loopback(true);
    request = harness.request(broker.port());
    ASSERT_TRUE(harness.connect_up(request));
    posix::set_loopback(false);
    harness.engine->network_changed(false);
    posix::set_loopback(true);
    ASSERT_TRUE(harness.engine->publish(1, make_message("still", "there")).ok());
    EXPECT_TRUE(harness.run_until([&] { return !harness.sink.published.empty(); }))
        << "a link that is back at once costs no connection";
  });
  if (!ran) GTEST_SKIP() << "no right to a network namespace";
}

std::string name_of(const ::testing::TestParamInfo<Parameters>& tested) {
  constexpr std::array<std::string_view, 4> kWays{"_plain", "_tls", "_websocket", "_websocket_tls"};
  return std::get<EngineUnderTest>(tested.param).name +
         (std::get<MqttVersion>(tested.param) == MqttVersion::v5 ? "_v5" : "_v311") +
         std::string(kWays.at(static_cast<std::size_t>(std::get<Way>(tested.param))));
}

std::vector<Parameters> combinations() {
  std::vector<Parameters> result;
  for (const EngineUnderTest& engine : engines_under_test()) {
    for (const MqttVersion version : {MqttVersion::v5, MqttVersion::v311}) {
      if (version == MqttVersion::v311 && !engine.can.mqtt311) continue;
      for (const Way way : {Way::plain, Way::tls, Way::websocket, Way::websocket_tls}) {
        result.emplace_back(engine, version, way);
      }
    }
  }
  return result;
}

INSTANTIATE_TEST_SUITE_P(Engines, WithBroker, ::testing::ValuesIn(combinations()), name_of);

}  // namespace
}  // namespace holdfast::engines::test
