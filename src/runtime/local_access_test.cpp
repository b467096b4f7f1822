// Goal:   a program does what its section allows and nothing else; what is missing is named.
// Method: requests as they come from the wire, peers with users and groups of the test's own.
#include "runtime/local_access.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "runtime/config_file.h"

namespace holdfast::runtime {
namespace {

constexpr uid_t kUser = 4711;
constexpr gid_t kGroup = 4712;

LocalRequest request(const std::string& line) {
  auto parsed = parse_request(line);
  const auto* refusal = std::get_if<LocalRefusal>(&parsed);
  EXPECT_EQ(refusal, nullptr) << (refusal == nullptr ? "" : refusal->error);
  return refusal == nullptr ? std::get<LocalRequest>(std::move(parsed)) : LocalRequest{};
}

ClientRules sensor() {
  ClientRules rules;
  rules.user = std::to_string(kUser);
  rules.publish = {"plant/+/rpm", "plant/alarm/#"};
  rules.subscribe = {"plant/command/#"};
  rules.lanes = {"normal"};
  return rules;
}

Peer peer(uid_t user, std::vector<gid_t> groups = {1}) {
  Peer peer;
  peer.user = user;
  peer.groups = std::move(groups);
  peer.allowed = true;
  return peer;
}

/// The words of a refusal; empty: allowed.
std::string refused(Grant& grant, const std::string& line, BootTime now = BootTime{}) {
  const Status status = grant.allows(request(line), now);
  if (status) return "";
  EXPECT_EQ(status.error().code, Errc::permission) << line;
  return status.error().message;
}

constexpr const char* kBasics =
    "[connection]\nhost = \"h\"\nclient_id = \"c\"\n[outbox]\ndirectory = \"d\"\n";

void expect_problem(const std::string& text, const std::string& line) {
  const auto problems = parse_config(text, "/etc/h.toml", {}).problems;
  ASSERT_EQ(problems.size(), 1U) << text;
  EXPECT_EQ(problems[0].message, line);
}

TEST(LocalAccess, SectionsArriveFromTheFile) {
  const ConfigReport report = parse_config(std::string(kBasics) + R"([local]
socket = "/run/x"
[client.sensors]
user = "sensors"
publish = ["plant/+/rpm", "plant/alarm/#"]
subscribe = ["plant/command"]
lanes = ["normal"]
messages_per_second = 20
[client.crew]
group = "0"
control = true
)",
                                           "/f", {});
  ASSERT_TRUE(report.problems.empty()) << report.problems[0].message;
  const Config& config = report.config;
  ASSERT_EQ(config.client_rules.size(), 2U);
  ClientRules sensors;
  sensors.user = "sensors";
  sensors.publish = {"plant/+/rpm", "plant/alarm/#"};
  sensors.subscribe = {"plant/command"};
  sensors.lanes = {"normal"};
  sensors.messages_per_second = 20;
  EXPECT_EQ(config.client_rules.at("sensors"), sensors);
  EXPECT_TRUE(config.client_rules.at("crew").control);
}

TEST(LocalAccess, WhatIsWrongWithSectionsIsNamed) {
  const std::string local = std::string(kBasics) + "[local]\nsocket = \"/run/x\"\n[client.a]\n";
  const std::string none = "says not whom it is for; give either user or group";
  expect_problem(local + "control = true\n", "/etc/h.toml:8: client.a: " + none);
  expect_problem(local + "user = \"u\"\ngroup = \"g\"\n", "/etc/h.toml:8: client.a: " + none);
  expect_problem(local + "user = \"u\"\npublish = [\"a/#/b\"]\n",
                 "/etc/h.toml:10: client.a.publish: has \"a/#/b\": '#' is only allowed as a "
                 "filter's last level");
  expect_problem(local + "user = \"u\"\nlanes = [\"fast\"]\n",
                 "/etc/h.toml:10: client.a.lanes: has \"fast\", which is not in flow.lanes");
  expect_problem(
      local + "user = \"u\"\ntopics = []\n",
      "/etc/h.toml:10: client.a.topics: is not a known key; a client has user, group, publish, "
      "subscribe, lanes, heartbeats, messages_per_second and control");
  expect_problem(std::string(kBasics) + "[client.a]\nuser = \"u\"\n",
                 "/etc/h.toml: local.socket: is missing; [client.NAME] is about who may use it");
}

TEST(LocalAccess, PublishesWithinItsTopicsAndLanes) {
  Grant grant("sensor", sensor());
  EXPECT_EQ(refused(grant, R"({"op":"publish","topic":"plant/7/rpm"})"), "");
  EXPECT_EQ(refused(grant, R"({"op":"request","topic":"plant/alarm/7/x"})"), "");
  EXPECT_EQ(refused(grant, R"({"op":"publish","topic":"plant/7/off"})"),
            "permission denied: [client.sensor] does not allow to publish to \"plant/7/off\"");
  EXPECT_NE(refused(grant, R"({"op":"request","topic":"other"})"), "");
  EXPECT_EQ(refused(grant, R"({"op":"publish","topic":"plant/7/rpm","lane":"urgent"})"),
            "permission denied: [client.sensor] does not allow the lane \"urgent\"");
}

TEST(LocalAccess, SubscribesWithinItsFilters) {
  Grant grant("sensor", sensor());
  EXPECT_EQ(refused(grant, R"({"op":"subscribe","filter":"plant/command/+"})"), "");
  EXPECT_EQ(refused(grant, R"({"op":"subscribe","filter":"plant/#"})"),
            "permission denied: [client.sensor] does not allow to subscribe to \"plant/#\"");
  Grant mute("mute", ClientRules{});
  EXPECT_NE(refused(mute, R"({"op":"subscribe","filter":"a"})"), "") << "nothing unless given";
  EXPECT_NE(refused(mute, R"({"op":"publish","topic":"a"})"), "");
}

TEST(LocalAccess, SeesTheStateButOnlyControlSeesMoreOrChangesIt) {
  ClientRules rules = sensor();
  Grant plain("plain", rules);
  rules.control = true;
  Grant control("control", rules);
  for (const char* line :
       {R"({"op":"status"})", R"({"op":"events"})", R"({"op":"ping"})", R"({"op":"outbox_stat"})",
        R"({"op":"history"})", R"({"op":"receipt","message_id":7})",
        R"({"op":"unsubscribe","subscription":1})", R"({"op":"acknowledge","deliveries":[1]})"}) {
    EXPECT_EQ(refused(plain, line), "") << line;
  }
  for (const char* line :
       {R"({"op":"reconnect"})", R"({"op":"outbox_list"})", R"({"op":"page"})",
        R"({"op":"outbox_message","message_id":7})", R"({"op":"subscribe_unmatched"})"}) {
    EXPECT_EQ(refused(plain, line),
              "permission denied: [client.plain] does not allow that; it takes control = true")
        << line;
    EXPECT_EQ(refused(control, line), "") << line;
  }
}

TEST(Config, HeartbeatSectionsAreReadAndChecked) {
  const std::string head = std::string(kBasics) + "[heartbeat.pump]\n";
  const auto report = parse_config(head + "every = \"30s\"\nwatchdog = true\n", "/etc/h.toml", {});
  ASSERT_TRUE(report.problems.empty()) << report.problems[0].message;
  EXPECT_EQ(report.config.heartbeats.at("pump"), (HeartbeatRules{Milliseconds(30'000), true}));
  expect_problem(head + "watchdog = true\n",
                 "/etc/h.toml:6: heartbeat.pump.every: is 0s; give a duration such as \"30s\", "
                 "100ms to 24h");
  expect_problem(head + "every = \"1s\"\nwatch = true\n",
                 "/etc/h.toml:8: heartbeat.pump.watch: is not a known key; a heartbeat has every "
                 "and watchdog");
  expect_problem(std::string(kBasics) + "[heartbeat.\"a b\"]\nevery = \"1s\"\n",
                 "/etc/h.toml:6: \"heartbeat.a b\": is no name of a heartbeat; give 1 to 64 "
                 "letters, digits and . _ : @ -");
}

TEST(LocalAccess, HeartbeatsAreThoseThatAreNamed) {
  ClientRules rules = sensor();
  rules.heartbeats = {"pump"};
  Grant grant("sensor", rules);
  EXPECT_EQ(refused(grant, R"({"op":"heartbeat","name":"pump","every_ms":1000})"), "");
  EXPECT_EQ(refused(grant, R"({"op":"heartbeat_end","name":"pump"})"), "");
  for (const char* line : {R"({"op":"heartbeat","name":"pump2","every_ms":1000})",
                           R"({"op":"heartbeat_end","name":"pump2"})"}) {
    EXPECT_EQ(refused(grant, line),
              "permission denied: [client.sensor] does not allow the heartbeat \"pump2\"");
  }
}

TEST(LocalAccess, ARateIsSharedByAllOfASectionAndAskedAgainLater) {
  ClientRules rules = sensor();
  rules.messages_per_second = 10;
  const auto access = LocalAccess::make({{"sensor", rules}});
  ASSERT_TRUE(access);
  const auto first = access->grant_of(peer(kUser));
  const auto second = access->grant_of(peer(kUser));
  ASSERT_TRUE(first && second);
  const LocalRequest publish = request(R"({"op":"publish","topic":"plant/7/rpm"})");
  const BootTime start{std::chrono::seconds(100)};
  int taken = 0;
  for (int ms = 0; ms < 10'000; ms += 10) {
    const BootTime now = start + std::chrono::milliseconds(ms);
    for (const auto& grant : {*first, *second}) {
      const Status status = grant->allows(publish, now);
      if (status) {
        ++taken;
      } else {
        ASSERT_EQ(status.error().code, Errc::full);
        ASSERT_EQ(status.error().message, "[client.sensor] allows 10 messages a second");
      }
    }
  }
  EXPECT_GE(taken, 100);
  EXPECT_LE(taken, 102);
}

TEST(LocalAccess, AUsersSectionGoesBeforeThoseOfItsGroups) {
  ClientRules of_group;
  of_group.group = std::to_string(kGroup);
  const auto access = LocalAccess::make({{"a-group", of_group}, {"sensor", sensor()}});
  ASSERT_TRUE(access);
  const auto publishes = [&](const Peer& who) {
    const auto grant = access->grant_of(who);
    if (!grant || *grant == nullptr) return std::string(grant ? "everything" : "nothing");
    return refused(**grant, R"({"op":"publish","topic":"plant/7/rpm"})");
  };
  EXPECT_EQ(publishes(peer(kUser, {1, kGroup})), "");
  EXPECT_NE(publishes(peer(5, {1, kGroup})).find("[client.a-group]"), std::string::npos);
  EXPECT_EQ(publishes(peer(5)), "nothing");
  Peer owner = peer(0);
  owner.owner = true;
  EXPECT_EQ(publishes(owner), "everything");
  EXPECT_EQ(access->grant_of(peer(5)).error().message,
            "permission denied: no section [client.NAME] is for this user");
}

TEST(LocalAccess, WithoutSectionsEverythingIsAllowed) {
  const auto access = LocalAccess::make({});
  ASSERT_TRUE(access);
  const auto grant = access->grant_of(peer(kUser));
  ASSERT_TRUE(grant);
  EXPECT_EQ(*grant, nullptr);
}

TEST(LocalAccess, AnAccountThatIsNotThereIsNamed) {
  ClientRules rules;
  rules.group = "no-such-group-here";
  const auto access = LocalAccess::make({{"x", rules}});
  ASSERT_FALSE(access);
  EXPECT_EQ(access.error().message,
            "client.x.group: \"no-such-group-here\" is not known to this machine; create it, or "
            "mend the name");
}

}  // namespace
}  // namespace holdfast::runtime
