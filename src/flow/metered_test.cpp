// Goal: lanes wait exactly while the way out costs money, as far as anybody knows.
// Method: states of networks and configurations, by hand.
#include "flow/metered.h"

#include <gtest/gtest.h>

namespace holdfast::flow {
namespace {

NetworkState metered(Metered how) {
  NetworkState state;
  state.managed = true;
  state.type = "802-3-ethernet";
  state.metered = how;
  return state;
}

NetworkState roaming(std::string type) {
  NetworkState state = metered(Metered::no);
  state.type = std::move(type);
  state.modems.push_back({});
  state.modems[0].registration = "roaming";
  return state;
}

TEST(Metered, WhatTheProfileSaysAndWhatIsGuessedCosts) {
  EXPECT_TRUE(costs_money(metered(Metered::yes), {}));
  EXPECT_TRUE(costs_money(metered(Metered::guess_yes), {}));
  EXPECT_FALSE(costs_money(metered(Metered::no), {}));
  EXPECT_FALSE(costs_money(metered(Metered::guess_no), {}));
  EXPECT_FALSE(costs_money(metered(Metered::unknown), {}));
  EXPECT_FALSE(costs_money({}, {}));
}

TEST(Metered, RoamingCostsWhereTheModemIsTheWay) {
  EXPECT_TRUE(costs_money(roaming("gsm"), {}));
  EXPECT_FALSE(costs_money(roaming("802-3-ethernet"), {})) << "the modem is not in use";
  Config::Network home;
  home.roaming_is_metered = false;
  EXPECT_FALSE(costs_money(roaming("gsm"), home));
  NetworkState modem_only = roaming("");
  modem_only.managed = false;
  modem_only.metered = Metered::unknown;
  EXPECT_FALSE(costs_money(modem_only, {}));
  modem_only.modems[0].state = "connected";
  EXPECT_TRUE(costs_money(modem_only, {})) << "without NetworkManager the modem knows";
}

TEST(Metered, OnlyLanesThatAreToHoldAreHeld) {
  Config config;
  config.lane_rules["bulk"].metered = WhenMetered::hold;
  config.lane_rules["urgent"].max_messages = 5;
  EXPECT_TRUE(held_lanes(metered(Metered::no), config).none());
  const LaneSet held = held_lanes(metered(Metered::yes), config);
  EXPECT_EQ(held.count(), 1U);
  EXPECT_TRUE(held[2]) << "bulk is the third lane";
}

}  // namespace
}  // namespace holdfast::flow
