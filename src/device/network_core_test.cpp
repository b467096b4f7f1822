// Goal: what the network's managers say reaches connection, lanes and state, and nothing else.
// Method: a core on virtual time, its balance checked at each step.
#include <gtest/gtest.h>

#include "device/core.h"
#include "device/test_bench.h"

namespace holdfast::device {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using test::Bench;

NetworkNews news(Connectivity connectivity, Metered metered = Metered::no) {
  NetworkState state;
  state.managed = true;
  state.connectivity = connectivity;
  state.connection = "wan1";
  state.type = "802-3-ethernet";
  state.device = "up1";
  state.metered = metered;
  return {std::make_shared<const NetworkState>(std::move(state))};
}

Config holding() {
  Config config = test::make_config();
  config.lane_rules["bulk"].metered = WhenMetered::hold;
  return config;
}

TEST(NetworkCore, AMeteredNetworkHoldsItsLanesAndAnotherReleasesThem) {
  Bench bench(holding());
  bench.start();
  bench.step(news(Connectivity::full, Metered::yes));
  EXPECT_EQ(bench.state().held_lanes, (std::vector<std::string>{"bulk"}));
  bench.up();
  bench.publish(1, Durability::durable, 2);
  bench.store(1, 1, 2);
  EXPECT_EQ(bench.count<StoreFetch>(), 0U) << "it waits on disk";
  bench.publish(2, Durability::durable, 0);
  bench.store(2, 2, 0);
  ASSERT_EQ(bench.take_all<StoreFetch>().size(), 1U);
  bench.fetched(2, 0);
  EXPECT_EQ(bench.take_all<EnginePublish>().size(), 1U) << "an alarm goes";
  bench.run_for(minutes(10));
  EXPECT_EQ(bench.state().ledger.pending, 2U);
  bench.step(news(Connectivity::full, Metered::no));
  EXPECT_TRUE(bench.state().held_lanes.empty());
  EXPECT_EQ(bench.take_all<StoreFetch>().size(), 1U);
}

TEST(NetworkCore, AChangedConfigurationReleasesWhatItNoLongerHolds) {
  Bench bench(holding());
  bench.start();
  bench.up();
  bench.step(news(Connectivity::full, Metered::guess_yes));
  bench.publish(1, Durability::durable, 2);
  bench.store(1, 1, 2);
  ASSERT_EQ(bench.count<StoreFetch>(), 0U);
  bench.step(Reload{std::make_shared<const Config>(test::make_config())});
  EXPECT_EQ(bench.take_all<StoreFetch>().size(), 1U);
}

TEST(NetworkCore, APortalIsTheVerdictAndItsEndAnAttempt) {
  Bench bench;
  bench.start();
  bench.step(news(Connectivity::portal));
  const env::AttemptId first = bench.attempt();
  bench.step(EngineFailed{first, {Verdict::tls_server_name, 0, "login.example"}});
  EXPECT_EQ(bench.state().connection.verdict, Verdict::captive_portal);
  bench.run_for(minutes(2));
  EXPECT_EQ(bench.count<EngineConnect>(), 0U);
  EXPECT_EQ(bench.state().network_counts.spared, 1U);
  bench.step(news(Connectivity::full));
  EXPECT_EQ(bench.count<EngineConnect>(), 1U);
}

TEST(NetworkCore, SilenceHasTheManagerLookAgain) {
  Bench bench;
  bench.start();
  bench.step(news(Connectivity::full));
  bench.up();
  bench.down(Verdict::silent_peer);
  EXPECT_EQ(bench.count<CheckNetwork>(), 1U);
  EXPECT_EQ(bench.state().network_counts.checks, 1U);
}

}  // namespace
}  // namespace holdfast::device
