// Lifecycle events: their fields, and the version numbers that order them.
#include "lab/iot/lifecycle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace holdfast::lab::iot {
namespace {

using std::chrono::seconds;

constexpr WallTime kNow{1'573'002'230'757};
constexpr std::int64_t kHour = 3'600'000;

LifecycleClient client(const std::string& thing = "") {
  return {"186b5", thing, "cafe", "00000000-0000-0000-0000-000000000000", "192.0.2.0", 0};
}

/// The only message: "TOPIC PAYLOAD".
std::string only(const Answers& out) {
  EXPECT_EQ(out.all.size(), 1U);
  if (out.all.empty()) return "nothing";
  EXPECT_EQ(out.all[0].to, Answer::To::broker);
  return out.all[0].topic + ' ' + out.all[0].payload;
}

/// The version of a connection that begins now.
std::int64_t connect(Lifecycle& lifecycle, std::int64_t ms) {
  LifecycleClient one = client();
  Answers out;
  lifecycle.connected({ms}, one, out);
  return one.version;
}

void disconnect(Lifecycle& lifecycle, std::int64_t ms, std::int64_t version,
                seconds expiry = seconds(0)) {
  LifecycleClient one = client();
  one.version = version;
  Answers out;
  lifecycle.disconnected({ms}, one, DisconnectReason::connection_lost, expiry, out);
}

TEST(LabLifecycle, SaysThatAClientHasConnected) {
  Lifecycle lifecycle;
  LifecycleClient one = client("exampleThing");
  Answers out;
  lifecycle.connected(kNow, one, out);
  EXPECT_EQ(only(out),
            R"($aws/events/presence/connected/186b5 {"clientId":"186b5",)"
            R"("thingName":"exampleThing","timestamp":1573002230757,"eventType":"connected",)"
            R"("sessionIdentifier":"00000000-0000-0000-0000-000000000000",)"
            R"("principalIdentifier":"cafe","ipAddress":"192.0.2.0","versionNumber":0})");
}

TEST(LabLifecycle, SaysWhyAClientIsGone) {
  Lifecycle lifecycle;
  LifecycleClient one = client();
  Answers out;
  lifecycle.connected(kNow, one, out);
  out.all.clear();
  lifecycle.disconnected(kNow, one, DisconnectReason::client_initiated_disconnect, seconds(0), out);
  EXPECT_EQ(only(out), R"($aws/events/presence/disconnected/186b5 {"clientId":"186b5",)"
                       R"("timestamp":1573002230757,"eventType":"disconnected",)"
                       R"("sessionIdentifier":"00000000-0000-0000-0000-000000000000",)"
                       R"("principalIdentifier":"cafe","clientInitiatedDisconnect":true,)"
                       R"("disconnectReason":"CLIENT_INITIATED_DISCONNECT","versionNumber":0})");
  out.all.clear();
  lifecycle.disconnected(kNow, one, DisconnectReason::mqtt_keep_alive_timeout, seconds(0), out);
  EXPECT_THAT(only(out), testing::HasSubstr(R"("clientInitiatedDisconnect":false,)"
                                            R"("disconnectReason":"MQTT_KEEP_ALIVE_TIMEOUT")"));
  EXPECT_EQ(to_string(DisconnectReason::customauth_ttl_expiration), "CUSTOMAUTH_TTL_EXPIRATION");
}

TEST(LabLifecycle, SaysThatAClientWasNotLetIn) {
  Answers out;
  Lifecycle::connect_failed(kNow, client(), out);
  EXPECT_EQ(only(out), R"($aws/events/presence/connect_failed/186b5 {"clientId":"186b5",)"
                       R"("timestamp":1573002230757,"eventType":"connect_failed",)"
                       R"("connectFailureReason":"AUTHORIZATION_FAILED",)"
                       R"("sessionIdentifier":"00000000-0000-0000-0000-000000000000",)"
                       R"("principalIdentifier":"cafe","ipAddress":"192.0.2.0"})");
}

TEST(LabLifecycle, SaysWhatAClientSubscribesTo) {
  Answers out;
  Lifecycle::subscribed(kNow, client(), {"foo/bar", "a/+"}, out);
  EXPECT_EQ(only(out), R"($aws/events/subscriptions/subscribed/186b5 {"clientId":"186b5",)"
                       R"("timestamp":1573002230757,"eventType":"subscribed",)"
                       R"("sessionIdentifier":"00000000-0000-0000-0000-000000000000",)"
                       R"("principalIdentifier":"cafe","topics":["foo/bar","a/+"]})");
  out.all.clear();
  Lifecycle::unsubscribed(kNow, client("t"), {"a/+"}, out);
  EXPECT_THAT(only(out), testing::HasSubstr(R"(/unsubscribed/186b5 {"clientId":"186b5",)"
                                            R"("thingName":"t")"));
}

TEST(LabLifecycle, SaysNothingOfIdsWithWildcards) {
  Lifecycle lifecycle;
  Answers out;
  for (const char* id : {"a+b", "#"}) {
    LifecycleClient one = client();
    one.client_id = id;
    lifecycle.connected(kNow, one, out);
    lifecycle.disconnected(kNow, one, DisconnectReason::client_error, seconds(0), out);
    Lifecycle::connect_failed(kNow, one, out);
    Lifecycle::subscribed(kNow, one, {"a"}, out);
  }
  EXPECT_EQ(out.all.size(), 0U);
}

TEST(LabLifecycle, EachConnectionHasTheNextNumber) {
  Lifecycle lifecycle;
  EXPECT_EQ(connect(lifecycle, 0), 0);
  disconnect(lifecycle, 10, 0);
  EXPECT_EQ(connect(lifecycle, 20), 1);
  EXPECT_EQ(connect(lifecycle, 30), 2);  // takes over
  disconnect(lifecycle, 31, 1);          // that one is of the older connection
  EXPECT_EQ(connect(lifecycle, 31 + 2 * kHour), 3);
}

TEST(LabLifecycle, AfterAnHourAwayNumbersBeginAnew) {
  Lifecycle lifecycle;
  connect(lifecycle, 0);
  disconnect(lifecycle, 10, 0);
  EXPECT_EQ(connect(lifecycle, 10 + kHour), 1);
  disconnect(lifecycle, 20 + kHour, 1);
  EXPECT_EQ(connect(lifecycle, 21 + 2 * kHour), 0);
}

TEST(LabLifecycle, APersistentSessionKeepsTheNumbersUntilItExpires) {
  Lifecycle lifecycle;
  connect(lifecycle, 0);
  disconnect(lifecycle, 10, 0, seconds(7'200));
  EXPECT_EQ(connect(lifecycle, 10 + 2 * kHour), 1);
  disconnect(lifecycle, 20 + 2 * kHour, 1, seconds(60));
  EXPECT_EQ(connect(lifecycle, 20 + 2 * kHour + 60'001), 0);
}

TEST(LabLifecycle, ForgetsClientsThatNeverComeBack) {
  Lifecycle lifecycle;
  connect(lifecycle, 0);
  disconnect(lifecycle, 10, 0);
  LifecycleClient other = client();
  other.client_id = "other";
  Answers out;
  lifecycle.connected({3 * kHour}, other, out);
  EXPECT_EQ(dump(lifecycle.save()), R"({"clients":{"other":{"version":0}}})");
}

TEST(LabLifecycle, HasNeitherTopicsNorOperations) {
  Lifecycle lifecycle;
  EXPECT_EQ(lifecycle.claims("$aws/events/presence/connected/a"), Claim::none);
  EXPECT_FALSE(lifecycle.has_operation("GetConnection"));
}

TEST(LabLifecycle, StateComesBackAsItWas) {
  Lifecycle lifecycle;
  connect(lifecycle, 0);
  connect(lifecycle, 10);
  disconnect(lifecycle, 20, 1);
  Lifecycle again;
  const Status loaded = again.load(lifecycle.save());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(dump(again.save()), dump(lifecycle.save()));
  EXPECT_EQ(connect(again, 30), 2);
}

TEST(LabLifecycle, BrokenStateIsRefusedByName) {
  Lifecycle lifecycle;
  const auto complaint = [&](const std::string& text) {
    const Status loaded = lifecycle.load(*parse_json(text));
    return loaded ? std::string("none") : loaded.error().message;
  };
  EXPECT_EQ(complaint("[]"), "input must be an object");
  EXPECT_EQ(complaint("{}"), "clients is missing");
  EXPECT_EQ(complaint(R"({"clients":{"a":{"version":-1}}})"),
            "clients.a.version must not be negative");
  EXPECT_EQ(complaint(R"({"clients":{"a":{"version":1,"forgotten":"x"}}})"),
            "clients.a.forgotten must be a whole number");
  EXPECT_EQ(complaint(R"({"clients":{},"more":1})"), "more is no member here");
}

}  // namespace
}  // namespace holdfast::lab::iot
