// The rules of the relay on one conversation: what each side gets, on virtual time.
#include "lab/fault/mqtt_faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lab/fault/faults.h"
#include "lab/fault/match.h"
#include "sim/seeded_random.h"

namespace holdfast::lab::fault {
namespace {

using namespace std::chrono_literals;
using mqtt::Ack;
using mqtt::Connack;
using mqtt::Connect;
using mqtt::Packet;
using mqtt::Publish;
using mqtt::Side;
using mqtt::Suback;
using mqtt::Type;
using mqtt::Version;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Id = mqtt::PropertyId;

constexpr BootTime kStart{1000s};

/// One connection; what the sides get is collected, as words.
class Talk {
 public:
  Talk(FaultCounters& shared, Version version) : version_(version), faults(random_, shared) {}

  void rules(std::string_view json) {
    const auto read =
        parse_faults(Json::parse("{\"rules\":[" + std::string(json) + "]}", nullptr, false));
    ASSERT_TRUE(read) << read.error().message;
    faults.set(now, read->rules);
  }
  void connect(const std::string& client_id = "pump-17") {
    Connect connect;
    connect.version = version_;
    connect.client_id = client_id;
    from(Side::device, connect);
  }
  void from(Side side, const Packet& packet) { raw(side, mqtt::encode(version_, packet)); }
  void raw(Side side, std::string_view frame) {
    mqtt::Wishes out;
    faults.on_frame(now, side, frame, out);
    carry_out(out);
  }
  void closed(Side side) {
    mqtt::Wishes out;
    faults.on_closed(now, side, out);
    carry_out(out);
  }
  /// Lets time pass, with every wake-up on the way.
  void pass(Duration time) {
    const BootTime until = now + time;
    while (faults.wake() <= until) {
      now = std::max(now, faults.wake());
      mqtt::Wishes out;
      faults.on_wake(now, out);
      carry_out(out);
    }
    now = until;
  }
  /// What that side got since the last time it was asked.
  std::vector<std::string> got(Side side) {
    return std::exchange(got_[side == Side::device ? 0 : 1], {});
  }
  std::vector<std::string> device() { return got(Side::device); }
  std::vector<std::string> broker() { return got(Side::broker); }
  std::vector<Packet> packets;  ///< All that was sent, to either side.
  std::string notes;
  BootTime now = kStart;

 private:
  void carry_out(const mqtt::Wishes& out) {
    for (const mqtt::Wish& wish : out.all) {
      auto& to = got_[wish.to == Side::device ? 0 : 1];
      if (wish.kind == mqtt::Wish::Kind::note) notes += wish.bytes + "\n";
      if (wish.kind == mqtt::Wish::Kind::close) {
        to.emplace_back(wish.ending == mqtt::Ending::after_sending ? "closed"
                        : wish.ending == mqtt::Ending::reset       ? "reset"
                                                                   : "silence");
      }
      if (wish.kind == mqtt::Wish::Kind::send) to.push_back(words(wish.bytes));
    }
  }
  std::string words(const std::string& frame) {
    const auto packet = mqtt::decode(version_, frame);
    if (!packet) return "unreadable";
    packets.push_back(*packet);
    std::string text(to_string(type_of(*packet)));
    if (const auto* publish = std::get_if<Publish>(&*packet)) {
      text += " " + std::to_string(publish->packet_id) + " " + publish->topic + "=" +
              publish->payload + (publish->dup ? " dup" : "");
    } else if (const auto* ack = std::get_if<Ack>(&*packet)) {
      text += " " + std::to_string(ack->packet_id);
    }
    return text;
  }

  sim::SeededRandom random_{1};
  Version version_;
  std::vector<std::string> got_[2];

 public:
  MqttFaults faults;
};

struct MqttFaultsTest : ::testing::Test {
  FaultCounters shared;
  Talk talk{shared, Version::v5};

