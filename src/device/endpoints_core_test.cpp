// Goal: what leaves the core at another endpoint is what that endpoint must see, and what waits in
//       the outbox goes there with its ids.
// Method: the core's bench; the first endpoint refuses, the second lets in.
#include <gtest/gtest.h>

#include "device/test_bench.h"
#include "flow/sender.h"

namespace holdfast::device {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using test::Bench;

Config two_endpoints() {
  Config config = test::make_config();
  config.birth = StatusMessage{"status", "here", Qos::at_least_once, true};
  config.will = StatusMessage{"status", "gone", Qos::at_least_once, true};
  EndpointConfig second = endpoint_of(config);
  second.name = "second";
  second.host = "second.example";
  second.client_id = "device-1-second";
  second.topic_prefix = "eu/";
  config.endpoints.push_back(second);
  return config;
}

/// Lets attempts at the first endpoint fail until one goes to the second; that one.
env::ConnectRequest go_to_second(Bench& bench) {
  for (int i = 0; i < 120; ++i) {
    for (const EngineConnect& connect : bench.take_all<EngineConnect>()) {
      if (connect.request->endpoint == 1) return *connect.request;
      bench.step(EngineFailed{connect.request->attempt, {Verdict::tcp_refused, 0, "scripted"}});
    }
    bench.run_for(seconds(1));
  }
  ADD_FAILURE() << "two minutes, and no attempt at the second endpoint";
  return {};
}

TEST(CoreEndpoints, WhatWaitsGoesToTheOtherOneUnderItsOwnIdAndPrefix) {
  Bench bench(two_endpoints());
  bench.start();
  bench.step(Subscribe{1, "cmd/#", Qos::at_least_once});
  bench.up();
  bench.published(flow::kBirthToken);
  for (const auto& ask : bench.take_all<EngineSubscribe>()) {
    EXPECT_EQ(ask.filters.at(0).filter, "cmd/#");
    bench.step(EngineSubscribed{bench.attempt(), ask.token, {1}});
  }
  bench.send_durable(1, 1);
  EXPECT_EQ(bench.take_all<EnginePublish>().back().message->topic, "t");
  bench.run_for(seconds(10));
  bench.down(Verdict::server_gone);

  const env::ConnectRequest request = go_to_second(bench);
  EXPECT_EQ(request.host, "second.example");
  EXPECT_EQ(request.client_id, "device-1-second");
  EXPECT_EQ(request.will.value().topic, "eu/status");
  env::UpInfo present;
  present.session_present = true;  // of an earlier run: it says nothing
  bench.step(EngineUp{request.attempt, present});
  const auto sent = bench.take_all<EnginePublish>();
  ASSERT_GE(sent.size(), 1U);
  EXPECT_EQ(sent[0].token, flow::kBirthToken);
  EXPECT_EQ(sent[0].message->topic, "eu/status");
  const auto asked = bench.take_all<EngineSubscribe>();
  ASSERT_EQ(asked.size(), 1U) << "everything is asked for again";
  EXPECT_EQ(asked[0].filters.at(0).filter, "eu/cmd/#");
  bench.step(EngineSubscribed{request.attempt, asked[0].token, {1}});
  auto again = bench.take_all<EnginePublish>();
  again.insert(again.begin(), sent.begin() + 1, sent.end());
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].token, 1U) << "the same id";
  EXPECT_EQ(again[0].message->topic, "eu/t");
  bench.step(EnginePublished{request.attempt, 1, 0});
  EXPECT_EQ(bench.state().ledger.delivered, 1U);

  env::Arrival arrival;
  arrival.message.topic = "eu/cmd/stop";
  bench.step(EngineMessage{request.attempt, arrival});
  const auto given = bench.take_all<GiveMessage>();
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0].message.topic, "cmd/stop");
  EXPECT_EQ(given[0].to, std::vector<SubscriptionId>{1});
}

TEST(CoreEndpoints, TheEndpointThatLastsIsRememberedAndShown) {
  Bench bench(two_endpoints());
  bench.start();
  bench.up();
  bench.published(flow::kBirthToken);
  bench.run_for(minutes(1));
  EXPECT_EQ(bench.count<RememberEndpoint>(), 0U);
  bench.down(Verdict::tcp_refused);
  const env::ConnectRequest request = go_to_second(bench);
  bench.step(EngineUp{request.attempt, {}});
  bench.step(EnginePublished{request.attempt, flow::kBirthToken, 0});
  bench.run_for(seconds(29));
  EXPECT_EQ(bench.count<RememberEndpoint>(), 0U) << "not yet";
  bench.run_for(seconds(2));
  const auto remembered = bench.take_all<RememberEndpoint>();
  ASSERT_EQ(remembered.size(), 1U);
  EXPECT_EQ(remembered[0].name, "second");
  const DeviceState state = bench.state();
  EXPECT_EQ(state.connection.endpoint_name, "second");
  EXPECT_EQ(state.connection.client_id, "device-1-second");
  ASSERT_EQ(state.endpoints.all.size(), 2U);
  EXPECT_TRUE(state.endpoints.all[1].current);
  EXPECT_EQ(state.endpoints.last.value().why, Verdict::tcp_refused);

  // A restart begins there.
  Opening opening;
  opening.endpoint = "second";
  Bench next(two_endpoints(), opening);
  next.start();
  EXPECT_EQ(next.take_all<EngineConnect>().at(0).request->endpoint, 1U);
}

TEST(CoreEndpoints, AProbeIsAStreamToTheOtherEndpointAndNoAttempt) {
  Opening opening;
  opening.endpoint = "second";
  Bench bench(two_endpoints(), opening);
  bench.start();
  bench.up();
  bench.published(flow::kBirthToken);
  bench.run_for(minutes(2));
  const auto probes = bench.take_all<ProbeEndpoint>();
  ASSERT_EQ(probes.size(), 1U) << "one at a time";
  EXPECT_EQ(probes[0].request->endpoint, 0U);
  EXPECT_EQ(probes[0].request->host, "broker.example");
  EXPECT_EQ(bench.count<EngineConnect>(), 0U);
  bench.step(EndpointProbed{"primary", {Verdict::none, 0, ""}});
  EXPECT_EQ(bench.state().connection.state, LinkState::connected);
}

}  // namespace
}  // namespace holdfast::device
