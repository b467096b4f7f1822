// Goal:   every engine works with every broker that we can run, not only with the one that
//         libmosquitto comes from; where a broker does something its own way, that is data in
//         real_broker_kinds.cpp and words in docs/brokers.md.
// Method: one real broker on 127.0.0.1 for each kind and process; each test has ids and topics of
//         its own. Skipped where the broker is not installed, which HOLDFAST_REQUIRE_BROKERS
//         forbids.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "engines/brokers_fixture.h"

namespace holdfast::engines::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// ---- connecting ---------------------------------------------------------------------------------

TEST_P(Brokers, AWrongPasswordIsNamed) {
  env::ConnectRequest wrong = request();
  wrong.password = "wrong";
  harness.connect(wrong);
  ASSERT_TRUE(harness.run_until_ended());
  EXPECT_TRUE(sink.failed);
  const Verdict expected =
      version() == MqttVersion::v5 ? kind().wrong_password_v5 : kind().wrong_password_v311;
  EXPECT_EQ(to_string(sink.failure.verdict), to_string(expected)) << sink.failure.detail;
  ASSERT_TRUE(harness.connect_up(request())) << "and the right one is taken after it";
  EXPECT_FALSE(sink.info.session_present);
}

TEST_P(Brokers, AnIdleConnectionIsKeptByPings) {
  env::ConnectRequest impatient = request();
  impatient.keep_alive = Seconds(1);
  impatient.silent_after = milliseconds(900);
  ASSERT_TRUE(harness.connect_up(impatient));
  harness.run_for(seconds(3));
  EXPECT_TRUE(sink.up()) << sink.failure.detail;
  EXPECT_GE(publish(make_message(topic("still"), "there")), 0);
}

TEST_P(Brokers, TheSecondOfTheSameIdTakesOver) {
  ASSERT_TRUE(harness.connect_up(request()));
  const auto rival = companion(request());
  ASSERT_TRUE(harness.run_until_ended());
  const bool named = version() == MqttVersion::v5 && kind().names_takeover;
  EXPECT_EQ(to_string(sink.failure.verdict),
            to_string(named ? Verdict::id_taken_over : Verdict::server_gone))
      << sink.failure.detail;
  EXPECT_TRUE(rival->sink.up());
}

// ---- messages -----------------------------------------------------------------------------------

TEST_P(Brokers, MessagesOfBothQosComeBackWhole) {
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_EQ(subscribe(topic("#")), Codes{1});
  StoredMessage first = make_message(topic("0"), "zero", Qos::at_most_once);
  StoredMessage second = make_message(topic("1/\xC3\xA4"), std::string(131072, 'x'));
  if (version() == MqttVersion::v5) {
    second.content_type = "text/plain";
    second.user_properties = {{"a", "1"}, {"a", "2"}, {"\xC3\xA4", ""}};
  }
  EXPECT_EQ(publish(first), 0);
  EXPECT_EQ(publish(second), 0);
  ASSERT_TRUE(messages_are(2));
  EXPECT_EQ(text(sink.messages[0].payload), "zero");
  EXPECT_EQ(sink.messages[0].qos, Qos::at_most_once);
  EXPECT_FALSE(sink.messages[0].retain);
  EXPECT_EQ(sink.messages[1].topic, second.topic);
  EXPECT_EQ(sink.messages[1].payload, second.payload);
  EXPECT_EQ(sink.messages[1].qos, Qos::at_least_once);
  EXPECT_EQ(sink.messages[1].content_type, second.content_type);
  EXPECT_EQ(sink.messages[1].user_properties, second.user_properties);
}

TEST_P(Brokers, AnEmptyAndALargePayloadComeBackWhole) {
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_EQ(subscribe(topic("+")), Codes{1});
  StoredMessage large = make_message(topic("large"), "");
  for (std::size_t i = 0; i < 1000000; ++i) large.payload.push_back(std::byte(i * i % 251));
  EXPECT_EQ(publish(make_message(topic("empty"), "")), 0);
  EXPECT_EQ(publish(large), 0);
  ASSERT_TRUE(messages_are(2));
  EXPECT_TRUE(sink.messages[0].payload.empty());
  EXPECT_EQ(sink.messages[1].payload, large.payload);
}