  static Publish publish(std::uint16_t id, std::string payload = "x", std::string topic = "a/b") {
    Publish packet;
    packet.topic = std::move(topic);
    packet.payload = std::move(payload);
    packet.qos = id == 0 ? 0 : 1;
    packet.packet_id = id;
    return packet;
  }
  static Ack puback(std::uint16_t id) { return {Type::puback, id, 0, {}}; }
};

TEST_F(MqttFaultsTest, WithoutRulesEveryFramePassesAsItIs) {
  talk.connect();
  EXPECT_EQ(talk.faults.client_id(), "pump-17");
  EXPECT_EQ(talk.faults.version(), Version::v5);
  talk.raw(Side::broker, std::string_view("\xf3\x01\xff", 3));  // cannot be read
  EXPECT_THAT(talk.broker(), ElementsAre("CONNECT"));
  EXPECT_THAT(talk.device(), ElementsAre("unreadable"));
  EXPECT_EQ(talk.notes, "");
  EXPECT_EQ(talk.faults.wake(), kNever);
}

TEST_F(MqttFaultsTest, DropWithholdsForGoodAndSaysSo) {
  talk.rules(R"({"name": "no-ack", "packets": "PUBACK", "direction": "down", "drop": true})");
  talk.connect();
  talk.from(Side::broker, puback(7));
  talk.from(Side::device, puback(8));
  EXPECT_THAT(talk.device(), IsEmpty());
  EXPECT_THAT(talk.broker(), ElementsAre("CONNECT", "PUBACK 8"));
  EXPECT_EQ(talk.notes, "rule no-ack: withheld PUBACK 7 to the device\n");
  talk.rules("");
  talk.pass(1h);
  EXPECT_THAT(talk.device(), IsEmpty());
}

TEST_F(MqttFaultsTest, HoldLetsGoInOrderWhenTheRuleIsTakenAway) {
  talk.rules(R"({"name": "h", "packets": ["CONNACK", "PUBACK"], "hold": true})");
  talk.connect();
  talk.from(Side::broker, Connack{});
  talk.from(Side::broker, puback(1));
  talk.pass(1h);
  EXPECT_THAT(talk.device(), IsEmpty());
  talk.rules(R"({"name": "h", "packets": ["CONNACK", "PUBACK"], "hold": true},
                {"name": "other", "packets": "PINGREQ", "drop": true})");
  talk.pass(1s);
  EXPECT_THAT(talk.device(), IsEmpty());  // the rule is still there
  talk.rules("");
  EXPECT_EQ(talk.faults.wake(), talk.now);
  talk.pass(0s);
  EXPECT_THAT(talk.device(), ElementsAre("CONNACK", "PUBACK 1"));
}

TEST_F(MqttFaultsTest, DelayLetsOthersOvertake) {
  talk.connect();
  talk.broker();
  talk.rules(R"({"packets": "PUBACK", "delay": "15s"})");
  talk.from(Side::broker, puback(1));
  talk.from(Side::broker, mqtt::Ping{Type::pingresp});
  EXPECT_THAT(talk.device(), ElementsAre("PINGRESP"));
  talk.pass(14999ms);
  EXPECT_THAT(talk.device(), IsEmpty());
  talk.pass(1ms);
  EXPECT_THAT(talk.device(), ElementsAre("PUBACK 1"));
}

TEST_F(MqttFaultsTest, ReorderSwapsWithTheNextOfItsKind) {
  talk.rules(R"({"packets": "PUBACK", "reorder": "5s"})");
  for (std::uint16_t id = 1; id <= 4; ++id) talk.from(Side::broker, puback(id));
  EXPECT_THAT(talk.device(), ElementsAre("PUBACK 2", "PUBACK 1", "PUBACK 4", "PUBACK 3"));
  talk.from(Side::broker, puback(5));
  talk.from(Side::device, puback(6));  // the other direction is another kind
  EXPECT_THAT(talk.device(), IsEmpty());
  talk.pass(5s);
  EXPECT_THAT(talk.device(), ElementsAre("PUBACK 5"));
}

TEST_F(MqttFaultsTest, ADuplicateIsAcknowledgedTwiceButTheSenderHearsItOnce) {
  talk.rules(R"({"packets": "PUBLISH", "direction": "down", "duplicate": 2})");
  talk.connect();
  talk.from(Side::broker, publish(5));
  EXPECT_THAT(talk.device(), ElementsAre("PUBLISH 5 a/b=x", "PUBLISH 5 a/b=x", "PUBLISH 5 a/b=x"));
  talk.broker();
  for (int i = 0; i < 3; ++i) talk.from(Side::device, puback(5));
  EXPECT_THAT(talk.broker(), ElementsAre("PUBACK 5"));
  talk.from(Side::device, puback(5));
  EXPECT_THAT(talk.broker(), ElementsAre("PUBACK 5"));  // not ours to judge
}

TEST_F(MqttFaultsTest, AlterChangesWhatItNamesAndNothingElse) {
  talk.rules(R"({"packets": "CONNACK", "alter": {"code": "0x97", "session_present": true,
                 "remove": ["topic_alias_maximum"],
                 "set": {"receive_maximum": 1, "server_keep_alive": 5,
                         "user_property": {"k": "v"}}}})");
  talk.connect();
  Connack connack;
  connack.properties.set(Id::topic_alias_maximum, 8);
  connack.properties.set(Id::receive_maximum, 100);
  connack.properties.set(Id::maximum_qos, 1);
  talk.from(Side::broker, connack);
  const auto& got = std::get<Connack>(talk.packets.back());
  EXPECT_EQ(got.code, 0x97);
  EXPECT_TRUE(got.session_present);
  EXPECT_EQ(got.properties.number(Id::receive_maximum), 1U);
  EXPECT_EQ(got.properties.number(Id::server_keep_alive), 5U);
  EXPECT_EQ(got.properties.number(Id::maximum_qos), 1U);
  EXPECT_FALSE(got.properties.has(Id::topic_alias_maximum));
  EXPECT_TRUE(got.properties.has(Id::user_property));
}

