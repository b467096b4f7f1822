// A test with a real broker of some kind and an engine that may connect to it. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "engines/engine_harness.h"
#include "engines/real_broker_kinds.h"

namespace holdfast::engines::test {

/// The broker of this kind; one for all tests of a program, as some take long to start.
inline KindOfBroker& the_broker(const BrokerKind& kind) {
  static std::unique_ptr<KindOfBroker> one;
  if (one == nullptr || one->kind().name != kind.name) {
    one.reset();
    one = std::make_unique<KindOfBroker>(kind);
  }
  return *one;
}

/// How GoogleTest calls an engine.
inline std::ostream& operator<<(std::ostream& out, const EngineUnderTest& engine) {
  return out << engine.name;
}

using Parameters = std::tuple<const BrokerKind*, MqttVersion, EngineUnderTest>;

class Brokers : public ::testing::TestWithParam<Parameters> {
 protected:
  void SetUp() override {
    if (!kind().installed()) {
      if (std::getenv("HOLDFAST_REQUIRE_BROKERS") != nullptr) FAIL() << kind().package << "!";
      GTEST_SKIP() << "skipped for want of " << kind().package;
    }
    broker = &the_broker(kind());
    const auto& test = *::testing::UnitTest::GetInstance()->current_test_info();
    unique = test.name();
    std::replace(unique.begin(), unique.end(), '/', '-');
  }

  [[nodiscard]] const BrokerKind& kind() const { return *std::get<const BrokerKind*>(GetParam()); }
  [[nodiscard]] MqttVersion version() const { return std::get<MqttVersion>(GetParam()); }
  [[nodiscard]] EngineFactory make() const { return std::get<EngineUnderTest>(GetParam()).make; }
  [[nodiscard]] env::Engine& engine() { return *harness.engine; }
  /// A topic of this test alone.
  [[nodiscard]] std::string topic(const std::string& name) const { return unique + "/" + name; }
  [[nodiscard]] env::ConnectRequest request(const std::string& id = "device") {
    env::ConnectRequest result = harness.request(broker->port());
    result.version = version();
    result.client_id = id + "-" + unique;
    result.username = kind().username;
    result.password = kind().password;
    result.session_expiry = Seconds(600);
    return result;
  }

  /// Another client on the same loop.
  struct Companion {
    RecordingSink sink;
    std::unique_ptr<env::Engine> engine;
  };
  [[nodiscard]] std::unique_ptr<Companion> companion(const std::string& id) {
    env::ConnectRequest wanted = request(id);
    wanted.clean_start = true;
    return companion(wanted);
  }
  [[nodiscard]] std::unique_ptr<Companion> companion(const env::ConnectRequest& wanted) {
    auto made = std::make_unique<Companion>();
    made->engine = make()(harness.loop, *harness.resolver, *harness.clock, made->sink);
    made->sink.take_all(*made->engine);
    made->sink.expect(wanted.attempt);
    made->engine->connect(wanted);
    EXPECT_TRUE(harness.run_until([&] { return made->sink.up() || made->sink.ended(); }));
    EXPECT_TRUE(made->sink.up()) << made->sink.failure.detail;
    return made;
  }

  using Codes = std::vector<std::uint8_t>;
  [[nodiscard]] Codes subscribe(env::Engine& who, RecordingSink& its,
                                const std::vector<env::FilterRequest>& filters) {
    const std::size_t before = its.subscribed.size();
    EXPECT_TRUE(who.subscribe(1000 + before, filters).ok());
    EXPECT_TRUE(harness.run_until([&] { return its.subscribed.size() > before || its.ended(); }));
    return its.subscribed.size() > before ? its.subscribed.back().second : Codes();
  }
  [[nodiscard]] Codes subscribe(const std::string& filter, Qos qos = Qos::at_least_once) {
    return subscribe(engine(), sink, {{filter, qos}});
  }
  /// Publishes and waits for the answer's code.
  [[nodiscard]] int publish(env::Engine& who, RecordingSink& its, const StoredMessage& message) {
    const std::size_t before = its.published.size();
    EXPECT_TRUE(who.publish(100000 + before, message).ok());
    EXPECT_TRUE(harness.run_until([&] { return its.published.size() > before || its.ended(); }));
    return its.published.size() > before ? its.published.back().second : -1;
  }
  [[nodiscard]] int publish(const StoredMessage& message) {
    return publish(engine(), sink, message);
  }
  void end() {
    engine().disconnect();
    EXPECT_TRUE(harness.run_until_ended());
    EXPECT_EQ(to_string(sink.failure.verdict), to_string(Verdict::none));
  }
  [[nodiscard]] bool messages_are(std::size_t count) {
    return harness.run_until([&] { return sink.message_count >= count || sink.ended(); }) &&
           sink.message_count == count;
  }

  KindOfBroker* broker = nullptr;
  std::string unique;
  Harness harness{make()};
  RecordingSink& sink = harness.sink;
};

/// Each broker with each version that it speaks, or with each that it does not, by each engine that
/// speaks it.
inline std::vector<Parameters> combinations(bool spoken) {
  std::vector<Parameters> result;
  for (const BrokerKind& kind : broker_kinds()) {
    for (const MqttVersion version : {MqttVersion::v5, MqttVersion::v311}) {
      if (kind.speaks(version) != spoken) continue;
      for (const EngineUnderTest& engine : engines_under_test()) {
        if (version == MqttVersion::v311 && !engine.can.mqtt311) continue;
        result.emplace_back(&kind, version, engine);
      }
    }
  }
  return result;
}

inline std::string name_of(const ::testing::TestParamInfo<Parameters>& tested) {
  return std::get<const BrokerKind*>(tested.param)->name +
         (std::get<MqttVersion>(tested.param) == MqttVersion::v5 ? "_v5_" : "_v311_") +
         std::get<EngineUnderTest>(tested.param).name;
}

}  // namespace holdfast::engines::test
