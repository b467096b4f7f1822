// Connections at the front door: how they begin and end.
#include "lab/iot/door.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "lab/iot/door_harness.h"

namespace holdfast::lab::iot {
namespace {

using namespace test;  // NOLINT: the harness
using Id = mqtt::PropertyId;
using mqtt::Version;

TEST(LabDoor, ConnackSaysWhatTheServiceSays) {
  Place place;
  Visit visit(place);
  mqtt::Connect c = connect_of("pump");
  c.keep_alive = 10;
  c.clean_start = false;
  c.properties.set(Id::session_expiry_interval, 86'400);
  visit.connect(c, true);
  const mqtt::Properties& p = visit.connack.properties;
  EXPECT_TRUE(visit.connack.session_present);
  EXPECT_EQ(p.number(Id::server_keep_alive), 30U);
  EXPECT_EQ(p.number(Id::session_expiry_interval), 3600U);
  EXPECT_EQ(p.number(Id::receive_maximum), 100U);
  EXPECT_EQ(p.number(Id::maximum_qos), 1U);
  EXPECT_EQ(p.number(Id::maximum_packet_size), 149'504U);
  EXPECT_EQ(p.number(Id::topic_alias_maximum), 8U);
  EXPECT_EQ(p.number(Id::subscription_identifier_available), 0U);
  EXPECT_EQ(visit.connect_upstream.properties.number(Id::session_expiry_interval), 3600U);
  EXPECT_FALSE(visit.connect_upstream.clean_start);
  EXPECT_EQ(place.events(), std::vector<std::string>{"connected pump"});
}

TEST(LabDoor, KeepAliveIsClampedOnlyWhereItMust) {
  for (const auto& [asked, told] : std::vector<std::pair<int, std::optional<std::uint32_t>>>{
           {0, 1200}, {29, 30}, {30, std::nullopt}, {1200, std::nullopt}, {1201, 1200}}) {
    Place place;
    Visit visit(place);
    mqtt::Connect c = connect_of("pump");
    c.keep_alive = static_cast<std::uint16_t>(asked);
    visit.connect(c);
    EXPECT_EQ(visit.connack.properties.number(Id::server_keep_alive), told) << asked;
  }
}

TEST(LabDoor, ASessionOf311LastsTheAccountsHour) {
  Place place;
  Visit visit(place);
  mqtt::Connect c = connect_of("pump", Version::v311);
  c.clean_start = false;
  visit.connect(c);
  EXPECT_TRUE(visit.connack.properties.all.empty());
  EXPECT_EQ(visit.connect_upstream.version, Version::v5);
  EXPECT_FALSE(visit.connect_upstream.clean_start);
  EXPECT_EQ(visit.connect_upstream.properties.number(Id::session_expiry_interval), 3600U);
  EXPECT_TRUE(place.access.last_facts.persistent_connect);
}

TEST(LabDoor, ASessionOfTheOtherVersionIsNotResumed) {
  Place place;
  mqtt::Connect c = connect_of("pump", Version::v311);
  c.clean_start = false;
  {
    Visit first(place);
    first.connect(c);
  }
  place.clock.at += 2s;
  c.version = Version::v5;
  c.properties.set(Id::session_expiry_interval, 60);
  Visit second(place);
  second.connect(c);
  EXPECT_TRUE(second.connect_upstream.clean_start);
}

TEST(LabDoor, AnEmptyClientIdIsGiven) {
  Place place;
  Visit visit(place);
  visit.connect(connect_of(""));
  const std::string* id = visit.connack.properties.text(Id::assigned_client_identifier);
  ASSERT_NE(id, nullptr);
  EXPECT_EQ(id->substr(0, 5), "$GEN/");
  EXPECT_EQ(id->size(), 5U + 36U);
  EXPECT_EQ(visit.connect_upstream.client_id, *id);
}

/// What a CONNECT is answered with; the connection is closed in any case.
std::optional<std::uint8_t> refusal_of(Place& place, const mqtt::Connect& c) {
  Visit visit(place);
  visit.device_sends(c);
  EXPECT_TRUE(visit.to_broker.empty());
  EXPECT_TRUE(visit.device_closed);
  EXPECT_TRUE(visit.broker_closed);
  if (visit.to_device.empty()) return std::nullopt;
  return visit.device_got<mqtt::Connack>().code;
}

TEST(LabDoor, RefusesWhatTheServiceRefuses) {
  Place place;
  EXPECT_EQ(refusal_of(place, connect_of(std::string(129, 'x'))), 0x85);
  EXPECT_EQ(refusal_of(place, connect_of("$GEN/something")), 0x85);
  mqtt::Connect c = connect_of("a");
  c.will = mqtt::Will{"gone", "x", 2, false, {}};
  EXPECT_EQ(refusal_of(place, c), 0x9B);
  c = connect_of("b");
  c.will = mqtt::Will{"$invalid/x", "x", 1, false, {}};
  EXPECT_EQ(refusal_of(place, c), 0x90);
  c = connect_of("c");
  c.properties.set(Id::authentication_method, "SCRAM-SHA-1");
  EXPECT_EQ(refusal_of(place, c), 0x8C);
  c = connect_of("", Version::v311);
  c.clean_start = false;
  EXPECT_EQ(refusal_of(place, c), 2);
}

TEST(LabDoor, AWillsDelayCountsWhenSwitchedOn) {
  for (const bool on : {false, true}) {
    Place place;
    place.region.switches.will_delay = on;
    Visit visit(place);
    mqtt::Connect c = connect_of("a");
    c.will = mqtt::Will{"gone", "x", 1, false, {}};
    c.will->properties.set(Id::will_delay_interval, 7);
    visit.device_sends(c);
    const auto up = visit.broker_got<mqtt::Connect>();
    ASSERT_TRUE(up.will);
    EXPECT_EQ(up.will->properties.has(Id::will_delay_interval), on);
  }
}

TEST(LabDoor, PoliciesDecideWhoConnectsAndWithWhichWill) {
  Place place;
  place.access.forbidden = {"iot:Connect client/thief", "iot:Publish topic/gone",
                            "iot:RetainPublish topic/kept"};
  EXPECT_EQ(refusal_of(place, connect_of("thief")), 0x87);
  EXPECT_EQ(place.events().back(), "connect_failed thief");
  mqtt::Connect c = connect_of("a");
  c.will = mqtt::Will{"gone", "x", 1, false, {}};
  EXPECT_EQ(refusal_of(place, c), 0x87);
  c.client_id = "b";
  c.will = mqtt::Will{"kept", "x", 1, true, {}};
  EXPECT_EQ(refusal_of(place, c), 0x87);
  place.clock.at += 2s;
  EXPECT_EQ(refusal_of(place, connect_of("thief", Version::v311)), 5);
  place.clock.at += 2s;
  place.region.switches.connect_denied_code_311 = 0;
  EXPECT_EQ(refusal_of(place, connect_of("thief", Version::v311)), std::nullopt);
}

TEST(LabDoor, OneConnectASecondOfAClientId) {
  Place place;
  {
    Visit visit(place);
    visit.connect(connect_of("pump"));
  }
  EXPECT_EQ(refusal_of(place, connect_of("pump")), 0x97);
  EXPECT_EQ(refusal_of(place, connect_of("pump", Version::v311)), 3);
  place.clock.at += 1s;
  Visit later(place);
  later.connect(connect_of("pump"));
  EXPECT_TRUE(later.door().is_open());
}

TEST(LabDoor, ACustomAuthorizerIsAskedAndItsGrantEnds) {
  Place place;
  Arrival arrival{
      Arrival::By::custom, "", "10.0.0.1", "lab", "?x-amz-customauthorizer-name=A", true};
  Visit visit(place, arrival);
  mqtt::Connect c = connect_of("pump");
  c.username = "name";
  c.password = "token";
  visit.connect(c);
  EXPECT_EQ(place.access.seen_username, "name?x-amz-customauthorizer-name=A");
  EXPECT_EQ(visit.door().who().principal, "someone");
  for (int i = 0; i < 6; ++i) {
    visit.pass(49s);
    visit.device_sends(mqtt::Ping{});
  }
  EXPECT_TRUE(visit.door().is_open());
  visit.pass(49s);
  EXPECT_TRUE(visit.device_closed);
  EXPECT_EQ(place.events().back(), "disconnected CUSTOMAUTH_TTL_EXPIRATION pump");
  c.password = "guess";
  c.client_id = "other";
  Visit guess(place, arrival);
  guess.device_sends(c);
  EXPECT_EQ(guess.device_got<mqtt::Connack>().code, 0x87);
}

TEST(LabDoor, ParametersOfTheUpgradeComeBehindThoseOfTheUserName) {
  Place place;
  Visit visit(place, {Arrival::By::custom, "", "10.0.0.1", "lab", "?token=t", true});
  mqtt::Connect c = connect_of("pump");
  c.username = "?SDK=x";
  c.password = "token";
  visit.connect(c);
  EXPECT_EQ(place.access.seen_username, "?SDK=x&token=t");
}

Arrival signed_arrival(std::int64_t expires_ms) {
  Arrival arrival;
  arrival.by = Arrival::By::sigv4;
  arrival.principal = "AROA1:cert";
  arrival.access_key = "ASIA1";
  arrival.expires = {expires_ms};
  arrival.websocket = true;
  return arrival;
}

TEST(LabDoor, ASignedConnectionIsKnownByItsKeyAndEndsWithIt) {
  Place place;
  Visit visit(place, signed_arrival(place.clock.wall().ms + 40'500));
  visit.connect(connect_of("pump"));
  EXPECT_EQ(visit.door().who().principal, "AROA1:cert");
  EXPECT_EQ(visit.door().who().access_key, "ASIA1");
  visit.pass(40s);
  EXPECT_TRUE(visit.door().is_open());
  visit.pass(1s);
  EXPECT_TRUE(visit.device_closed);
  EXPECT_EQ(place.events().back(), "disconnected WEBSOCKET_TTL_EXPIRATION pump");
}

TEST(LabDoor, ASignedConnectionWithAKeyForGoodEndsByTheSwitch) {
  Place place;
  place.region.switches.websocket_seconds = 20;
  Visit visit(place, signed_arrival(INT64_MAX));
  visit.connect(connect_of("pump"));
  visit.pass(19s);
  EXPECT_TRUE(visit.door().is_open());
  visit.pass(2s);
  EXPECT_EQ(place.events().back(), "disconnected WEBSOCKET_TTL_EXPIRATION pump");
  place.region.switches.websocket_seconds = 0;
  Visit endless(place, signed_arrival(INT64_MAX));
  endless.connect(connect_of("pump"));
  for (int i = 0; i < 100; ++i) {
    endless.pass(49s);
    endless.device_sends(mqtt::Ping{});
  }
  EXPECT_TRUE(endless.door().is_open());
}

TEST(LabDoor, TheYoungerConnectionOfAClientIdWins) {
  Place place;
  Visit older(place);
  older.connect(connect_of("pump"));
  place.clock.at += 2s;
  Visit younger(place);
  younger.connect(connect_of("pump"));
  EXPECT_EQ(place.region.take_woken().count(older.door().who().connection), 1U);
  EXPECT_LE(older.door().wake(), older.now());
  older.wake();
  EXPECT_EQ(older.device_got<mqtt::Disconnect>().reason, 0x8E);
  EXPECT_TRUE(older.device_closed);
  EXPECT_TRUE(younger.door().is_open());
  EXPECT_EQ(place.events().back(), "disconnected DUPLICATE_CLIENTID pump");
}

TEST(LabDoor, ATakeOverThatTheBrokerCarriesOutFirstIsTheSame) {
  Place place;
  Visit older(place);
  older.connect(connect_of("pump"));
  place.clock.at += 2s;
  Visit younger(place);
  younger.device_sends(connect_of("pump"));
  older.closes(mqtt::Side::broker);
  EXPECT_EQ(older.device_got<mqtt::Disconnect>().reason, 0x8E);
  EXPECT_EQ(place.events().back(), "disconnected DUPLICATE_CLIENTID pump");
}

TEST(LabDoor, SilenceOfOneAndAHalfKeepAlivesEndsIt) {
  Place place;
  Visit visit(place);
  visit.connect(connect_of("pump"));
  visit.pass(89s);
  visit.device_sends(mqtt::Ping{});
  EXPECT_EQ(visit.device_got<mqtt::Ping>().type, mqtt::Type::pingresp);
  visit.pass(89s);
  EXPECT_TRUE(visit.door().is_open());
  visit.pass(1s);
  EXPECT_EQ(visit.device_got<mqtt::Disconnect>().reason, 0x8D);
  EXPECT_EQ(place.events().back(), "disconnected MQTT_KEEP_ALIVE_TIMEOUT pump");
  EXPECT_TRUE(visit.to_broker.empty());  // no DISCONNECT: the broker publishes the will
}

TEST(LabDoor, ADisconnectIsHandedOnWithOrWithoutWill) {
  for (const std::uint8_t code : {std::uint8_t{0}, std::uint8_t{4}}) {
    Place place;
    Visit visit(place);
    visit.connect(connect_of("pump"));
    visit.device_sends(mqtt::Disconnect{mqtt::Type::disconnect, code, {}});
    EXPECT_EQ(visit.broker_got<mqtt::Disconnect>().reason, code);
    EXPECT_TRUE(visit.to_device.empty());
    EXPECT_EQ(place.events().back(), "disconnected CLIENT_INITIATED_DISCONNECT pump");
  }
}

TEST(LabDoor, ADisconnectMayEndTheSessionButNotBeginOne) {
  Place place;
  Visit visit(place);
  mqtt::Connect c = connect_of("pump");
  c.properties.set(Id::session_expiry_interval, 60);
  visit.connect(c);
  mqtt::Disconnect d;
  d.properties.set(Id::session_expiry_interval, 0);
  visit.device_sends(d);
  EXPECT_EQ(visit.broker_got<mqtt::Disconnect>().properties.number(Id::session_expiry_interval),
            0U);
  Visit other(place);
  other.connect(connect_of("other"));
  d.properties.set(Id::session_expiry_interval, 60);
  other.device_sends(d);
  EXPECT_EQ(other.device_got<mqtt::Disconnect>().reason, 0x82);
}

TEST(LabDoor, AConnectionThatBreaksIsLost) {
  Place place;
  Visit visit(place);
  visit.connect(connect_of("pump"));
  visit.closes(mqtt::Side::device);
  EXPECT_TRUE(visit.broker_closed);
  EXPECT_EQ(place.events().back(), "disconnected CONNECTION_LOST pump");
  Visit dropped(place);
  dropped.connect(connect_of("dropped"));
  dropped.drop();
  EXPECT_EQ(place.events().back(), "disconnected CONNECTION_LOST dropped");
}

TEST(LabDoor, ABrokerThatDiesIsAServerError) {
  Place place;
  Visit visit(place);
  visit.connect(connect_of("pump"));
  visit.closes(mqtt::Side::broker);
  EXPECT_EQ(visit.device_got<mqtt::Disconnect>().reason, 0x80);
  EXPECT_EQ(place.events().back(), "disconnected SERVER_ERROR pump");
}

TEST(LabDoor, DeleteConnectionEndsItAsAsked) {
  Place place;
  Visit visit(place);
  mqtt::Connect c = connect_of("pump");
  c.properties.set(Id::session_expiry_interval, 60);
  visit.connect(c);
  const auto done = place.region.call(
      "DeleteConnection",
      {{"clientId", "pump"}, {"cleanSession", true}, {"preventWillMessage", true}});
  EXPECT_TRUE(std::holds_alternative<Json>(done));
  visit.wake();
  const auto goodbye = visit.broker_got<mqtt::Disconnect>();
  EXPECT_EQ(goodbye.reason, 0);
  EXPECT_EQ(goodbye.properties.number(Id::session_expiry_interval), 0U);
  EXPECT_EQ(visit.device_got<mqtt::Disconnect>().reason, 0x98);
  EXPECT_EQ(place.events().back(), "disconnected API_INITIATED_DISCONNECT pump");
  const auto gone = place.region.call("DeleteConnection", {{"clientId", "nobody"}});
  EXPECT_EQ(std::get<ApiError>(gone).type, "ResourceNotFoundException");
}

TEST(LabDoor, DeleteConnectionForgetsASessionThoughTheDeviceLeavesFirst) {
  Place place;
  Visit visit(place);
  mqtt::Connect c = connect_of("pump");
  c.properties.set(Id::session_expiry_interval, 60);
  visit.connect(c);
  static_cast<void>(
      place.region.call("DeleteConnection", {{"clientId", "pump"}, {"cleanSession", true}}));
  visit.closes(mqtt::Side::device);
  EXPECT_EQ(visit.broker_got<mqtt::Disconnect>().properties.number(Id::session_expiry_interval),
            0U);
}

TEST(LabDoor, WhatIsNoMqttEndsIt) {
  Place place;
  {
    Visit visit(place);
    visit.device_sends(mqtt::Ping{});
    EXPECT_TRUE(visit.device_closed);
    EXPECT_TRUE(visit.to_device.empty());
  }
  Visit visit(place);
  visit.connect(connect_of("pump"));
  visit.device_sends(connect_of("pump"));
  EXPECT_EQ(visit.device_got<mqtt::Disconnect>().reason, 0x82);
  EXPECT_EQ(place.events().back(), "disconnected CLIENT_ERROR pump");
  Visit malformed(place);
  malformed.connect(connect_of("other"));
  malformed.device_sends_bytes(std::string("\x36\x05\x00\x01t\x00\x01", 7));
  EXPECT_EQ(malformed.device_got<mqtt::Disconnect>().reason, 0x81);
}

TEST(LabDoor, NobodyWaitsForACONNECTForEver) {
  Place place;
  Visit visit(place);
  visit.pass(29s);
  EXPECT_FALSE(visit.device_closed);
  visit.pass(1s);
  EXPECT_TRUE(visit.device_closed);
}

TEST(LabDoor, APacketBeforeConnackEndsIt) {
  Place place;
  Visit visit(place);
  visit.device_sends(connect_of("pump"));
  visit.device_sends(publish_of("a", 0));
  EXPECT_TRUE(visit.device_closed);
}

}  // namespace
}  // namespace holdfast::lab::iot