TEST_F(MqttFaultsTest, AlterChangesEachKindOfPacket) {
  talk.rules(R"({"packets": ["CONNECT"], "alter": {"keep_alive": 9, "clean_start": false}},
                {"packets": ["SUBACK", "PUBACK", "DISCONNECT"], "alter": {"code": 135}},
                {"packets": "SUBSCRIBE", "alter": {"qos": 2, "packet_id": 77}},
                {"packets": "PUBLISH", "alter": {"topic": "t", "payload": "p", "retain": true,
                                                 "dup": true}})");
  talk.connect();
  EXPECT_EQ(std::get<Connect>(talk.packets.back()).keep_alive, 9);
  EXPECT_FALSE(std::get<Connect>(talk.packets.back()).clean_start);
  talk.from(Side::broker, Suback{Type::suback, 1, {0, 1}, {}});
  EXPECT_THAT(std::get<Suback>(talk.packets.back()).codes, ElementsAre(135, 135));
  talk.from(Side::broker, puback(3));
  EXPECT_EQ(std::get<Ack>(talk.packets.back()).reason, 135);
  talk.from(Side::broker, mqtt::Disconnect{});
  EXPECT_EQ(std::get<mqtt::Disconnect>(talk.packets.back()).reason, 135);
  talk.from(Side::device, mqtt::Subscribe{1, {{"a", 0x2D}}, {}});
  EXPECT_EQ(std::get<mqtt::Subscribe>(talk.packets.back()).subscriptions[0].options, 0x2E);
  EXPECT_EQ(std::get<mqtt::Subscribe>(talk.packets.back()).packet_id, 77);
  talk.from(Side::broker, publish(4));
  const auto& got = std::get<Publish>(talk.packets.back());
  EXPECT_EQ(got.topic + "=" + got.payload, "t=p");
  EXPECT_TRUE(got.retain && got.dup);
}

TEST_F(MqttFaultsTest, ARaisedQosGetsAPacketIdWhoseAcknowledgementStaysHere) {
  talk.rules(R"({"packets": "PUBLISH", "alter": {"qos": 1}})");
  talk.connect();
  talk.broker();
  talk.from(Side::broker, publish(0));
  EXPECT_THAT(talk.device(), ElementsAre("PUBLISH 65535 a/b=x"));
  talk.from(Side::device, puback(65535));
  EXPECT_THAT(talk.broker(), IsEmpty());
}