TEST_P(Brokers, AMessageThatNobodyWantsIsAcknowledged) {
  ASSERT_TRUE(harness.connect_up(request()));
  const int code = publish(make_message(topic("nobody"), "x"));
  EXPECT_TRUE(code == 0x00 || (code == 0x10 && version() == MqttVersion::v5)) << code;
}

TEST_P(Brokers, AThousandMessagesComeInTheirOrder) {
  constexpr std::size_t kCount = 1000;
  constexpr std::size_t kWindow = 50;
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_EQ(subscribe(topic("#")), Codes{1});
  const std::size_t window = std::min<std::size_t>(kWindow, sink.info.receive_maximum);
  env::Token token = 0;
  const auto refill = [&] {
    while (sink.up() && token < kCount && token < sink.published.size() + window) {
      ++token;
      ASSERT_TRUE(engine().publish(token, make_message(topic("n"), std::to_string(token))).ok());
    }
  };
  sink.on_event = refill;
  refill();
  ASSERT_TRUE(harness.run_until(
      [&] {
        return (sink.published.size() == kCount && sink.message_count == kCount) || sink.ended();
      },
      seconds(60)));
  sink.on_event = nullptr;
  ASSERT_TRUE(sink.up()) << sink.failure.detail;
  for (std::size_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(text(sink.messages[i].payload), std::to_string(i + 1));
    ASSERT_LT(sink.published[i].second, 0x80);
  }
}

// ---- subscriptions ------------------------------------------------------------------------------

TEST_P(Brokers, SubscribingIsAnsweredFilterByFilter) {
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_EQ(subscribe(engine(), sink,
                      {{topic("a"), Qos::at_most_once},
                       {topic("b/+/c"), Qos::at_least_once},
                       {topic("d/#"), Qos::at_least_once}}),
            (Codes{0, 1, 1}));
  EXPECT_GE(publish(make_message(topic("a"), "lowered")), 0);
  EXPECT_GE(publish(make_message(topic("b/x/c"), "plus")), 0);
  EXPECT_GE(publish(make_message(topic("b/x/y/c"), "not wanted")), 0);
  EXPECT_GE(publish(make_message(topic("d"), "parent")), 0);
  EXPECT_GE(publish(make_message(topic("d/e/f"), "last")), 0);
  ASSERT_TRUE(harness.run_until(
      [&] { return !sink.messages.empty() && text(sink.messages.back().payload) == "last"; }));
  std::vector<std::string> seen;
  for (const InboundMessage& each : sink.messages) seen.push_back(text(each.payload));
  EXPECT_EQ(seen, (std::vector<std::string>{"lowered", "plus", "parent", "last"}));
  EXPECT_EQ(sink.messages[0].qos, Qos::at_most_once);
}

TEST_P(Brokers, UnsubscribingEndsTheMessages) {
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_EQ(subscribe(topic("a")), Codes{1});
  EXPECT_EQ(subscribe(topic("b"), Qos::at_most_once), Codes{0});
  const std::string names[] = {topic("a"), topic("never")};
  ASSERT_TRUE(engine().unsubscribe(9, names).ok());
  ASSERT_TRUE(harness.run_until([&] { return sink.subscribed.size() == 3; }));
  const bool knows = version() == MqttVersion::v5 && kind().tells_no_subscription;
  const Codes expected = knows ? Codes{0x00, 0x11} : Codes{0, 0};
  EXPECT_EQ(sink.subscribed[2].second, expected);
  EXPECT_GE(publish(make_message(topic("a"), "1")), 0);
  EXPECT_GE(publish(make_message(topic("b"), "2")), 0);
  ASSERT_TRUE(messages_are(1));
  EXPECT_EQ(sink.messages[0].topic, topic("b"));
}

