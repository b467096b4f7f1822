// Messages through the front door: publishing, subscribing, delivery.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "lab/iot/door_harness.h"

namespace holdfast::lab::iot {
namespace {

using namespace test;  // NOLINT: the harness
using Id = mqtt::PropertyId;
using mqtt::Version;

/// Owns "$aws/things/+/jobs/get" alone, and "…/shadow/update" also; echoes to the requester.
class EchoService : public Service {
 public:
  std::string_view name() const override { return "echo"; }
  Claim claims(std::string_view topic) const override {
    if (topic.ends_with("/jobs/get")) return Claim::only;
    return topic.ends_with("/shadow/update") ? Claim::also : Claim::none;
  }
  void on_request(WallTime /*now*/, const Requester& from, const mqtt::Publish& message,
                  Answers& out) override {
    out.reply(message.topic + "/accepted", {{"from", from.client_id}});
    out.publish("heard", {{"topic", message.topic}});
  }
  bool has_operation(std::string_view operation) const override { return operation == "Revoke"; }
  ApiResult call(WallTime /*now*/, std::string_view /*operation*/, const Json& input,
                 Answers& out) override {
    out.disconnect_principal(input.value("principal", ""));
    return Json::object();
  }
  Json save() const override { return {{"kept", true}}; }
  Status load(const Json& state) override {
    if (!state.contains("kept")) return Error{Errc::corrupt, "kept is missing"};
    return {};
  }
  std::uint64_t revision() const override { return 0; }
};

struct Open {
  explicit Open(Version version = Version::v5) : visit(place) {
    place.region.add(echo);
    visit.connect(connect_of("pump", version));
  }
  Place place;
  EchoService echo;
  Visit visit;
};

/// The reason of the DISCONNECT that comes; 3.1.1 has none.
std::uint8_t disconnected_with(Visit& visit) {
  EXPECT_TRUE(visit.device_closed);
  return visit.device_got<mqtt::Disconnect>().reason;
}

TEST(LabDoorPublish, GoesToTheBrokerAndItsPubackBack) {
  Open open;
  mqtt::Publish p = publish_of("a/b", 7, "hello");
  p.properties.set(Id::content_type, "text/plain");
  p.properties.set(Id::message_expiry_interval, 0);
  open.visit.device_sends(p);
  const auto forwarded = open.visit.broker_got<mqtt::Publish>();
  EXPECT_EQ(forwarded.payload, "hello");
  EXPECT_EQ(*forwarded.properties.text(Id::content_type), "text/plain");
  EXPECT_EQ(forwarded.properties.number(Id::message_expiry_interval), 1U);
  open.visit.broker_sends(mqtt::Ack{mqtt::Type::puback, 7, 0x10, {}});
  EXPECT_EQ(open.visit.device_got<mqtt::Ack>(), (mqtt::Ack{mqtt::Type::puback, 7, 0, {}}));
}

TEST(LabDoorPublish, OverAHundredASecondIsDiscardedInSilence) {
  Open open;
  for (std::uint16_t id = 1; id <= 120; ++id) {
    open.visit.device_sends(publish_of("a", id));
    if (open.visit.to_broker.empty()) continue;
    open.visit.broker_got<mqtt::Publish>();
    open.visit.broker_sends(mqtt::Ack{mqtt::Type::puback, id, 0, {}});
  }
  EXPECT_EQ(open.visit.to_device.size(), 100U);
  EXPECT_FALSE(open.visit.device_closed);
  open.place.clock.at += 1s;
  open.visit.device_sends(publish_of("a", 1));
  EXPECT_EQ(open.visit.to_broker.size(), 1U);
}

TEST(LabDoorPublish, QualityOfServiceTwoIsSilenceOrADisconnect) {
  mqtt::Publish p = publish_of("a", 1);
  p.qos = 2;
  Open old(Version::v311);
  old.visit.device_sends(p);
  EXPECT_TRUE(old.visit.to_device.empty());
  EXPECT_TRUE(old.visit.to_broker.empty());
  EXPECT_FALSE(old.visit.device_closed);
  Open now;
  now.visit.device_sends(p);
  EXPECT_EQ(disconnected_with(now.visit), 0x9B);
}

TEST(LabDoorPublish, LimitsOfAMessageEndTheConnection) {
  const auto reason_for = [](const mqtt::Publish& p) {
    Open open;
    open.visit.device_sends(p);
    return disconnected_with(open.visit);
  };
  EXPECT_EQ(reason_for(publish_of("a", 1, std::string(131'073, 'x'))), 0x95);
  EXPECT_EQ(reason_for(publish_of("a/b/c/d/e/f/g/h/i", 1)), 0x90);
  EXPECT_EQ(reason_for(publish_of("$aws/unknown", 1)), 0x90);
  mqtt::Publish p = publish_of("a", 1);
  p.properties.set(Id::topic_alias, 9);
  EXPECT_EQ(reason_for(p), 0x94);
  p = publish_of("a", 1);
  p.properties.add_user("k", std::string(9000, 'v'));
  EXPECT_EQ(reason_for(p), 0x97);
  p = publish_of("a", 1);
  p.properties.set(Id::response_topic, "a/+");
  EXPECT_EQ(reason_for(p), 0x82);
  p = publish_of("$aws/rules/r/a", 1);
  p.retain = true;
  EXPECT_EQ(reason_for(p), 0x90);
  Open fine;
  fine.visit.device_sends(publish_of("a", 1, std::string(131'072, 'x')));
  EXPECT_EQ(fine.visit.to_broker.size(), 1U);
}

// The Developer Guide counts a payload of more than 128 KB among the errors of a client that end
// its connection; a service that answers on topics never sees it.
TEST(LabDoorPublish, ARequestOver128KiBEndsTheConnectionAndIsNeverAnswered) {
  const std::string topic = "$aws/things/pump/jobs/get";
  for (const Version version : {Version::v5, Version::v311}) {
    Open open(version);
    open.visit.device_sends(publish_of(topic, 1, std::string(131'072, 'x')));
    EXPECT_EQ(open.visit.device_got<mqtt::Ack>().type, mqtt::Type::puback);
    open.visit.wake();
    EXPECT_EQ(open.visit.device_got<mqtt::Publish>().topic, topic + "/accepted");
    open.visit.device_sends(publish_of(topic, 2, std::string(131'073, 'x')));
    if (version == Version::v5) {
      EXPECT_EQ(disconnected_with(open.visit), 0x95);
    }
    open.visit.wake();
    EXPECT_TRUE(open.visit.device_closed);
    EXPECT_TRUE(open.visit.to_device.empty()) << "neither PUBACK nor answer";
    open.visit.drop();
    EXPECT_EQ(open.place.events().back(), "disconnected CLIENT_ERROR pump");
  }
}

TEST(LabDoorPublish, ATopicAliasStandsForItsTopic) {
  Open open;
  mqtt::Publish p = publish_of("a/b", 1);
  p.properties.set(Id::topic_alias, 2);
  open.visit.device_sends(p);
  p.topic.clear();
  p.packet_id = 2;
  open.visit.device_sends(p);
  open.visit.broker_got<mqtt::Publish>();
  const auto second = open.visit.broker_got<mqtt::Publish>();
  EXPECT_EQ(second.topic, "a/b");
  EXPECT_FALSE(second.properties.has(Id::topic_alias));
  Open unknown;
  p.properties.set(Id::topic_alias, 3);
  unknown.visit.device_sends(p);
  EXPECT_EQ(disconnected_with(unknown.visit), 0x94);
}

TEST(LabDoorPublish, MoreThanAHundredWithoutPubackIsTooMany) {
  Open open;
  open.place.region.switches.publishes_per_second = 0;
  for (std::uint16_t id = 1; id <= 100; ++id) open.visit.device_sends(publish_of("a", id));
  EXPECT_FALSE(open.visit.device_closed);
  open.visit.device_sends(publish_of("a", 101));
  EXPECT_EQ(disconnected_with(open.visit), 0x93);
}

TEST(LabDoorPublish, WhatThePolicyForbidsIsAnsweredByVersion) {
  const auto forbid = [](Open& open) {
    open.place.access.forbidden = {"iot:Publish topic/no", "iot:RetainPublish topic/kept"};
  };
  Open five;
  forbid(five);
  five.visit.device_sends(publish_of("no", 3));
  EXPECT_EQ(five.visit.device_got<mqtt::Ack>().reason, 0x87);
  EXPECT_FALSE(five.visit.device_closed);
  mqtt::Publish kept = publish_of("kept", 4);
  kept.retain = true;
  five.visit.device_sends(kept);
  EXPECT_EQ(five.visit.device_got<mqtt::Ack>().reason, 0x87);
  five.visit.device_sends(publish_of("no", 0));
  EXPECT_EQ(disconnected_with(five.visit), 0x87);
  EXPECT_EQ(five.place.events().back(), "disconnected FORBIDDEN_ACCESS pump");
  Open old(Version::v311);
  forbid(old);
  old.visit.device_sends(publish_of("no", 3));
  EXPECT_TRUE(old.visit.device_closed);
  EXPECT_TRUE(old.visit.to_device.empty());
}

TEST(LabDoorPublish, RetainedMessagesOfATopicAreOneASecond) {
  Open open;
  mqtt::Publish p = publish_of("kept", 1);
  p.retain = true;
  open.visit.device_sends(p);
  open.visit.broker_got<mqtt::Publish>();
  p.packet_id = 2;
  open.visit.device_sends(p);
  EXPECT_EQ(open.visit.device_got<mqtt::Ack>().reason, 0x97);
  open.place.clock.at += 1s;
  p.packet_id = 3;
  open.visit.device_sends(p);
  EXPECT_EQ(open.visit.to_broker.size(), 1U);
}

TEST(LabDoorPublish, BasicIngestIsAcknowledgedAndGoesToNobody) {
  Open open;
  open.visit.device_sends(publish_of("$aws/rules/my_rule/a", 5));
  EXPECT_EQ(open.visit.device_got<mqtt::Ack>().reason, 0);
  EXPECT_TRUE(open.visit.to_broker.empty());
}

TEST(LabDoorPublish, RequestsGoToTheirServiceAndAnswersToTheRequester) {
  Open open;
  open.visit.device_sends(publish_of("$aws/things/t/jobs/get", 6));
  EXPECT_EQ(open.visit.device_got<mqtt::Ack>().reason, 0);
  EXPECT_TRUE(open.visit.to_broker.empty());
  EXPECT_EQ(open.place.region.take_woken().size(), 1U);
  open.visit.wake();
  const auto answer = open.visit.device_got<mqtt::Publish>();
  EXPECT_EQ(answer.topic, "$aws/things/t/jobs/get/accepted");
  EXPECT_EQ(answer.payload, R"({"from":"pump"})");
  EXPECT_EQ(answer.qos, 1);
  const auto published = open.place.published();
  ASSERT_EQ(published.size(), 1U);
  EXPECT_EQ(published[0].topic, "heard");
  // The device's acknowledgement is not the broker's business.
  open.visit.device_sends(mqtt::Ack{mqtt::Type::puback, answer.packet_id, 0, {}});
  EXPECT_TRUE(open.visit.to_broker.empty());
}

TEST(LabDoorPublish, SomeRequestsAreSeenBySubscribersToo) {
  Open open;
  open.visit.device_sends(publish_of("$aws/things/t/shadow/update", 6));
  EXPECT_EQ(open.visit.broker_got<mqtt::Publish>().topic, "$aws/things/t/shadow/update");
  EXPECT_EQ(open.place.published().size(), 1U);
}

TEST(LabDoorPublish, ADeactivatedCertificateEndsItsConnections) {
  Open open;
  static_cast<void>(open.place.region.call("Revoke", {{"principal", "cert"}}));
  open.visit.wake();
  EXPECT_EQ(disconnected_with(open.visit), 0x87);
  EXPECT_EQ(open.place.events().back(), "disconnected AUTH_ERROR pump");
}

TEST(LabDoorSubscribe, RetainOptionsCountWhenSwitchedOn) {
  Open open;
  for (const bool on : {false, true}) {
    open.place.region.switches.subscription_options = on;
    open.visit.device_sends(mqtt::Subscribe{3, {{"a/b", 0x19}, {"a/+", 0x19}}, {}});
    const auto up = open.visit.broker_got<mqtt::Subscribe>();
    EXPECT_EQ(up.subscriptions[0].options, on ? 0x19 : 0x01);
    EXPECT_EQ(up.subscriptions[1].options, on ? 0x29 : 0x21) << "still none for wildcards";
    open.visit.broker_sends(mqtt::Suback{mqtt::Type::suback, 3, {1, 1}, {}});
    static_cast<void>(open.visit.device_got<mqtt::Suback>());
  }
}

TEST(LabDoorSubscribe, CodesOfTheBrokerAndOursStandInTheirPlaces) {
  Open open;
  open.place.access.forbidden = {"iot:Subscribe topicfilter/secret"};
  open.visit.device_sends(
      mqtt::Subscribe{3, {{"secret", 1}, {"a/b", 1}, {"$invalid/x", 1}, {"a/+", 0}}, {}});
  const auto up = open.visit.broker_got<mqtt::Subscribe>();
  ASSERT_EQ(up.subscriptions.size(), 2U);
  EXPECT_EQ(up.subscriptions[0].options, 1);
  EXPECT_EQ(up.subscriptions[1].options, 0x20) << "no retained messages for wildcards";
  open.visit.broker_sends(mqtt::Suback{mqtt::Type::suback, 3, {1, 0}, {}});
  const auto suback = open.visit.device_got<mqtt::Suback>();
  EXPECT_EQ(suback.codes, (std::vector<std::uint8_t>{0x87, 1, 0x8F, 0}));
  EXPECT_EQ(open.place.events().back(), "subscribed pump a/b a/+");
}

TEST(LabDoorSubscribe, Of311AllFailuresAreOneCode) {
  Open open(Version::v311);
  open.place.access.forbidden = {"iot:Subscribe topicfilter/secret"};
  open.visit.device_sends(mqtt::Subscribe{3, {{"secret", 1}}, {}});
  EXPECT_TRUE(open.visit.to_broker.empty());
  EXPECT_EQ(open.visit.device_got<mqtt::Suback>().codes, std::vector<std::uint8_t>{0x80});
}

TEST(LabDoorSubscribe, FiftyAreEnough) {
  Open open;
  for (int i = 0; i < 50; ++i) open.visit.subscribe("f/" + std::to_string(i));
  open.visit.device_sends(mqtt::Subscribe{4, {{"f/51", 1}, {"f/7", 0}}, {}});
  EXPECT_EQ(open.visit.broker_got<mqtt::Subscribe>().subscriptions.size(), 1U);
  open.visit.broker_sends(mqtt::Suback{mqtt::Type::suback, 4, {0}, {}});
  EXPECT_EQ(open.visit.device_got<mqtt::Suback>().codes, (std::vector<std::uint8_t>{0x97, 0}));
}

TEST(LabDoorSubscribe, WhatIsOverAQuotaEndsTheConnection) {
  const auto reason_for = [](const mqtt::Subscribe& s) {
    Open open;
    open.visit.device_sends(s);
    return disconnected_with(open.visit);
  };
  EXPECT_EQ(reason_for({1, std::vector<mqtt::Subscription>(9, {"a", 0}), {}}), 0x97);
  EXPECT_EQ(reason_for({1, {{"a", 2}}, {}}), 0x9B);
  EXPECT_EQ(reason_for({1, {{"a/b/c/d/e/f/g/h/i", 0}}, {}}), 0x8F);
  mqtt::Subscribe with_id{1, {{"a", 0}}, {}};
  with_id.properties.set(Id::subscription_identifier, 1);
  EXPECT_EQ(reason_for(with_id), 0xA1);
  Open old(Version::v311);
  old.visit.device_sends(mqtt::Subscribe{1, {{"a", 2}}, {}});
  EXPECT_TRUE(old.visit.to_device.empty());
  EXPECT_FALSE(old.visit.device_closed);
}

TEST(LabDoorSubscribe, UnsubscribingIsTheBrokersToGrant) {
  Open open;
  open.visit.subscribe("a/b");
  open.visit.device_sends(mqtt::Unsubscribe{5, {"a/b"}, {}});
  open.visit.broker_sends(mqtt::Suback{mqtt::Type::unsuback, 5, {0}, {}});
  EXPECT_EQ(open.visit.device_got<mqtt::Suback>().type, mqtt::Type::unsuback);
  EXPECT_EQ(open.place.events().back(), "unsubscribed pump a/b");
  EXPECT_TRUE(open.place.region.session("pump").subscriptions.empty());
}

TEST(LabDoorDelivery, MessagesKeepNoDupAndGetIdsOfOurOwn) {
  Open open;
  open.visit.subscribe("a/#");
  mqtt::Publish p = publish_of("a/b", 4711);
  p.dup = true;
  open.visit.broker_sends(p);
  const auto got = open.visit.device_got<mqtt::Publish>();
  EXPECT_FALSE(got.dup);
  open.visit.device_sends(mqtt::Ack{mqtt::Type::puback, got.packet_id, 0, {}});
  EXPECT_EQ(open.visit.broker_got<mqtt::Ack>().packet_id, 4711);
}

TEST(LabDoorDelivery, WhatOnlyMqttsOwnRuleMatchesIsNotSent) {
  Open open;
  open.visit.subscribe("a/#");
  open.visit.broker_sends(publish_of("a", 9));
  EXPECT_TRUE(open.visit.to_device.empty());
  EXPECT_EQ(open.visit.broker_got<mqtt::Ack>().packet_id, 9);
}

TEST(LabDoorDelivery, APolicyMayForbidToReceive) {
  Open open;
  open.visit.subscribe("a/#");
  open.place.access.forbidden = {"iot:Receive topic/a/secret"};
  open.visit.broker_sends(publish_of("a/secret", 9));
  EXPECT_TRUE(open.visit.to_device.empty());
  EXPECT_EQ(open.visit.broker_got<mqtt::Ack>().packet_id, 9);
  open.place.region.switches.receive_denied_disconnects = true;
  open.visit.broker_sends(publish_of("a/secret", 10));
  EXPECT_EQ(disconnected_with(open.visit), 0x87);
}

TEST(LabDoorDelivery, UnacknowledgedMessagesAreSentAgainForAWhile) {
  Open open;
  open.visit.subscribe("a");
  open.visit.broker_sends(publish_of("a", 9));
  const auto first = open.visit.device_got<mqtt::Publish>();
  for (int i = 0; i < 31; ++i) {
    open.visit.pass(30s);
    open.visit.device_sends(mqtt::Ping{});
    const auto again = open.visit.device_got<mqtt::Publish>();
    EXPECT_EQ(again.packet_id, first.packet_id);
    EXPECT_FALSE(again.dup);
    open.visit.device_got<mqtt::Ping>();
  }
  open.visit.pass(30s);
  EXPECT_TRUE(open.visit.to_device.empty()) << "16 minutes are over";
  EXPECT_EQ(open.visit.broker_got<mqtt::Ack>().packet_id, 9);
}

TEST(LabDoorDelivery, CopiesMayHaveAnotherPacketId) {
  Open open;
  open.place.region.switches.redelivery_new_id = true;
  open.visit.subscribe("a");
  open.visit.broker_sends(publish_of("a", 9));
  const auto first = open.visit.device_got<mqtt::Publish>();
  open.visit.pass(30s);
  const auto again = open.visit.device_got<mqtt::Publish>();
  EXPECT_NE(again.packet_id, first.packet_id);
  open.visit.device_sends(mqtt::Ack{mqtt::Type::puback, first.packet_id, 0, {}});
  EXPECT_TRUE(open.visit.to_broker.empty());
  open.visit.device_sends(mqtt::Ack{mqtt::Type::puback, again.packet_id, 0, {}});
  EXPECT_EQ(open.visit.broker_got<mqtt::Ack>().packet_id, 9);
}

TEST(LabDoorDelivery, CopiesMayComeLessAndLessOften) {
  Open open;
  open.place.region.switches.redelivery_doubles = true;
  open.visit.subscribe("a");
  open.visit.broker_sends(publish_of("a", 9));
  const auto first = open.visit.device_got<mqtt::Publish>();
  for (const auto pause : {30s, 60s, 120s}) {
    for (auto left = pause; left > 30s; left -= 30s) {
      open.visit.pass(30s);
      open.visit.device_sends(mqtt::Ping{});
      open.visit.device_got<mqtt::Ping>();  // And nothing before it.
    }
    open.visit.pass(30s);
    EXPECT_EQ(open.visit.device_got<mqtt::Publish>().packet_id, first.packet_id);
  }
}

TEST(LabDoorDelivery, AWindowOfUnacknowledgedMessagesWaits) {
  Place place;
  Visit visit(place);
  mqtt::Connect c = connect_of("pump");
  c.properties.set(Id::receive_maximum, 2);
  visit.connect(c);
  visit.subscribe("a");
  for (std::uint16_t id = 1; id <= 3; ++id) visit.broker_sends(publish_of("a", id));
  EXPECT_EQ(visit.to_device.size(), 2U);
  const auto first = visit.device_got<mqtt::Publish>();
  visit.device_sends(mqtt::Ack{mqtt::Type::puback, first.packet_id, 0, {}});
  EXPECT_EQ(visit.to_device.size(), 2U);
}

TEST(LabDoorDelivery, WhatWasStoredComesTenASecondBesideWhatIsLive) {
  Place place;
  Visit publisher(place);
  publisher.connect(connect_of("publisher"));
  std::vector<mqtt::Publish> stored;
  for (std::uint16_t id = 1; id <= 40; ++id) {
    publisher.device_sends(publish_of("a", id, "stored"));
    stored.push_back(publisher.broker_got<mqtt::Publish>());
  }
  place.clock.at += 5s;
  Visit visit(place);
  mqtt::Connect c = connect_of("pump");
  c.properties.set(Id::session_expiry_interval, 60);
  place.region.session("pump").subscriptions = {{"a", 1}};
  visit.connect(c, true);
  for (const auto& p : stored) visit.broker_sends(p);
  const std::size_t at_once = visit.to_device.size();
  EXPECT_LE(at_once, 10U);
  publisher.device_sends(publish_of("a", 41, "live"));
  visit.broker_sends(publisher.broker_got<mqtt::Publish>());
  EXPECT_EQ(std::get<mqtt::Publish>(visit.to_device.back()).payload, "live");
  visit.pass(2s);
  EXPECT_GE(visit.to_device.size(), at_once + 1 + 19);
  EXPECT_LE(visit.to_device.size(), at_once + 1 + 21);
  visit.pass(2s);
  EXPECT_EQ(visit.to_device.size(), 41U);
  for (const mqtt::Packet& packet : visit.to_device) {
    EXPECT_TRUE(std::get<mqtt::Publish>(packet).properties.all.empty()) << "the stamp stays inside";
  }
}

TEST(LabDoorDelivery, WithoutThatQuotaAllComesAtOnceInTheOrderOfPublishing) {
  Place place;
  place.region.switches.drained_per_second = 0;
  Visit publisher(place);
  publisher.connect(connect_of("publisher"));
  std::vector<mqtt::Publish> published;
  const auto publish = [&](std::uint16_t id) {
    publisher.device_sends(publish_of("a", id, std::to_string(id)));
    published.push_back(publisher.broker_got<mqtt::Publish>());
  };
  for (std::uint16_t id = 1; id <= 20; ++id) publish(id);
  place.clock.at += 5s;
  Visit visit(place);
  mqtt::Connect c = connect_of("pump");
  c.properties.set(Id::receive_maximum, 5);
  place.region.session("pump").subscriptions = {{"a", 1}};
  visit.connect(c, true);
  publish(21);
  for (const auto& p : published) visit.broker_sends(p);
  for (std::uint16_t id = 1; id <= 21; ++id) {
    ASSERT_FALSE(visit.to_device.empty()) << id;
    const auto got = visit.device_got<mqtt::Publish>();
    EXPECT_EQ(got.payload, std::to_string(id));
    visit.device_sends(mqtt::Ack{mqtt::Type::puback, got.packet_id, 0, {}});
  }
}

TEST(LabDoorDelivery, WhatWasStoredForTooLongIsGone) {
  Place place;
  Visit publisher(place);
  publisher.connect(connect_of("publisher"));
  publisher.device_sends(publish_of("a", 1));
  const auto old = publisher.broker_got<mqtt::Publish>();
  place.clock.at += 3601s;
  Visit visit(place);
  place.region.session("pump").subscriptions = {{"a", 1}};
  visit.connect(connect_of("pump"), true);
  visit.broker_sends(old);
  EXPECT_TRUE(visit.to_device.empty());
  EXPECT_EQ(visit.to_broker.size(), 1U);
}

TEST(LabDoorDelivery, WhatIsLargerThanTheDeviceTakesIsNotSent) {
  Place place;
  Visit visit(place);
  mqtt::Connect c = connect_of("pump");
  c.properties.set(Id::maximum_packet_size, 600);
  visit.connect(c);
  visit.subscribe("a");
  visit.broker_sends(publish_of("a", 1, std::string(700, 'x')));
  EXPECT_TRUE(visit.to_device.empty());
  visit.broker_sends(publish_of("a", 2, std::string(500, 'x')));
  EXPECT_EQ(visit.to_device.size(), 1U);
}

TEST(LabDoorDelivery, ManyBytesTakeTheirTime) {
  Open open;
  open.place.region.switches.publishes_per_second = 0;
  for (std::uint16_t id = 1; id <= 12; ++id) {
    open.visit.device_sends(publish_of("a", id, std::string(128 * 1024, 'x')));
  }
  EXPECT_EQ(open.visit.to_broker.size(), 3U) << "half a MiB a second";
  open.visit.pass(1s);
  EXPECT_NEAR(static_cast<double>(open.visit.to_broker.size()), 7, 1);
  open.visit.pass(2s);
  EXPECT_EQ(open.visit.to_broker.size(), 12U);
}

TEST(LabRegion, ADirectMessageNeedsNoSubscription) {
  Open open;
  const auto sent = open.place.region.call(
      "SendDirectMessage", {{"clientId", "pump"}, {"topic", "direct"}, {"payload", "hi"}});
  EXPECT_TRUE(std::holds_alternative<Json>(sent));
  open.visit.wake();
  EXPECT_EQ(open.visit.device_got<mqtt::Publish>().payload, "hi");
  const auto refused = open.place.region.call(
      "SendDirectMessage", {{"clientId", "pump"}, {"topic", "$aws/things/x/jobs/notify"}});
  EXPECT_EQ(std::get<ApiError>(refused).type, "InvalidRequestException");
}

TEST(LabRegion, SwitchesAreChangedByNameOrNotAtAll) {
  Place place;
  auto done = place.region.call("PutSwitches", {{"redelivery_ms", 500}});
  EXPECT_EQ(std::get<Json>(done)["redelivery_ms"], 500);
  done = place.region.call("PutSwitches", {{"redelivery_ms", 1}, {"nonsense", 2}});
  EXPECT_EQ(std::get<ApiError>(done).message, "there is no switch nonsense");
  EXPECT_EQ(place.region.switches.redelivery_ms, 500);
  done = place.region.call("PutSwitches", {{"redelivery_new_id", 1}});
  EXPECT_EQ(std::get<ApiError>(done).message, "redelivery_new_id is true or false");
  done = place.region.call("PutSwitches", {{"jobs_omitted_parameter", "gone"}});
  EXPECT_EQ(std::get<ApiError>(done).message,
            "jobs_omitted_parameter is one of: empty removed literal ");
}

TEST(LabRegion, StateSurvives) {
  Place place;
  EchoService echo;
  place.region.add(echo);
  place.region.switches.redelivery_ms = 77;
  place.region.session("pump") = {
      Version::v311, {{"a/b", 1}}, {place.clock.wall().ms + 1000}, "uuid"};
  const Json saved = place.region.save();
  Place other;
  other.region.add(echo);
  ASSERT_TRUE(other.region.load(saved));
  EXPECT_EQ(other.region.switches.redelivery_ms, 77);
  EXPECT_EQ(other.region.session("pump").version, Version::v311);
  EXPECT_EQ(other.region.session("pump").subscriptions,
            (std::vector<mqtt::Subscription>{{"a/b", 1}}));
  EXPECT_EQ(other.region.save(), saved);
}

TEST(LabRegion, BrokenStateIsNamed) {
  Place place;
  EchoService echo;
  place.region.add(echo);
  EXPECT_EQ(place.region.load(Json::object()).error().message, "format is not 1");
  EXPECT_EQ(place.region.load({{"format", 1}, {"sessions", {{"x", 7}}}}).error().message,
            "sessions.x is not a session");
  EXPECT_EQ(
      place.region.load({{"format", 1}, {"services", {{"echo", Json::object()}}}}).error().message,
      "services.echo: kept is missing");
}

}  // namespace
}  // namespace holdfast::lab::iot
