// Goal:   each way in which the path to the broker fails is named, with advice that fits it.
// Method: facts by hand, one thing wrong at a time.
#include "health/doctor_network.h"

#include <gtest/gtest.h>

#include "health/doctor_fixture.h"

namespace holdfast::health {

namespace {

constexpr auto kOk = CheckResult::ok;
constexpr auto kWarning = CheckResult::warning;
constexpr auto kFailed = CheckResult::failed;
constexpr auto kNone = CheckResult::not_applicable;
constexpr std::int64_t kDay = 86'400'000;

NameFacts name(std::vector<std::string> addresses, double ms) {
  NameFacts facts;
  facts.host = "broker.example";
  facts.addresses = std::move(addresses);
  facts.ms = ms;
  facts.name_servers = "192.0.2.53";
  return facts;
}

NameFacts no_name(Errc code) {
  NameFacts facts = name({}, 5);
  facts.code = code;
  facts.problem = "Name or service not known";
  return facts;
}

TEST(JudgeName, AMissingNameIsNotASilentServer) {
  expect_finding(judge_name(name({"192.0.2.1", "2001:db8::1"}, 12)), kOk,
                 "broker.example: 192.0.2.1 and 2001:db8::1 in 12 ms");
  expect_finding(judge_name(name({"192.0.2.1"}, 2500)), kWarning, "2.5 s", "192.0.2.53");
  expect_finding(judge_name(no_name(Errc::not_found)), kFailed, "broker.example: Name",
                 "spelling of connection.host");
  expect_finding(judge_name(no_name(Errc::timeout)), kFailed, "broker.example", "192.0.2.53");
  NameFacts proxy = no_name(Errc::not_found);
  proxy.proxy = true;
  proxy.name_servers.clear();
  expect_finding(judge_name(proxy), kFailed, "broker.example", "proxy.host");
}

TEST(JudgeRoutes, OneWayIsEnough) {
  const RouteFacts good{"192.0.2.1", "", "eth0", "10.0.0.1", true};
  const RouteFacts none{"2001:db8::1", "Network is unreachable", "", "", true};
  const RouteFacts dark{"192.0.2.1", "", "wlan0", "", false};
  expect_finding(judge_routes({good}), kOk, "192.0.2.1 by eth0 via 10.0.0.1");
  expect_finding(judge_routes({good, none}), kOk, "not to 2001:db8::1 (Network is unreachable)");
  expect_finding(judge_routes({none}), kFailed, "Network is unreachable", "default route");
  expect_finding(judge_routes({dark}), kFailed, "wlan0 (the link is down)", "interface");
}

TEST(JudgeReach, AdviceFollowsTheFirstFailure) {
  const ReachFacts good{"192.0.2.1:8883", 8, {}};
  const ReachFacts refused{"192.0.2.2:8883", 1, env::Failure{Verdict::tcp_refused, 0, ""}};
  const ReachFacts silent{"192.0.2.3:8883", 10'000, env::Failure{Verdict::tcp_timeout, 0, ""}};
  expect_finding(judge_reach({good}), kOk, "192.0.2.1:8883 in 8.0 ms");
  expect_finding(judge_reach({good, silent}), kWarning, "not 192.0.2.3:8883 (tcp_timeout)", "last");
  expect_finding(judge_reach({refused, silent}), kFailed, "tcp_refused", "connection.port");
  expect_finding(judge_reach({silent}), kFailed, "tcp_timeout", "firewall");
  expect_finding(judge_reach({}), kFailed, "", "route");
}

StreamFacts stream() {
  StreamFacts facts;
  facts.host = "broker.example";
  facts.port = 8883;
  facts.secured = true;
  facts.version = "TLSv1.3";
  facts.suite = "TLS_AES_128_GCM_SHA256";
  facts.peer = "CN=broker.example";
  facts.peer_issuer = "CN=CA";
  facts.peer_until = WallTime{100 * kDay};
  facts.ms = 40;
  return facts;
}

StreamFacts failed(Verdict verdict, const std::string& detail = "words") {
  StreamFacts facts = stream();
  facts.secured = false;
  facts.failure = env::Failure{verdict, 0, detail};
  return facts;
}

TEST(JudgeTls, NamesThePeerOrTheVerdict) {
  expect_finding(judge_tls(stream()), kOk,
                 "TLSv1.3, TLS_AES_128_GCM_SHA256 in 40 ms; the server is CN=broker.example, "
                 "certified by CN=CA for 100 more days");
  expect_finding(judge_tls(failed(Verdict::tls_server_name)), kFailed, "tls_server_name: words",
                 "tls.server_name");
  expect_finding(judge_tls(failed(Verdict::tls_server_untrusted)), kFailed, "untrusted",
                 "tls.ca_file");
  expect_finding(judge_tls(failed(Verdict::tls_server_expired)), kFailed, "expired", "renewed");
  expect_finding(judge_tls(failed(Verdict::tls_clock)), kFailed, "tls_clock", "clock");
  expect_finding(judge_tls(failed(Verdict::tls_client_refused)), kFailed, "refused", "ACTIVE");
  StreamFacts ending = stream();
  ending.peer_until = WallTime{kDay};
  expect_finding(judge_tls(ending), kWarning, "for 1 more days", "server");
}

TEST(JudgeTls, AHangUpAfterTheHandshakeIsAboutOurCertificate) {
  StreamFacts facts = stream();
  facts.failure = env::Failure{Verdict::server_gone, 0, "it hung up after the handshake"};
  expect_finding(judge_tls(facts), kFailed, "hung up", "register the device's certificate");
  facts.failure = env::Failure{Verdict::tls_client_refused, 0, "alert"};
  facts.has_certificate = false;
  expect_finding(judge_tls(facts), kFailed, "alert", "set tls.cert_file and tls.key_file");
}

TEST(JudgeTls, WithoutTlsEverybodyCanListenUnlessNobodyIsThere) {
  StreamFacts facts = stream();
  facts.tls = false;
  expect_finding(judge_tls(facts), kWarning, "can be read on the way", "tls.enabled = true");
  facts.host = "127.0.0.1";
  expect_finding(judge_tls(facts), kNone, "to this machine");
}

TEST(JudgeAlpn, RefusedAgreedIgnoredOrForgotten) {
  StreamFacts facts = stream();
  expect_finding(judge_alpn(facts), kNone, "not set");
  facts.alpn_wanted = "x-amzn-mqtt-ca";
  expect_finding(judge_alpn(facts), kWarning, "chose nothing", "MQTT fails");
  facts.alpn = facts.alpn_wanted;
  expect_finding(judge_alpn(facts), kOk, "agreed: x-amzn-mqtt-ca");
  StreamFacts refused = failed(Verdict::tls_failed, "alert \"no application protocol\"");
  refused.alpn_wanted = "nonsense";
  expect_finding(judge_alpn(refused), kFailed, "refuses \"nonsense\"", "correct tls.alpn");
  expect_finding(judge_tls(refused), kFailed, "no application protocol", "correct tls.alpn");
}

TEST(JudgeAlpn, AwsOnPort443NeedsTheName) {
  StreamFacts facts = stream();
  facts.host = "a1b2c3-ats.iot.eu-west-1.amazonaws.com";
  facts.port = 443;
  expect_finding(judge_alpn(facts), kFailed, "443", "x-amzn-mqtt-ca");
  facts.websocket = true;
  expect_finding(judge_alpn(facts), kNone, "not set");
  facts.websocket = false;
  facts.port = 8883;
  expect_finding(judge_alpn(facts), kNone, "not set");
  EXPECT_TRUE(is_aws_endpoint(facts.host));
  EXPECT_TRUE(is_aws_endpoint("a1-ats.iot.cn-north-1.amazonaws.com.cn"));
  EXPECT_FALSE(is_aws_endpoint("bucket.s3.eu-west-1.amazonaws.com"));
  EXPECT_FALSE(is_aws_endpoint("iot.example.com"));
}

TEST(JudgeWebsocket, WhatFailsAfterTlsIsItsOwn) {
  StreamFacts facts = stream();
  expect_finding(judge_websocket(facts), kNone, "mqtt");
  facts.websocket = true;
  expect_finding(judge_websocket(facts), kOk, "upgrades");
  facts.failure = env::Failure{Verdict::not_authorized, 0, "403 Forbidden"};
  expect_finding(judge_websocket(facts), kFailed, "403", "[sigv4]");
  expect_finding(judge_tls(facts), kOk, "TLSv1.3");
  facts.failure = env::Failure{Verdict::protocol_error, 0, "404"};
  expect_finding(judge_websocket(facts), kFailed, "404", "websocket_path");
}

TEST(JudgeKeys, AdviceIsAboutTheAliasTheProviderOrTheWay) {
  KeyFacts facts;
  expect_finding(judge_keys(facts), kNone, "no role alias");
  facts.wanted = true;
  facts.words = "temporary keys of the role alias fleet";
  facts.ms = 12;
  expect_finding(judge_keys(facts), kOk, "role alias fleet, in 12 ms");
  facts.failure = env::Failure{Verdict::not_authorized, 0, "credential provider p: 403"};
  expect_finding(judge_keys(facts), kFailed, "403 (not_authorized)", "AssumeRoleWithCertificate");
  facts.failure = env::Failure{Verdict::protocol_error, 0, "no HTTP"};
  expect_finding(judge_keys(facts), kFailed, "no HTTP", "sigv4.provider_host");
  facts.failure = env::Failure{Verdict::tls_client_refused, 0, "alert"};
  expect_finding(judge_keys(facts), kFailed, "alert", "ACTIVE");
}

TEST(JudgeProxy, OnlyItsOwnFailureIsIts) {
  StreamFacts facts = stream();
  expect_finding(judge_proxy(facts), kNone, "no proxy");
  facts.proxy = "proxy:3128";
  expect_finding(judge_proxy(facts), kOk, "proxy:3128 leads to broker.example:8883");
  facts.failure = env::Failure{Verdict::proxy_failed, 0, "407"};
  expect_finding(judge_proxy(facts), kFailed, "proxy:3128: 407", "[proxy]");
  facts.failure = env::Failure{Verdict::tls_server_name, 0, ""};
  expect_finding(judge_proxy(facts), kOk, "leads to");
}

TEST(Advice, EachVerdictHasOne) {
  for (std::size_t i = 0; i < kVerdicts; ++i) {
    EXPECT_FALSE(advice_for(static_cast<Verdict>(i)).empty());
  }
}

}  // namespace

}  // namespace holdfast::health