TEST_P(Brokers, RetainedMessagesAreKeptReplacedAndCleared) {
  ASSERT_TRUE(harness.connect_up(request()));
  ASSERT_TRUE(sink.info.retain_available);
  StoredMessage retained = make_message(topic("state"), "off");
  retained.retain = true;
  EXPECT_GE(publish(retained), 0);
  retained.payload = make_message("", "on").payload;
  EXPECT_GE(publish(retained), 0);
  const auto late = companion("late");
  EXPECT_EQ(subscribe(*late->engine, late->sink, {{topic("state"), Qos::at_least_once}}), Codes{1});
  ASSERT_TRUE(harness.run_until([&] { return late->sink.message_count == 1; }));
  EXPECT_TRUE(late->sink.messages[0].retain);
  EXPECT_EQ(text(late->sink.messages[0].payload), "on");

  retained.payload.clear();
  EXPECT_GE(publish(retained), 0);
  const auto later = companion("later");
  EXPECT_EQ(subscribe(*later->engine, later->sink, {{topic("state"), Qos::at_least_once}}),
            Codes{1});
  EXPECT_GE(publish(make_message(topic("state"), "live")), 0);
  ASSERT_TRUE(harness.run_until([&] { return later->sink.message_count >= 1; }));
  EXPECT_EQ(text(later->sink.messages[0].payload), "live") << "nothing retained came before it";
  EXPECT_FALSE(later->sink.messages[0].retain);
}

TEST_P(Brokers, TopicsComeAsTheyWereSent) {
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_EQ(subscribe(topic("#")), Codes{1});
  std::vector<std::string> names;
  for (const char* odd :
       {"a.b", "/lead", "trail/", "a//b", "with space", "a:b,c;d=e&f", "100%", "back\\slash",
        "under_score-dash", "\xC3\x84/\xE6\xBC\xA2\xE5\xAD\x97/\xF0\x9F\x94\x91"}) {
    const std::string name = topic(odd);
    if (name.find_first_of(kind().refuses_in_topics) != std::string::npos) continue;
    EXPECT_EQ(publish(make_message(name, "x")), 0) << odd;
    names.push_back(name);
    if (kind().turns_dots_to_slashes) {
      std::replace(names.back().begin(), names.back().end(), '.', '/');
    }
  }
  ASSERT_TRUE(messages_are(names.size()));
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(sink.messages[i].topic, names[i]);

  for (const char each : kind().refuses_in_topics) {
    const std::string name = topic(std::string("a") + each + "b");
    if (!sink.up()) {
      ASSERT_TRUE(harness.connect_up(request()));
    }
    EXPECT_EQ(subscribe(name), Codes{0x80});
    EXPECT_TRUE(sink.up());
    EXPECT_EQ(publish(make_message(name, "x")), -1);
    EXPECT_EQ(to_string(sink.failure.verdict), to_string(Verdict::server_gone));
  }
}

TEST_P(Brokers, RetainedMessagesComeForFiltersToo) {
  ASSERT_TRUE(harness.connect_up(request()));
  for (const char* each : {"state/a", "state/b/c"}) {
    StoredMessage retained = make_message(topic(each), each);
    retained.retain = true;
    EXPECT_GE(publish(retained), 0);
  }
  EXPECT_EQ(subscribe(topic("state/#")), Codes{1});
  EXPECT_EQ(subscribe(topic("state/a")), Codes{1});
  EXPECT_GE(publish(make_message(topic("state/live"), "live")), 0);
  ASSERT_TRUE(harness.run_until(
      [&] { return !sink.messages.empty() && text(sink.messages.back().payload) == "live"; }));
  std::set<std::string> seen;
  for (const InboundMessage& each : sink.messages) seen.insert(text(each.payload));
  std::set<std::string> expected{"live", "state/a"};
  if (kind().retained_for_wildcards) expected.insert("state/b/c");
  EXPECT_EQ(seen, expected);
}

// ---- sessions and wills -------------------------------------------------------------------------