TEST_F(MqttFaultsTest, ALoweredQosHasNoPacketId) {
  talk.connect();
  talk.broker();
  talk.rules(R"({"packets": "PUBLISH", "alter": {"qos": 0}})");
  talk.from(Side::broker, publish(9));
  EXPECT_EQ(talk.device().at(0).substr(0, 9), "PUBLISH 0");
}

TEST_F(MqttFaultsTest, WhatCannotBeReadIsNotAltered) {
  talk.rules(R"({"packets": "CONNACK", "alter": {"code": 1}})");
  talk.raw(Side::broker, std::string_view("\x20\x01\x00", 3));
  EXPECT_THAT(talk.device(), ElementsAre("unreadable"));
  EXPECT_EQ(talk.notes, "rule rule-1: cannot read and alter CONNACK to the device\n");
}

TEST_F(MqttFaultsTest, ARefusedConnectNeverReachesTheBrokerAndEndsTheConnection) {
  talk.rules(R"({"packets": "CONNECT", "answer": {"code": "0x97",
                 "properties": {"reason_string": "quota"}}})");
  talk.connect();
  EXPECT_THAT(talk.device(), ElementsAre("CONNACK", "closed"));
  EXPECT_EQ(std::get<Connack>(talk.packets.back()).code, 0x97);
  EXPECT_THAT(talk.broker(), ElementsAre("closed"));
  talk.from(Side::device, mqtt::Ping{});
  EXPECT_THAT(talk.broker(), IsEmpty());
}

TEST_F(MqttFaultsTest, EachPacketHasItsUsualAnswer) {
  talk.rules(R"({"direction": "up", "skip": 1, "answer": {"code": 151}})");
  talk.connect();
  talk.broker();
  Publish qos2 = publish(2);
  qos2.qos = 2;
  talk.from(Side::device, publish(1));
  talk.from(Side::device, qos2);
  talk.from(Side::device, Ack{Type::pubrel, 2, 0, {}});
  talk.from(Side::device, mqtt::Subscribe{3, {{"a", 1}, {"b", 1}}, {}});
  EXPECT_THAT(std::get<Suback>(talk.packets.back()).codes, ElementsAre(151, 151));
  talk.from(Side::device, mqtt::Unsubscribe{4, {"a"}, {}});
  talk.from(Side::device, mqtt::Ping{});
  talk.from(Side::device, publish(0));  // nothing answers a QoS 0
  EXPECT_THAT(talk.device(),
              ElementsAre("PUBACK 1", "PUBREC 2", "PUBCOMP 2", "SUBACK", "UNSUBACK", "PINGRESP"));
  EXPECT_THAT(talk.broker(), IsEmpty());
}

TEST_F(MqttFaultsTest, DisconnectAfterAPacketSaysTheReasonInMqtt5) {
  talk.rules(R"({"packets": "CONNACK", "disconnect": {"reason": 142}})");
  talk.connect();
  talk.from(Side::broker, Connack{});
  EXPECT_THAT(talk.device(), ElementsAre("CONNACK", "DISCONNECT", "closed"));
  EXPECT_THAT(talk.broker(), ElementsAre("CONNECT", "closed"));
}

TEST_F(MqttFaultsTest, DisconnectIn311IsAPlainClose) {
  Talk old(shared, Version::v311);
  old.rules(R"({"packets": "CONNACK", "disconnect": {"reason": 142, "when": "before"}})");
  old.connect();
  old.from(Side::broker, Connack{});
  EXPECT_THAT(old.device(), ElementsAre("closed"));
}

TEST_F(MqttFaultsTest, DisconnectTowardsOneSideLeavesTheOther) {
  talk.rules(R"({"packets": "PINGREQ", "disconnect": {"how": "silence", "side": "broker"}})");
  talk.connect();
  talk.from(Side::device, mqtt::Ping{});
  EXPECT_THAT(talk.broker(), ElementsAre("CONNECT", "PINGREQ", "silence"));
  talk.from(Side::device, mqtt::Ping{});
  talk.from(Side::broker, mqtt::Ping{Type::pingresp});
  EXPECT_THAT(talk.broker(), IsEmpty());
  EXPECT_THAT(talk.device(), IsEmpty());
}

