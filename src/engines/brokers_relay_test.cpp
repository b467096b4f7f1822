// Goal:   what a bad network does between an engine and a real broker costs no message and ends in
//         the right verdict, whatever the broker.
// Method: the lab's fault relay stands between them and misbehaves as told; another client, which
//         goes to the broker directly, says what has arrived.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engines/brokers_fixture.h"
#include "engines/real_relay.h"

namespace holdfast::engines::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class BrokersBehindRelay : public Brokers {
 protected:
  void SetUp() override {
    Brokers::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_FALSE(RealRelay::program().empty()) << "the target hf_lab_relay is not built";
  }
  [[nodiscard]] env::ConnectRequest request_through(const RealRelay& relay) {
    env::ConnectRequest result = request();
    result.port = relay.port();
    return result;
  }
  /// Another client with a subscription, on the straight way to the broker.
  [[nodiscard]] std::unique_ptr<Companion> watcher(const std::string& filter) {
    auto made = companion("watcher");
    EXPECT_EQ(subscribe(*made->engine, made->sink, {{filter, Qos::at_least_once}}), Codes{1});
    return made;
  }
  /// Hands over message number `from` to number `to`, which carry their number.
  void publish_numbers(std::size_t from, std::size_t to) {
    for (std::size_t i = from; i <= to; ++i) {
      ASSERT_TRUE(engine().publish(i, make_message(topic("n"), std::to_string(i))).ok());
    }
  }
  static bool has(const RecordingSink& its, std::size_t number) {
    return std::any_of(its.messages.begin(), its.messages.end(), [&](const InboundMessage& each) {
      return text(each.payload) == std::to_string(number);
    });
  }
};

TEST_P(BrokersBehindRelay, BytesThatComeOneByOneAreStillTheseMessages) {
  RealRelay relay(broker->port(), R"({"both": {"slice_bytes": 1, "slice_pause": "100us"}})");
  ASSERT_TRUE(harness.connect_up(request_through(relay)));
  EXPECT_EQ(subscribe(topic("#")), Codes{1});
  publish_numbers(1, 20);
  ASSERT_TRUE(harness.run_until(
      [&] { return (sink.published.size() == 20 && sink.message_count == 20) || sink.ended(); },
      seconds(30)));
  ASSERT_TRUE(sink.up()) << sink.failure.detail;
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(text(sink.messages[i].payload), std::to_string(i + 1));
  }
}

TEST_P(BrokersBehindRelay, AnswersInTheWrongOrderSettleTheRightMessages) {
  RealRelay relay(broker->port(), R"("reordered-acks")");
  ASSERT_TRUE(harness.connect_up(request_through(relay)));
  publish_numbers(1, 20);
  ASSERT_TRUE(
      harness.run_until([&] { return sink.published.size() == 20 || sink.ended(); }, seconds(20)));
  std::vector<env::Token> tokens;
  for (const auto& each : sink.published) tokens.push_back(each.first);
  EXPECT_FALSE(std::is_sorted(tokens.begin(), tokens.end())) << "the relay did nothing";
  std::sort(tokens.begin(), tokens.end());
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(tokens.at(i), i + 1);
}

TEST_P(BrokersBehindRelay, WhatWasNotAcknowledgedBeforeAResetArrivesWhenSentAgain) {
  const auto seen = watcher(topic("n"));
  RealRelay relay(broker->port(), R"({"up": {"reset_after_bytes": "2KiB"}})");
  ASSERT_TRUE(harness.connect_up(request_through(relay)));
  publish_numbers(1, 100);
  ASSERT_TRUE(harness.run_until_ended());
  EXPECT_EQ(to_string(sink.failure.verdict), to_string(Verdict::server_gone));
  std::vector<bool> acknowledged(101, false);
  for (const auto& each : sink.published) acknowledged.at(each.first) = true;
  EXPECT_LT(sink.published.size(), 100U);

  relay.set_faults("{}");
  ASSERT_TRUE(harness.connect_up(request_through(relay)));
  std::size_t again = 0;
  for (std::size_t i = 1; i <= 100; ++i) {
    if (acknowledged.at(i)) continue;
    publish_numbers(i, i);
    ++again;
  }
  ASSERT_TRUE(harness.run_until([&] { return sink.published.size() == again || sink.ended(); }));
  ASSERT_TRUE(harness.run_until([&] { return has(seen->sink, 100); }));
  for (std::size_t i = 1; i <= 100; ++i) EXPECT_TRUE(has(seen->sink, i)) << i;
}

TEST_P(BrokersBehindRelay, AWithheldAnswerIsNoAnswerThoughTheMessageIsThere) {
  const auto seen = watcher(topic("n"));
  RealRelay relay(broker->port(), R"("no-puback")");
  ASSERT_TRUE(harness.connect_up(request_through(relay)));
  publish_numbers(1, 10);
  ASSERT_TRUE(harness.run_until([&] { return seen->sink.message_count == 10; }));
  harness.run_for(milliseconds(100));
  EXPECT_TRUE(sink.published.empty());
  EXPECT_TRUE(sink.up());
}

TEST_P(BrokersBehindRelay, AWayThatGoesDeadIsASilentPeerToUsAndAWillToTheOthers) {
  const auto seen = watcher(topic("will"));
  RealRelay relay(broker->port(), "{}");
  env::ConnectRequest willed = request_through(relay);
  willed.keep_alive = Seconds(2);
  willed.silent_after = milliseconds(1500);
  willed.will = StatusMessage{topic("will"), "gone", Qos::at_least_once, false};
  ASSERT_TRUE(harness.connect_up(willed));
  relay.set_faults(R"(["half-open", "black-hole"])");
  ASSERT_TRUE(harness.run_until_ended());
  EXPECT_EQ(to_string(sink.failure.verdict), to_string(Verdict::silent_peer));
  ASSERT_TRUE(harness.run_until([&] { return seen->sink.message_count == 1; }, seconds(30)));
  EXPECT_EQ(text(seen->sink.messages[0].payload), "gone");
}

INSTANTIATE_TEST_SUITE_P(Real, BrokersBehindRelay, ::testing::ValuesIn(combinations(true)),
                         name_of);

}  // namespace
}  // namespace holdfast::engines::test