TEST_P(Brokers, TheSessionAndItsMessagesAreKeptBetweenConnections) {
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_FALSE(sink.info.session_present);
  EXPECT_EQ(subscribe(topic("kept")), Codes{1});
  end();
  const auto other = companion("other");
  for (const char* each : {"first", "second", "third"}) {
    EXPECT_EQ(publish(*other->engine, other->sink, make_message(topic("kept"), each)), 0);
  }
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_TRUE(sink.info.session_present);
  ASSERT_TRUE(messages_are(3));
  EXPECT_EQ(text(sink.messages[0].payload), "first");
  EXPECT_EQ(text(sink.messages[2].payload), "third");
  end();
  env::ConnectRequest clean = request();
  clean.clean_start = true;
  ASSERT_TRUE(harness.connect_up(clean));
  EXPECT_FALSE(sink.info.session_present);
}

TEST_P(Brokers, TheWillIsPublishedOnAbortAndNotOnDisconnect) {
  const auto watcher = companion("watcher");
  EXPECT_EQ(subscribe(*watcher->engine, watcher->sink, {{topic("will/#"), Qos::at_least_once}}),
            Codes{1});
  env::ConnectRequest willed = request();
  willed.will = StatusMessage{topic("will/first"), "gone", Qos::at_least_once, false};
  ASSERT_TRUE(harness.connect_up(willed));
  end();
  willed = request();
  willed.will = StatusMessage{topic("will/second"), "gone", Qos::at_least_once, false};
  ASSERT_TRUE(harness.connect_up(willed));
  engine().abort();
  sink.expect_silence();
  // Only the second comes; the first would have come before it.
  ASSERT_TRUE(harness.run_until([&] { return watcher->sink.message_count == 1; }));
  EXPECT_EQ(watcher->sink.messages[0].topic, topic("will/second"));
  EXPECT_EQ(text(watcher->sink.messages[0].payload), "gone");
}

TEST_P(Brokers, ASessionWithoutSubscriptionIsRememberedWhereItIsOne) {
  ASSERT_TRUE(harness.connect_up(request()));
  end();
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_EQ(sink.info.session_present, kind().remembers_empty_sessions);
}

TEST_P(Brokers, WhatHasExpiredMeanwhileDoesNotComeIfTheBrokerHeedsIt) {
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_EQ(subscribe(topic("kept")), Codes{1});
  end();
  const auto other = companion("other");
  StoredMessage brief = make_message(topic("kept"), "brief");
  brief.expiry_seconds = 1;
  brief.expires = harness.clock->now() + seconds(1);
  EXPECT_EQ(publish(*other->engine, other->sink, brief), 0);
  EXPECT_EQ(publish(*other->engine, other->sink, make_message(topic("kept"), "lasting")), 0);
  harness.run_for(milliseconds(2500));
  ASSERT_TRUE(harness.connect_up(request()));
  ASSERT_TRUE(harness.run_until(
      [&] { return !sink.messages.empty() && text(sink.messages.back().payload) == "lasting"; }));
  // MQTT 3.1.1 has no expiry to tell the broker of.
  const bool expired = version() == MqttVersion::v5 && kind().heeds_expiry;
  EXPECT_EQ(sink.message_count, expired ? 1U : 2U);
}

TEST_P(Brokers, ALongBacklogComesWholeAndInOrder) {
  constexpr std::size_t kCount = 500;  // more than what most brokers give out at once
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_EQ(subscribe(topic("kept")), Codes{1});
  end();
  const auto other = companion("other");
  env::Token token = 0;
  const auto refill = [&] {
    while (other->sink.up() && token < kCount && token < other->sink.published.size() + 50) {
      ++token;
      ASSERT_TRUE(
          other->engine->publish(token, make_message(topic("kept"), std::to_string(token))).ok());
    }
  };
  other->sink.on_event = refill;
  refill();
  ASSERT_TRUE(harness.run_until(
      [&] { return other->sink.published.size() == kCount || other->sink.ended(); }, seconds(60)));
  other->sink.on_event = nullptr;
  ASSERT_TRUE(harness.connect_up(request()));
  ASSERT_TRUE(
      harness.run_until([&] { return sink.message_count >= kCount || sink.ended(); }, seconds(60)))
      << sink.message_count;
  ASSERT_EQ(sink.message_count, kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(text(sink.messages[i].payload), std::to_string(i + 1));
  }
}

