// Control packets: what is written is read back, and what is wrong is refused with its place.
#include "lab/mqtt/packet.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "lab/mqtt/wire.h"

namespace holdfast::lab::mqtt {
namespace {

using namespace std::string_literals;
using Id = PropertyId;

Connect full_connect() {
  Connect c;
  c.clean_start = false;
  c.keep_alive = 30;
  c.client_id = "pump-17";
  c.username = "name";
  c.password = "\x00\xff"s;
  c.properties.set(Id::session_expiry_interval, 3600);
  c.properties.set(Id::receive_maximum, 100);
  c.properties.add_user("a", "1");
  c.properties.add_user("a", "2");
  Will& will = c.will.emplace();
  will.topic = "pumps/17/gone";
  will.payload = "bye";
  will.qos = 1;
  will.retain = true;
  will.properties.set(Id::will_delay_interval, 5);
  return c;
}

Publish full_publish() {
  Publish p;
  p.topic = "a/b";
  p.payload = std::string(300, 'x');
  p.qos = 1;
  p.packet_id = 7;
  p.dup = p.retain = true;
  p.properties.set(Id::topic_alias, 3);
  p.properties.set(Id::content_type, "text/plain");
  p.properties.set(Id::correlation_data, "\x01\x00"s);
  p.properties.set(Id::payload_format_indicator, 1);
  return p;
}

/// One of each, with all that it can carry.
std::vector<Packet> all_packets() {
  Connack connack{true, 0x87, {}};
  connack.properties.set(Id::server_keep_alive, 1200);
  connack.properties.set(Id::maximum_packet_size, 149'504);
  connack.properties.set(Id::maximum_qos, 1);
  Ack failed{Type::puback, 9, 0x97, {}};
  failed.properties.set(Id::reason_string, "too many");
  Subscribe subscribe{8, {{"a/+", 1}, {"b/#", 0x2C}}, {}};
  subscribe.properties.set(Id::subscription_identifier, 200'000);
  Disconnect away{Type::disconnect, 0x8E, {}};
  away.properties.set(Id::reason_string, "taken over");
  return {full_connect(),
          connack,
          full_publish(),
          Ack{Type::puback, 1, 0, {}},
          failed,
          Ack{Type::pubrec, 2, 0, {}},
          Ack{Type::pubrel, 3, 0x92, {}},
          Ack{Type::pubcomp, 4, 0, {}},
          subscribe,
          Suback{Type::suback, 8, {1, 0x87}, {}},
          Unsubscribe{10, {"a/+", "b/#"}, {}},
          Suback{Type::unsuback, 10, {0, 0x11}, {}},
          Ping{Type::pingreq},
          Ping{Type::pingresp},
          Disconnect{},
          away,
          Disconnect{Type::auth, 0x18, {}}};
}

TEST(LabPacket, EveryPacketOfMqtt5ComesBackAsItWas) {
  for (const Packet& packet : all_packets()) {
    const std::string frame = encode(Version::v5, packet);
    const auto back = decode(Version::v5, frame);
    ASSERT_TRUE(back) << to_string(type_of(packet)) << ": " << back.error().message;
    EXPECT_TRUE(*back == packet) << to_string(type_of(packet));
  }
}

TEST(LabPacket, EveryPacketOfMqtt311ComesBackAsItWas) {
  Connect connect = full_connect();
  connect.version = Version::v311;
  connect.properties = connect.will->properties = {};
  Publish publish = full_publish();
  publish.properties = {};
  const std::vector<Packet> packets = {connect,
                                       Connack{true, 5, {}},
                                       publish,
                                       Ack{Type::puback, 1, 0, {}},
                                       Subscribe{8, {{"a/+", 1}, {"b", 2}}, {}},
                                       Suback{Type::suback, 8, {1, 0x80}, {}},
                                       Unsubscribe{10, {"a/+"}, {}},
                                       Suback{Type::unsuback, 10, {}, {}},
                                       Ping{Type::pingreq},
                                       Disconnect{}};
  for (const Packet& packet : packets) {
    const auto back = decode(Version::v311, encode(Version::v311, packet));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(*back == packet) << to_string(type_of(packet));
  }
}

TEST(LabPacket, KnowsTheBytesOfTheSpecification) {
  // MQTT 3.1.1, figure 3.6 and the examples after it: name, level 4, clean session, keep-alive 10.
  const std::string frame = "\x10\x0f\x00\x04MQTT\x04\x02\x00\x0a\x00\x03"s + "abc";
  const auto packet = decode(Version::v5, frame);
  ASSERT_TRUE(packet) << packet.error().message;
  const auto& connect = std::get<Connect>(*packet);
  EXPECT_EQ(connect.version, Version::v311);
  EXPECT_EQ(connect.keep_alive, 10);
  EXPECT_EQ(connect.client_id, "abc");
  EXPECT_EQ(encode(Version::v311, connect), frame);
  EXPECT_EQ(encode(Version::v5, Disconnect{}), "\xe0\x00"s);
  EXPECT_EQ(encode(Version::v5, Ack{Type::puback, 258, 0, {}}), "\x40\x02\x01\x02"s);
}

/// What is said of a frame that is wrong.
std::string complaint(std::string_view frame, Version version = Version::v5) {
  const auto packet = decode(version, frame);
  return packet ? "nothing" : packet.error().message;
}

TEST(LabPacket, RefusesWhatMqttForbidsAndSaysWhere) {
  EXPECT_EQ(complaint("\x30\x05\x00\x01"s), "a frame of another length than it says");
  EXPECT_EQ(complaint("\x36\x05\x00\x01t\x00\x01"s), "PUBLISH has QoS 3, at byte 0");
  EXPECT_EQ(complaint("\x32\x05\x00\x01t\x00\x00"s, Version::v311),
            "PUBLISH has packet id 0, at byte 5");
  EXPECT_EQ(complaint("\x30\x04\x00\x01+\x00"s), "PUBLISH has a wildcard in its topic, at byte 4");
  EXPECT_EQ(complaint("\x30\x03\x00\x00\x00"s),
            "PUBLISH has neither topic nor topic alias, at byte 3");
  EXPECT_EQ(complaint("\x40\x01\x00"s), "PUBACK ends too early, at byte 0");
  EXPECT_EQ(complaint("\x41\x02\x00\x01"s), "PUBACK has wrong flags in its first byte, at byte 0");
  EXPECT_EQ(complaint("\xc0\x01\x00"s), "PINGREQ has bytes after its end, at byte 0");
  EXPECT_EQ(complaint("\x82\x06\x00\x01\x00\x00\x00\x00"s),
            "SUBSCRIBE has an empty filter, at byte 6");
  EXPECT_EQ(complaint("\x82\x03\x00\x01\x00"s), "SUBSCRIBE ends too early, at byte 3");
  EXPECT_EQ(complaint("\xf0\x00"s, Version::v311), "AUTH does not exist in MQTT 3.1.1, at byte 0");
  EXPECT_EQ(complaint("\x30\x04\x00\x01\xff\x00"s),
            "PUBLISH has a topic that is no UTF-8 string, at byte 3");
}

// Found by lab_mqtt_fuzz: the code was read, and lost when the packet was written again.
TEST(LabPacket, AnUnsubackOf311HasNoCodes) {
  EXPECT_EQ(complaint("\xb0\x03\x00\x10\xf7"s, Version::v311),
            "UNSUBACK has bytes after its end, at byte 2");
  EXPECT_EQ(complaint("\xb0\x02\x00\x10"s, Version::v311), "nothing");
  EXPECT_EQ(complaint("\xb0\x03\x00\x10\x00"s), "UNSUBACK has no codes, at byte 3");
}

TEST(LabPacket, RefusesPropertiesOutOfPlace) {
  const auto publish_with = [](std::string_view properties) {
    std::string frame = "\x30"s;
    put_variable(frame, static_cast<std::uint32_t>(4 + properties.size()));
    put_binary(frame, "t");
    put_variable(frame, static_cast<std::uint32_t>(properties.size()));
    return complaint(frame += properties);
  };
  EXPECT_EQ(publish_with("\x7f\x00"s), "PUBLISH has an unknown property, at byte 6");
  EXPECT_EQ(publish_with("\x21\x00\x05"s),
            "PUBLISH may not have the property receive_maximum, at byte 7");
  EXPECT_EQ(publish_with("\x01\x01\x01\x01"s),
            "PUBLISH has the property payload_format_indicator twice, at byte 8");
  EXPECT_EQ(publish_with("\x01\x02"s), "PUBLISH has a property that is neither 0 nor 1, at byte 6");
  EXPECT_EQ(publish_with("\x02\x00"s), "PUBLISH has properties that end too early, at byte 6");
}

TEST(LabPacket, NamesAreThoseOfTheSpecification) {
  EXPECT_EQ(to_string(Type::pingresp), "PINGRESP");
  EXPECT_EQ(type_named("pubAck"), Type::puback);
  EXPECT_EQ(type_named("PUBACKS"), std::nullopt);
  EXPECT_EQ(to_string(Id::server_keep_alive), "server_keep_alive");
  EXPECT_EQ(property_named("topic_alias_maximum"), Id::topic_alias_maximum);
  EXPECT_EQ(property_named("nonsense"), std::nullopt);
}

TEST(LabFramer, CutsAStreamHoweverItArrives) {
  std::string stream;
  for (const Packet& packet : all_packets()) stream += encode(Version::v5, packet);
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, stream.size()}) {
    Framer framer;
    std::string joined;
    std::size_t frames = 0;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      framer.feed(std::string_view(stream).substr(at, step));
      for (;;) {
        const auto frame = framer.next();
        ASSERT_TRUE(frame);
        if (!*frame) break;
        joined += **frame;
        ++frames;
      }
    }
    EXPECT_EQ(joined, stream) << step;
    EXPECT_EQ(frames, all_packets().size());
    EXPECT_EQ(framer.rest(), "");
  }
}

TEST(LabFramer, RefusesWhatCanNeverBeAFrame) {
  Framer long_length;
  long_length.feed("\x30\xff\xff\xff\xff\x01"s);
  EXPECT_EQ(long_length.next().error().code, Errc::corrupt);
  Framer type_zero;
  type_zero.feed("\x00\x00"s);
  EXPECT_EQ(type_zero.next().error().code, Errc::corrupt);
  Framer small(100);
  small.feed("\x30\x64"s);
  EXPECT_EQ(small.next().error().code, Errc::too_large);
}

}  // namespace
}  // namespace holdfast::lab::mqtt
