// Goal:   each message is given once, and its copies are acknowledged when it is taken, not before.
// Method: messages with and without a stamp, over several connections.
#include "flow/inbound.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::flow {
namespace {

constexpr const char* kStamp = "00000001-0000000000000007";

env::Arrival arrival(env::Token ticket, const char* stamp = nullptr) {
  env::Arrival result;
  result.message.topic = "t";
  if (stamp != nullptr) result.message.user_properties = {{"hf-id", stamp}};
  result.ticket = ticket;
  return result;
}

std::string text(const std::vector<Inbound::Copy>& copies) {
  std::string result;
  for (const auto& [attempt, ticket] : copies) {
    result += std::to_string(attempt) + ":" + std::to_string(ticket) + " ";
  }
  return result;
}

TEST(Inbound, AMessageIsAcknowledgedWhenItIsTakenAndOnce) {
  Inbound inbound;
  const auto came = inbound.came(arrival(5), 1, {});
  ASSERT_TRUE(came.give);
  EXPECT_FALSE(came.acknowledge);
  EXPECT_EQ(inbound.waiting(), 1U);
  EXPECT_EQ(text(inbound.taken(*came.give)), "1:5 ");
  EXPECT_EQ(text(inbound.taken(*came.give)), "");
  EXPECT_EQ(inbound.waiting(), 0U);
}

TEST(Inbound, QosZeroWaitsForNothing) {
  Inbound inbound;
  const auto came = inbound.came(arrival(0), 1, {});
  ASSERT_TRUE(came.give);
  EXPECT_EQ(inbound.waiting(), 0U);
  EXPECT_EQ(text(inbound.taken(*came.give)), "");
}

TEST(Inbound, ARepeatOfWhatIsNotTakenYetWaitsWithIt) {
  Inbound inbound;
  const auto first = inbound.came(arrival(5, kStamp), 1, {});
  ASSERT_TRUE(first.give);
  const auto second = inbound.came(arrival(6, kStamp), 1, {});
  EXPECT_FALSE(second.give);
  EXPECT_FALSE(second.acknowledge) << "the process may still die before the first is dealt with";
  EXPECT_EQ(text(inbound.taken(*first.give)), "1:5 1:6 ");
  EXPECT_EQ(inbound.repeated(), 1U);
  EXPECT_EQ(inbound.total(), 2U);
}

TEST(Inbound, OnANewConnectionOnlyItsOwnCopyCanBeAcknowledged) {
  Inbound inbound;
  const auto first = inbound.came(arrival(5, kStamp), 1, {});
  ASSERT_TRUE(first.give);
  EXPECT_FALSE(inbound.came(arrival(1, kStamp), 2, {}).acknowledge);
  EXPECT_FALSE(inbound.came(arrival(2, kStamp), 3, {}).acknowledge);
  EXPECT_EQ(text(inbound.taken(*first.give)), "3:2 ");
}

TEST(Inbound, ARepeatOfWhatIsTakenIsAcknowledgedAtOnce) {
  Inbound inbound;
  const auto first = inbound.came(arrival(5, kStamp), 1, {});
  ASSERT_TRUE(first.give);
  static_cast<void>(inbound.taken(*first.give));
  const auto second = inbound.came(arrival(6, kStamp), 1, {});
  EXPECT_FALSE(second.give);
  EXPECT_TRUE(second.acknowledge);
  EXPECT_EQ(inbound.waiting(), 0U);
}

TEST(Inbound, WhatTheEngineKnowsAsACopyIsNotGivenAgain) {
  Inbound inbound;
  ASSERT_TRUE(inbound.came(arrival(5), 1, {}).give);
  env::Arrival copy = arrival(0);
  copy.again = true;
  const auto second = inbound.came(copy, 1, {});
  EXPECT_FALSE(second.give);
  EXPECT_FALSE(second.acknowledge);
  EXPECT_EQ(inbound.repeated(), 1U);
}

TEST(Inbound, WithoutTheFilterRepeatsAreGivenAgain) {
  Inbound inbound;
  Config config;
  config.filter_duplicates = false;
  EXPECT_TRUE(inbound.came(arrival(5, kStamp), 1, config).give);
  EXPECT_TRUE(inbound.came(arrival(6, kStamp), 1, config).give);
  EXPECT_EQ(inbound.repeated(), 0U);
  EXPECT_EQ(inbound.waiting(), 2U);
}

}  // namespace
}  // namespace holdfast::flow