TEST_F(MqttFaultsTest, DisconnectCanComeSomeTimeLaterAndBeCalledOff) {
  const auto rule = R"({"packets": "CONNACK", "disconnect": {"delay": "2s", "how": "reset"}})";
  talk.rules(rule);
  talk.connect();
  talk.from(Side::broker, Connack{});
  talk.rules("");
  talk.pass(10s);
  EXPECT_THAT(talk.device(), ElementsAre("CONNACK"));
  talk.rules(rule);
  talk.from(Side::broker, Connack{});
  talk.pass(1999ms);
  EXPECT_THAT(talk.device(), ElementsAre("CONNACK"));
  talk.pass(1ms);
  EXPECT_THAT(talk.device(), ElementsAre("reset"));
}

TEST_F(MqttFaultsTest, RateDropsWhatIsOverIt) {
  talk.connect();
  talk.broker();
  talk.rules(R"({"packets": "PUBLISH", "rate": 10})");
  for (int i = 0; i < 50; ++i) talk.from(Side::device, publish(0));
  EXPECT_EQ(talk.broker().size(), 10U);
  talk.pass(500ms);
  for (int i = 0; i < 50; ++i) talk.from(Side::device, publish(0));
  EXPECT_EQ(talk.broker().size(), 5U);
  talk.pass(1h);
  for (int i = 0; i < 50; ++i) talk.from(Side::device, publish(0));
  EXPECT_EQ(talk.broker().size(), 10U);
}

TEST_F(MqttFaultsTest, RedeliversWithTheSamePacketIdUntilAcknowledged) {
  talk.rules(R"({"packets": "PUBLISH", "direction": "down", "redeliver": {"after": "30s"}})");
  talk.connect();
  talk.broker();
  talk.from(Side::broker, publish(5));
  talk.from(Side::broker, publish(0));  // only QoS 1
  talk.device();
  talk.pass(30s);
  EXPECT_THAT(talk.device(), ElementsAre("PUBLISH 5 a/b=x"));
  talk.pass(60s);
  EXPECT_EQ(talk.device().size(), 2U);
  talk.from(Side::device, puback(5));
  EXPECT_THAT(talk.broker(), ElementsAre("PUBACK 5"));
  talk.pass(1h);
  EXPECT_THAT(talk.device(), IsEmpty());
  // The acknowledgements of the three copies stay here, even when the id is in use again.
  talk.from(Side::broker, publish(5, "new"));
  for (int i = 0; i < 3; ++i) talk.from(Side::device, puback(5));
  EXPECT_THAT(talk.broker(), IsEmpty());
  talk.from(Side::device, puback(5));
  EXPECT_THAT(talk.broker(), ElementsAre("PUBACK 5"));
}

TEST_F(MqttFaultsTest, RedeliversWithDupAndWithANewPacketId) {
  talk.rules(R"({"packets": "PUBLISH", "redeliver": {"after": "1s", "dup": true,
                 "new_packet_id": true, "times": 2}})");
  talk.connect();
  talk.broker();
  talk.from(Side::broker, publish(5));
  talk.pass(10s);
  EXPECT_THAT(talk.device(),
              ElementsAre("PUBLISH 5 a/b=x", "PUBLISH 65535 a/b=x dup", "PUBLISH 65534 a/b=x dup"));
  talk.from(Side::device, puback(65534));
  EXPECT_THAT(talk.broker(), ElementsAre("PUBACK 5"));
  talk.from(Side::device, puback(5));
  talk.from(Side::device, puback(65535));
  EXPECT_THAT(talk.broker(), IsEmpty());
}

TEST_F(MqttFaultsTest, ARuleThatIsTakenAwayRedeliversNoLonger) {
  talk.connect();
  talk.broker();
  talk.rules(R"({"packets": "PUBLISH", "redeliver": {"after": "1s"}})");
  talk.from(Side::broker, publish(5));
  talk.rules("");
  EXPECT_EQ(talk.faults.wake(), kNever);
}