TEST_P(Brokers, ARetainedWillIsThereForLateComers) {
  env::ConnectRequest willed = request();
  willed.will = StatusMessage{topic("will"), "gone", Qos::at_least_once, true};
  const auto live = companion("live");
  EXPECT_EQ(subscribe(*live->engine, live->sink, {{topic("will"), Qos::at_least_once}}), Codes{1});
  ASSERT_TRUE(harness.connect_up(willed));
  engine().abort();
  sink.expect_silence();
  ASSERT_TRUE(harness.run_until([&] { return live->sink.message_count == 1; }));
  const auto late = companion("late");
  EXPECT_EQ(subscribe(*late->engine, late->sink, {{topic("will"), Qos::at_least_once}}), Codes{1});
  ASSERT_TRUE(harness.run_until([&] { return late->sink.message_count == 1; }));
  EXPECT_TRUE(late->sink.messages[0].retain);
  EXPECT_EQ(text(late->sink.messages[0].payload), "gone");
}

// ---- the broker's own end -----------------------------------------------------------------------

TEST_P(Brokers, AKilledBrokerIsServerGoneAndIsUsedAgainOnceItIsBack) {
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_EQ(subscribe(topic("kept")), Codes{1});
  StoredMessage retained = make_message(topic("state"), "on");
  retained.retain = true;
  EXPECT_GE(publish(retained), 0);
  // A broker may store after it has acknowledged, but has done so before its next answer.
  EXPECT_GE(publish(make_message(topic("nobody"), "x")), 0);
  broker->kill();
  ASSERT_TRUE(harness.run_until_ended());
  EXPECT_EQ(to_string(sink.failure.verdict), to_string(Verdict::server_gone));
  EXPECT_FALSE(sink.failed);
  harness.connect(request());
  ASSERT_TRUE(harness.run_until_ended());
  EXPECT_EQ(to_string(sink.failure.verdict), to_string(Verdict::tcp_refused));

  broker->start();
  ASSERT_TRUE(harness.connect_up(request()));
  EXPECT_TRUE(sink.info.session_present || !kind().sessions_survive_kill);
  if (!sink.info.session_present) {
    EXPECT_EQ(subscribe(topic("kept")), Codes{1});
  }
  EXPECT_EQ(publish(make_message(topic("kept"), "after")), 0);
  ASSERT_TRUE(messages_are(1));
  EXPECT_EQ(text(sink.messages[0].payload), "after");

  EXPECT_EQ(subscribe(topic("state")), Codes{1});
  EXPECT_GE(publish(make_message(topic("state"), "live")), 0);
  ASSERT_TRUE(harness.run_until([&] { return text(sink.messages.back().payload) == "live"; }));
  EXPECT_TRUE(sink.message_count == 3 || !kind().retained_survive_kill);
}

// ---- the wrong version --------------------------------------------------------------------------

class OldBrokers : public Brokers {};

TEST_P(OldBrokers, AMqtt5DeviceHearsThatTheVersionIsWrong) {
  harness.connect(request());
  ASSERT_TRUE(harness.run_until_ended());
  EXPECT_TRUE(sink.failed);
  EXPECT_EQ(to_string(sink.failure.verdict), to_string(kind().wrong_version))
      << sink.failure.detail;
}

INSTANTIATE_TEST_SUITE_P(Real, Brokers, ::testing::ValuesIn(combinations(true)), name_of);
INSTANTIATE_TEST_SUITE_P(Real, OldBrokers, ::testing::ValuesIn(combinations(false)), name_of);

}  // namespace
}  // namespace holdfast::engines::test
