// Goal:   what the broker denies is named with what to allow; what only the doctor may not do is no
//         failure; the agent's own words come first.
// Method: facts by hand, one thing wrong at a time.
#include "health/doctor_mqtt.h"

#include <gtest/gtest.h>

#include "health/doctor_fixture.h"

namespace holdfast::health {

namespace {

using Outcome = TopicFacts::Outcome;
constexpr auto kOk = CheckResult::ok;
constexpr auto kWarning = CheckResult::warning;
constexpr auto kFailed = CheckResult::failed;
constexpr auto kNone = CheckResult::not_applicable;

AgentFacts agent() {
  AgentFacts facts;
  facts.socket = "/run/h.sock";
  facts.state = "connected";
  facts.verdict = "none";
  facts.client_id = "pump";
  facts.connects = 1;
  facts.attempts = 3;
  facts.storage = "ok";
  return facts;
}

TEST(JudgeAgent, IsAskedWhereItRuns) {
  expect_finding(judge_agent(agent()), kOk, "connected as pump, 1 connect of 3 attempts");
  AgentFacts none = agent();
  none.problem = "cannot reach the agent";
  expect_finding(judge_agent(none), kNone, "no agent runs: cannot reach the agent");
  none.outbox_in_use = true;
  expect_finding(judge_agent(none), kWarning, "a program uses the outbox", "local.socket");
  none.socket.clear();
  expect_finding(judge_agent(none), kWarning, "any socket", "local.socket");
  EXPECT_FALSE(none.connected());
}

TEST(JudgeAgent, ItsVerdictAndWhatItHasSetAsideAreTold) {
  AgentFacts facts = agent();
  facts.storage = "full";
  expect_finding(judge_agent(facts), kWarning, "its storage is full", "disk");
  facts.set_aside = {"a/b"};
  facts.refused = {"c/#"};
  expect_finding(judge_agent(facts), kWarning, "denies a/b and c/#", "policy");
  facts.state = "waiting";
  facts.verdict = "tcp_refused";
  facts.detail = "192.0.2.1: refused";
  expect_finding(judge_agent(facts), kFailed, "waiting, tcp_refused: 192.0.2.1: refused", "first");
}

LoginFacts refused(Verdict verdict, std::uint8_t code = 0) {
  LoginFacts facts;
  facts.client_id = "pump-doctor";
  facts.agent_id = "pump";
  facts.failure = env::Failure{verdict, code, "words"};
  return facts;
}

TEST(JudgeLogin, SaysAsWhomAndWhatWasGranted) {
  LoginFacts facts;
  facts.client_id = "pump-doctor";
  facts.version = "5";
  facts.ms = 30;
  facts.up = env::UpInfo{};
  const Finding finding = judge_login(facts);
  expect_finding(finding, kOk, "MQTT 5, let in as pump-doctor in 30 ms");
  EXPECT_EQ(finding.figures.front().name, "client_id");
  facts.client_id.clear();
  facts.up->assigned_client_id = "$GEN/1";
  expect_finding(judge_login(facts), kOk, "let in as $GEN/1");
}

TEST(JudgeLogin, ARefusedIdSaysWhatToAllow) {
  const std::string allow = "allow iot:Connect on client/pump-doctor";
  expect_finding(judge_login(refused(Verdict::not_authorized)), kFailed,
                 "as pump-doctor: not_authorized: words", allow);
  expect_finding(judge_login(refused(Verdict::server_gone)), kFailed, "server_gone", allow);
  expect_finding(judge_login(refused(Verdict::bad_credentials, 0x85)), kFailed, "words", allow);
  expect_finding(judge_login(refused(Verdict::bad_credentials, 0x86)), kFailed, "words",
                 "connection.username");
  expect_finding(judge_login(refused(Verdict::not_authorized)), kFailed, "", "--client-id pump");
  expect_finding(judge_login(refused(Verdict::protocol_error)), kFailed, "", "mqtt_version");
}

TEST(JudgeLogin, WithAPasswordThatIsLookedAtFirst) {
  LoginFacts facts = refused(Verdict::not_authorized);
  facts.password = true;
  expect_finding(judge_login(facts), kFailed, "words", "check connection.username");
}

TEST(JudgeLogin, ALiveAgentProvesThatOnlyTheDoctorsIdIsRefused) {
  LoginFacts facts = refused(Verdict::not_authorized);
  facts.agent_runs = true;
  facts.agent_connected = true;
  expect_finding(judge_login(facts), kWarning, "not_authorized", "own, pump, is in use");
  EXPECT_EQ(judge_login(facts).advice.find("--client-id pump"), std::string::npos);
  facts.agent_connected = false;
  expect_finding(judge_login(facts), kFailed, "not_authorized", "is in use");
}

TEST(JudgeLogin, TheAgentsIdIsNeverTaken) {
  LoginFacts facts;
  facts.client_id = facts.agent_id = "pump";
  facts.taken = facts.agent_runs = true;
  expect_finding(judge_login(facts), kFailed, "not tried", "leave out --client-id");
}

TopicFacts topic(const std::string& name, Outcome outcome, bool wanted, std::uint8_t code = 0) {
  TopicFacts facts;
  facts.name = name;
  facts.outcome = outcome;
  facts.wanted = wanted;
  facts.code = code;
  facts.ms = 2;
  return facts;
}

TEST(JudgeTopics, EachOutcomeIsNamed) {
  expect_finding(judge_publish({topic("a", Outcome::done, true)}), kOk, "a in 2.0 ms");
  expect_finding(judge_publish({topic("a", Outcome::refused, true, 0x87)}), kFailed,
                 "a is refused (0x87)", "allow iot:Publish on topic/a");
  expect_finding(judge_publish({topic("a", Outcome::hung_up, true)}), kFailed,
                 "ended the connection", "allow iot:Publish on topic/a");
  expect_finding(judge_publish({topic("a", Outcome::no_answer, true)}), kFailed, "no answer",
                 "--timeout");
  expect_finding(judge_subscribe({topic("a/#", Outcome::refused, true, 0x80)}), kFailed,
                 "a/# is refused (0x80)", "allow iot:Subscribe on topicfilter/a/#");
  expect_finding(judge_subscribe({}), kNone, "nothing to try");
}

TEST(JudgeTopics, WhatTheDoctorChoseItselfIsOnlyAWarning) {
  expect_finding(judge_publish({topic("pump/doctor", Outcome::hung_up, false)}), kWarning,
                 "pump/doctor", "--topic");
  const Finding mixed = judge_publish({topic("own", Outcome::refused, false, 0x87),
                                       topic("named", Outcome::refused, true, 0x87),
                                       topic("good", Outcome::done, true)});
  expect_finding(mixed, kFailed, "but good in", "topic/named");
}

TEST(JudgeRetain, MattersWhereTheConfigurationWantsIt) {
  const TopicFacts good = topic("t", Outcome::done, false);
  const TopicFacts bad = topic("t", Outcome::hung_up, false);
  expect_finding(judge_retain({true, false, false, good}), kOk, "removed again");
  expect_finding(judge_retain({true, false, false, bad}), kWarning, "t:", "iot:RetainPublish");
  expect_finding(judge_retain({true, true, false, bad}), kFailed, "are retained", "topic/t");
  expect_finding(judge_retain({true, true, true, bad}), kNone, "denied without it");
  expect_finding(judge_retain({false, false, false, bad}), kNone, "keeps no retained");
  expect_finding(judge_retain({false, true, false, bad}), kFailed, "keeps no", "retain = false");
}

TEST(JudgeQuotas, TheDefaultsFitAws) {
  QuotaFacts facts;
  facts.profile = "aws-iot-core";
  expect_finding(judge_quotas(facts), kOk, "80 messages/s, 400 KiB/s, payload 128 KiB: within AWS");
}

TEST(JudgeQuotas, EachMisfitIsNamed) {
  QuotaFacts facts;
  facts.profile = "aws-iot-core";
  facts.config.messages_per_second = 0;
  expect_finding(judge_quotas(facts), kWarning, "messages_per_second is unlimited", "to 100");
  facts.config.keep_alive = Seconds(10);
  facts.config.session_expiry = Seconds(30 * 86400);
  facts.config.limits.subscriptions = 60;
  const Finding all = judge_quotas(facts);
  for (const char* words : {"messages_per_second", "keep_alive is 10 s", "session_expiry",
                            "limits.subscriptions is 60, AWS IoT Core takes 50"}) {
    EXPECT_NE(all.found.find(words), std::string::npos) << all.found;
  }
}

TEST(JudgeQuotas, OtherBrokersAreTakenAtTheirWord) {
  QuotaFacts facts;
  facts.profile = "generic";
  facts.config.messages_per_second = 0;
  facts.config.bytes_per_second = 0;
  expect_finding(judge_quotas(facts), kOk, "unlimited messages/s, unlimited bytes/s");
  facts.up = env::UpInfo{};
  facts.up->maximum_packet_size = 1024;
  expect_finding(judge_quotas(facts), kWarning, "packets of 1.0 KiB", "limits.payload");
  facts.up->maximum_packet_size = 0;
  facts.up->server_keep_alive = Seconds(10);
  expect_finding(judge_quotas(facts), kWarning, "keep-alive of 10 s", "connection.keep_alive");
  facts.config.host = "a1-ats.iot.eu-west-1.amazonaws.com";
  expect_finding(judge_quotas(facts), kWarning, "AWS IoT Core takes 100", "100");
}

}  // namespace

}  // namespace holdfast::health