TEST_F(MqttFaultsTest, RulesAreAskedInOrder) {
  talk.connect();
  talk.broker();
  talk.rules(R"({"packets": "PUBLISH", "alter": {"topic": "first"}},
                {"packets": "PUBLISH", "topic": "a/b", "drop": true},
                {"packets": "PUBLISH", "topic": "first", "alter": {"payload": "second"}},
                {"packets": "PUBLISH", "duplicate": 1})");
  talk.from(Side::device, publish(0));
  EXPECT_EQ(talk.broker().size(), 2U);
  EXPECT_EQ(std::get<Publish>(talk.packets.back()).payload, "second");
}

TEST_F(MqttFaultsTest, CountsWhichPacketsAreMeant) {
  talk.rules(R"({"packets": "PUBACK", "skip": 2, "every": 3, "first": 2, "drop": true})");
  for (std::uint16_t id = 1; id <= 12; ++id) talk.from(Side::broker, puback(id));
  std::vector<std::string> expected;
  for (int id = 1; id <= 12; ++id) {
    if (id != 3 && id != 6) expected.push_back("PUBACK " + std::to_string(id));
  }
  EXPECT_EQ(talk.device(), expected);
}

TEST_F(MqttFaultsTest, CountsStayWhileTheRuleStays) {
  const auto rule = R"({"name": "x", "packets": "PUBACK", "first": 1, "drop": true})";
  talk.rules(rule);
  talk.from(Side::broker, puback(1));
  talk.rules(rule);
  talk.from(Side::broker, puback(2));
  EXPECT_THAT(talk.device(), ElementsAre("PUBACK 2"));
  talk.rules(R"({"name": "x", "packets": "PUBACK", "first": 2, "drop": true})");
  talk.from(Side::broker, puback(3));
  EXPECT_THAT(talk.device(), IsEmpty());
}

TEST_F(MqttFaultsTest, CountsOfAllConnectionsAreShared) {
  const auto rule =
      R"({"name": "x", "packets": "CONNACK", "scope": "all", "first": 2, "drop": true})";
  std::size_t connacks = 0;
  for (int i = 0; i < 5; ++i) {
    Talk one(shared, Version::v5);
    one.rules(rule);
    one.connect();
    one.from(Side::broker, Connack{});
    connacks += one.device().size();
  }
  EXPECT_EQ(connacks, 3U);
  EXPECT_EQ(shared.all().at("x").matched, 5U);
  EXPECT_EQ(shared.all().at("x").applied, 2U);
}

TEST_F(MqttFaultsTest, ProbabilityIsAboutRight) {
  talk.rules(R"({"packets": "PINGREQ", "probability": 0.25, "drop": true})");
  for (int i = 0; i < 1000; ++i) talk.from(Side::device, mqtt::Ping{});
  const std::size_t passed = talk.broker().size();
  EXPECT_GT(passed, 700U);
  EXPECT_LT(passed, 800U);
}

TEST_F(MqttFaultsTest, MatchesClientTopicAndQos) {
  talk.rules(R"({"packets": "PUBLISH", "client_id": "pump-*", "topic": "a/+", "qos": 1,
                 "drop": true})");
  talk.from(Side::device, publish(1));  // no CONNECT yet, so no client id
  EXPECT_EQ(talk.broker().size(), 1U);
  talk.connect();
  talk.broker();
  talk.from(Side::device, publish(2));
  EXPECT_THAT(talk.broker(), IsEmpty());
  talk.from(Side::device, publish(0));
  talk.from(Side::device, publish(3, "x", "b/c"));
  EXPECT_EQ(talk.broker().size(), 2U);
}

TEST_F(MqttFaultsTest, LearnsTheClientIdThatTheBrokerGave) {
  talk.connect("");
  Connack connack;
  connack.properties.set(Id::assigned_client_identifier, "$GEN/1");
  talk.from(Side::broker, connack);
  EXPECT_EQ(talk.faults.client_id(), "$GEN/1");
}

