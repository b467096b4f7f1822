// Goal:   the broker may forget a message only when it has been taken: no PUBACK leaves before.
// Method: a scripted peer on 127.0.0.1 sends messages and notes what is answered, and when. The
// suite
//         runs once for each engine compiled in.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "engines/engine_harness.h"
#include "engines/scripted_peer.h"

namespace holdfast::engines::test {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kPuback = 4;
constexpr unsigned kPingreq = 12;
constexpr unsigned kDisconnect = 14;

class TakenConformance : public ::testing::TestWithParam<EngineUnderTest> {
 protected:
  TakenConformance() {
    sink.on_ticket = [this](env::Token ticket) { tickets.push_back(ticket); };
  }

  /// Connects to a peer that sends `packets` and notes all that comes until the end.
  [[nodiscard]] bool receive(const std::vector<Octets>& packets, Duration silent_after = {}) {
    to_send = packets;
    env::ConnectRequest request = harness.request(peer.port());
    if (silent_after > Duration::zero()) request.silent_after = silent_after;
    if (!harness.connect_up(request)) return false;
    return harness.run_until(
        [&] { return sink.message_count + sink.repeated == to_send.size() || sink.ended(); });
  }
  /// What the peer has seen since CONNECT, such as "puback 7"; ends the connection.
  [[nodiscard]] std::vector<std::string> seen_by_the_peer() {
    harness.engine->disconnect();
    auto future = seen.get_future();
    EXPECT_TRUE(harness.run_until(
        [&] { return future.wait_for(milliseconds(0)) == std::future_status::ready; }));
    return future.get();
  }
  [[nodiscard]] bool puback_has_come() { return pubacks > 0; }

  Harness harness{GetParam().make};
  RecordingSink& sink = harness.sink;
  std::vector<env::Token> tickets;
  std::vector<Octets> to_send;
  std::atomic<int> pubacks{0};
  std::promise<std::vector<std::string>> seen;
  ScriptedPeer peer{[this](PeerConnection& client) {
    std::vector<std::string> words;
    if (client.read(1)) {
      client.send(connack_v5(0, {}));
      for (const Octets& packet : to_send) client.send(packet);
    }
    while (const auto packet = client.read()) {
      if (packet->type() == kPuback) {
        ++pubacks;
        words.push_back("puback " + std::to_string(packet->packet_id()));
      } else if (packet->type() == kPingreq) {
        client.send({0xD0, 0x00});
        words.emplace_back("ping");
      } else {
        words.emplace_back(packet->type() == kDisconnect ? "disconnect" : "other");
      }
      harness.wake();
    }
    seen.set_value(words);
    harness.wake();
  }};
};

TEST_P(TakenConformance, NoPubackLeavesBeforeItsMessageIsTaken) {
  ASSERT_TRUE(receive({publish_v5("a", "1", 11), publish_v5("a", "2", 12), publish_v5("a", "0", 0),
                       publish_v5("a", "3", 13)}));
  ASSERT_EQ(tickets.size(), 3U);
  harness.run_for(milliseconds(100));
  EXPECT_FALSE(puback_has_come());
  harness.engine->taken(tickets[1]);
  harness.run_for(milliseconds(100));
  EXPECT_FALSE(puback_has_come()) << "they leave in the order of their messages";
  harness.engine->taken(tickets[0]);
  ASSERT_TRUE(harness.run_until([&] { return pubacks == 2; }));
  EXPECT_EQ(seen_by_the_peer(), (std::vector<std::string>{"puback 11", "puback 12", "disconnect"}));
}

TEST_P(TakenConformance, WhatIsSentAgainMeanwhileIsOneMessageWithTwoPubacks) {
  ASSERT_TRUE(receive({publish_v5("a", "1", 7), publish_v5("a", "1", 7), publish_v5("a", "2", 8)}));
  EXPECT_EQ(sink.message_count, 2U);
  EXPECT_EQ(sink.repeated, 1U);
  ASSERT_EQ(tickets.size(), 2U);
  for (const env::Token ticket : tickets) harness.engine->taken(ticket);
  ASSERT_TRUE(harness.run_until([&] { return pubacks == 3; }));
  EXPECT_EQ(seen_by_the_peer(),
            (std::vector<std::string>{"puback 7", "puback 7", "puback 8", "disconnect"}));
}

TEST_P(TakenConformance, WhatTheBrokerMayHaveSentBeforeIsMarked) {
  Octets again = publish_v5("a", "2", 12);
  again.front() |= 0x08;  // DUP
  ASSERT_TRUE(receive(
      {publish_v5("a", "1", 11), again, publish_v5("a", "0", 0), publish_v5("a", "3", 13)}));
  ASSERT_EQ(sink.messages.size(), 4U);
  for (const InboundMessage& message : sink.messages) {
    EXPECT_EQ(message.duplicate, message.payload == Bytes{std::byte{'2'}});
  }
}

TEST_P(TakenConformance, PingsPassWhileMessagesWait) {
  ASSERT_TRUE(receive({publish_v5("a", "1", 7)}, milliseconds(200)));
  harness.run_for(milliseconds(700));
  EXPECT_FALSE(sink.ended()) << "a handler that takes its time costs no connection";
  EXPECT_FALSE(puback_has_come());
  const std::vector<std::string> all = seen_by_the_peer();
  EXPECT_GE(std::count(all.begin(), all.end(), "ping"), 3);
}

TEST_P(TakenConformance, OurOwnMessagesPassWhileTheirsWait) {
  ASSERT_TRUE(receive({publish_v5("a", "1", 7)}));
  ASSERT_TRUE(harness.engine->publish(1, make_message("b", "x", Qos::at_most_once)).ok());
  ASSERT_TRUE(harness.run_until([&] { return !sink.published.empty(); }));
  EXPECT_EQ(seen_by_the_peer(), (std::vector<std::string>{"other", "disconnect"}));
}

TEST_P(TakenConformance, ATicketOfNothingChangesNothing) {
  ASSERT_TRUE(receive({publish_v5("a", "1", 7)}));
  harness.engine->taken(999);
  harness.run_for(milliseconds(50));
  EXPECT_FALSE(puback_has_come());
  harness.engine->abort();
  harness.engine->taken(tickets.at(0));  // it has no connection any more
}

INSTANTIATE_TEST_SUITE_P(Engines, TakenConformance, ::testing::ValuesIn(engines_under_test()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace holdfast::engines::test
