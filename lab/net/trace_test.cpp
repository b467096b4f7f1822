// Goal:   the trace says what a judge needs, on one line each, and never a secret.
// Method: packets made here, and a trace to a file.
#include "lab/net/trace.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "lab/net/describe.h"
#include "lab/net/test_net.h"

namespace holdfast::lab::net {
namespace {

using namespace std::string_literals;
using Id = mqtt::PropertyId;

class TraceTest : public NetTest {};

TEST_F(TraceTest, AppendsLinesWithBothTimes) {
  const std::string path = write_file("trace", "before\n");
  ASSERT_TRUE(trace.open(path).ok());
  trace.event("start", 0);
  trace.event("accept", 4, {{"peer", "x"}});
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  EXPECT_EQ(line, "before");
  std::getline(in, line);
  const Json start = Json::parse(line);
  EXPECT_EQ(start["ev"], "start");
  EXPECT_FALSE(start.contains("conn"));
  EXPECT_GE(start["t"], 0.0);
  EXPECT_LT(start["t"], 10.0);
  const std::string wall = start["wall"];
  EXPECT_EQ(wall.size(), "2026-01-01T00:00:00.000Z"s.size());
  EXPECT_EQ(wall.back(), 'Z');
  std::getline(in, line);
  EXPECT_EQ(Json::parse(line)["conn"], 4);
  EXPECT_FALSE(trace.failed());
}

TEST_F(TraceTest, AFileThatCannotBeWrittenIsToldAndTheTraceGoesOn) {
  EXPECT_FALSE(trace.open(write_file("x", "") + "/below").ok());
  ASSERT_TRUE(trace.open("/dev/full").ok());
  trace.event("lost", 0);
  EXPECT_TRUE(trace.failed());
  EXPECT_EQ(events_named("lost").size(), 1U);
}

TEST_F(TraceTest, BytesThatAreNoTextDoNotBreakALine) {
  trace.event("odd", 0, {{"words", "\xff\xfe\n"}});
  EXPECT_EQ(events_named("odd").at(0)["words"], "\xef\xbf\xbd\xef\xbf\xbd\n");
}

TEST(Describe, AConnectWithoutItsSecrets) {
  mqtt::Connect connect;
  connect.client_id = "pump";
  connect.keep_alive = 30;
  connect.clean_start = false;
  connect.username = "user?x-amz-customauthorizer-signature=geheim";
  connect.password = "geheim";
  connect.will = mqtt::Will{"gone", "geheim", 1, true, {}};
  connect.properties.set(Id::session_expiry_interval, 60);
  connect.properties.set(Id::authentication_data, "geheim");
  const Json out = describe(connect);
  EXPECT_EQ(out["client"], "pump");
  EXPECT_EQ(out["version"], 5);
  EXPECT_EQ(out["clean"], false);
  EXPECT_EQ(out["keep_alive"], 30);
  EXPECT_EQ(out["username"], "user?…");
  EXPECT_EQ(out["password_size"], 6);
  EXPECT_EQ(out["will"]["topic"], "gone");
  EXPECT_EQ(out["properties"]["session_expiry_interval"], 60);
  EXPECT_EQ(out.dump().find("geheim"), std::string::npos);
}

TEST(Describe, APublishWithTheBeginningOfItsPayload) {
  mqtt::Publish publish;
  publish.topic = "a/b";
  publish.qos = 1;
  publish.packet_id = 9;
  publish.dup = true;
  publish.payload = std::string(100, 'p');
  publish.properties.add_user("k", "v");
  Json out = describe(publish);
  EXPECT_EQ(out["type"], "PUBLISH");
  EXPECT_EQ(out["id"], 9);
  EXPECT_EQ(out["dup"], true);
  EXPECT_EQ(out["size"], 100);
  EXPECT_EQ(out["payload"], std::string(kShownPayload, 'p'));
  EXPECT_EQ(out["properties"]["user_property"].dump(), R"([["k","v"]])");
  publish.payload = "\x00\xff"s;
  publish.qos = 0;
  publish.packet_id = 0;
  out = describe(publish);
  EXPECT_EQ(out["payload_hex"], "00ff");
  EXPECT_FALSE(out.contains("payload"));
  EXPECT_FALSE(out.contains("id"));
}

TEST(Describe, WhatServersAnswer) {
  EXPECT_EQ(describe(mqtt::Connack{true, 0x87, {}}).dump(),
            R"({"type":"CONNACK","session_present":true,"reason":135})");
  EXPECT_EQ(describe(mqtt::Ack{mqtt::Type::puback, 3, 16, {}}).dump(),
            R"({"type":"PUBACK","id":3,"reason":16})");
  EXPECT_EQ(describe(mqtt::Suback{mqtt::Type::suback, 4, {1, 0x80}, {}}).dump(),
            R"({"type":"SUBACK","id":4,"reasons":[1,128]})");
  EXPECT_EQ(describe(mqtt::Subscribe{5, {{"a/#", 1}}, {}}).dump(),
            R"({"type":"SUBSCRIBE","id":5,"filters":[{"filter":"a/#","qos":1,"options":1}]})");
  EXPECT_EQ(describe(mqtt::Version::v5, "\xc0\x00"s).dump(), R"({"type":"PINGREQ","bytes":2})");
}

TEST(Describe, SaysThatAFrameIsMalformed) {
  const Json out = describe(mqtt::Version::v5, "\xc0\x01x"s);
  EXPECT_TRUE(out.contains("malformed"));
  EXPECT_EQ(out["bytes"], 3);
}

}  // namespace
}  // namespace holdfast::lab::net