TEST_F(MqttFaultsTest, MatchesSubscriptionsByTheirFilters) {
  talk.rules(R"({"packets": ["SUBSCRIBE", "UNSUBSCRIBE"], "topic": "a/#", "drop": true})");
  talk.connect();
  talk.broker();
  talk.from(Side::device, mqtt::Subscribe{1, {{"b", 1}, {"a/+/c", 1}}, {}});
  talk.from(Side::device, mqtt::Unsubscribe{2, {"b"}, {}});
  EXPECT_THAT(talk.broker(), ElementsAre("UNSUBSCRIBE"));
}

TEST_F(MqttFaultsTest, AliasesAreResolvedForRulesAndMendedForTheReceiver) {
  talk.rules(R"({"packets": "PUBLISH", "topic": "secret", "first": 1, "drop": true})");
  talk.connect();
  talk.broker();
  Publish first = publish(1, "1", "secret");
  first.properties.set(Id::topic_alias, 3);
  talk.from(Side::device, first);  // withheld, and with it the meaning of alias 3
  Publish second = publish(2, "2", "");
  second.properties.set(Id::topic_alias, 3);
  talk.from(Side::device, second);
  talk.from(Side::device, second);
  EXPECT_THAT(talk.broker(), ElementsAre("PUBLISH 2 secret=2", "PUBLISH 2 =2"));
  talk.rules(R"({"packets": "PUBLISH", "topic": "secret", "drop": true})");
  talk.from(Side::device, second);
  EXPECT_THAT(talk.broker(), IsEmpty());
  talk.rules(R"({"packets": "PUBLISH", "topic": "secret", "delay": "1s"})");
  talk.from(Side::device, second);
  talk.pass(1s);
  EXPECT_THAT(talk.broker(), ElementsAre("PUBLISH 2 secret=2"));
}

TEST_F(MqttFaultsTest, WhatIsDelayedStillGoesOutWhenTheSenderHasClosed) {
  talk.connect();
  talk.broker();
  talk.rules(R"({"packets": "PUBLISH", "delay": "1min"}, {"packets": "PUBACK", "hold": true})");
  talk.from(Side::device, publish(1));
  talk.from(Side::device, puback(9));
  talk.from(Side::broker, publish(2));
  talk.closed(Side::device);
  EXPECT_THAT(talk.broker(), ElementsAre("PUBLISH 1 a/b=x", "closed"));
  EXPECT_THAT(talk.device(), IsEmpty());
  EXPECT_EQ(talk.faults.wake(), kNever);
  talk.closed(Side::broker);
  EXPECT_THAT(talk.device(), IsEmpty());
}

TEST_F(MqttFaultsTest, HoldsOnlySoMuch) {
  talk.connect();
  talk.broker();
  talk.rules(R"({"packets": "PUBLISH", "hold": true})");
  const std::string payload(100'000, 'x');
  for (int i = 0; i < 12; ++i) talk.from(Side::device, publish(0, payload));
  EXPECT_EQ(talk.broker().size(), 2U);
  EXPECT_NE(talk.notes.find("has no room to keep PUBLISH"), std::string::npos);
  talk.rules("");
  talk.pass(0s);
  EXPECT_EQ(talk.broker().size(), 10U);
}

TEST(LabMatch, GlobsAndFilters) {
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("pump-*", "pump-17"));
  EXPECT_TRUE(glob_matches("*-1?", "pump-17"));
  EXPECT_TRUE(glob_matches("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(glob_matches("a*b*c", "aXbYbZ"));
  EXPECT_FALSE(glob_matches("pump", "pump-17"));
  EXPECT_FALSE(glob_matches("", "x"));
  EXPECT_TRUE(filter_matches("a/+/c", "a/b/c"));
  EXPECT_TRUE(filter_matches("a/#", "a/b/c"));
  EXPECT_TRUE(filter_matches("a/#", "a"));
  EXPECT_TRUE(filter_matches("#", "$aws/things"));
  EXPECT_TRUE(filter_matches("+/b", "/b"));
  EXPECT_FALSE(filter_matches("a/+", "a"));
  EXPECT_FALSE(filter_matches("a/b", "a/b/c"));
  EXPECT_FALSE(filter_matches("a", "b"));
  EXPECT_TRUE(filter_matches("a/", "a/"));
  EXPECT_FALSE(filter_matches("a", "a/"));
}

}  // namespace
}  // namespace holdfast::lab::fault
