// Goal: a message that a program acknowledges is dealt with then and not before, whoever goes away
//       in between; and nobody holds others up for longer than is said.
// Method: groups, messages with holds that note their end, a clock by hand.
#include "runtime/ack_groups.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace holdfast::runtime {
namespace {

constexpr Milliseconds kWithin{1000};
constexpr Milliseconds kLinger{60'000};
constexpr std::uint64_t kFirst = 100;

class AckGroupsTest : public ::testing::Test {
 protected:
  /// The subscription of a client, whose number is a tenth of it.
  AckGroups::Joined join(std::uint64_t subscription, std::size_t window = 4,
                         const std::string& name = "") {
    const auto joined = groups.join({"cmd/#", name, Qos::at_least_once, kWithin, kLinger},
                                    {subscription / 10, subscription, window}, now);
    EXPECT_TRUE(joined.ok());
    return joined.ok() ? *joined : AckGroups::Joined{};
  }

  /// A message whose PUBACK is noted in `pubacks`.
  void arrive(AckGroups::Group group, const std::string& text, bool duplicate = false,
              std::size_t size = 0) {
    InboundMessage message;
    message.topic = text;
    message.payload = Bytes(size);
    message.qos = Qos::at_least_once;
    message.duplicate = duplicate;
    const Hold hold(std::make_shared<int>().get(), [this, text](const void*) { pubacks += text; });
    groups.arrived(group, std::move(message), hold, now);
  }

  /// What is given now, such as "a@10" or, marked as a duplicate, "a@10!".
  std::string given() {
    std::string all;
    while (const auto gift = groups.next([this](std::uint64_t client) { return client != full; })) {
      all += (all.empty() ? "" : " ") + gift->message->topic + "@" +
             std::to_string(gift->to.subscription) + (gift->duplicate ? "!" : "");
      deliveries[gift->message->topic] = gift->delivery;
    }
    return all;
  }

  bool acknowledge(std::uint64_t client, const std::string& text) {
    return groups.acknowledge(client, deliveries.at(text), now);
  }

  void pass(Milliseconds time) {
    now += time;
    ended += groups.look(now).size();
  }

  AckTally tally;
  std::vector<std::string> said;
  std::string pubacks;  // before the groups, whose end gives back what they hold
  AckGroups groups{kFirst, tally,
                   [this](LogLevel, std::string text) { said.push_back(std::move(text)); }};
  BootTime now = BootTime() + Milliseconds(5000);
  std::map<std::string, std::uint64_t> deliveries;
  std::uint64_t full = 0;  // a client that takes no more
  std::size_t ended = 0;
};

TEST_F(AckGroupsTest, APubackGoesWhenItsMessageIsAcknowledgedAndNotBefore) {
  const auto [group, made] = join(10);
  EXPECT_TRUE(made);
  arrive(group, "a");
  arrive(group, "b");
  EXPECT_EQ(given(), "a@10 b@10");
  EXPECT_EQ(given(), "");
  EXPECT_EQ(pubacks, "");
  EXPECT_FALSE(acknowledge(2, "a")) << "another client's";
  EXPECT_TRUE(acknowledge(1, "b"));
  EXPECT_EQ(pubacks, "b");
  EXPECT_FALSE(acknowledge(1, "b")) << "it is done";
  EXPECT_TRUE(acknowledge(1, "a"));
  EXPECT_EQ(pubacks, "ba");
  EXPECT_EQ(tally.counts().acknowledged, 2U);
  EXPECT_EQ(tally.counts().waiting, 0U);
  EXPECT_GT(deliveries.at("a"), kFirst);
}

TEST_F(AckGroupsTest, TheWindowBoundsWhatAClientIsGiven) {
  const auto group = join(10, 2).group;
  for (const char* text : {"a", "b", "c"}) arrive(group, text);
  EXPECT_EQ(given(), "a@10 b@10");
  EXPECT_TRUE(acknowledge(1, "b"));
  EXPECT_EQ(given(), "c@10");
  full = 1;
  EXPECT_TRUE(acknowledge(1, "a"));
  arrive(group, "d");
  EXPECT_EQ(given(), "") << "it does not read";
  full = 0;
  EXPECT_EQ(given(), "d@10");
}

TEST_F(AckGroupsTest, WhatAMemberLeavesIsGivenToAnotherOrToTheNextMarkedAsADuplicate) {
  const auto group = join(10).group;
  arrive(group, "a");
  arrive(group, "b");
  EXPECT_EQ(given(), "a@10 b@10");
  EXPECT_TRUE(acknowledge(1, "a"));
  EXPECT_FALSE(groups.leave(group, 10, false, now));
  arrive(group, "c");
  EXPECT_EQ(given(), "");
  EXPECT_FALSE(join(20).made) << "it finds the group of the one that went away";
  EXPECT_EQ(given(), "b@20! c@20");
  static_cast<void>(join(30));
  EXPECT_FALSE(groups.leave(group, 20, true, now)) << "there is another";
  EXPECT_EQ(given(), "b@30! c@30!");
  EXPECT_FALSE(acknowledge(2, "b")) << "it is not its any more";
  EXPECT_TRUE(acknowledge(3, "b"));
  EXPECT_EQ(pubacks, "ab");
  EXPECT_EQ(tally.counts().repeated, 3U);
}

TEST_F(AckGroupsTest, MembersShareTheMessagesAndGroupsOfAnotherNameHaveTheirOwn) {
  const auto group = join(10).group;
  EXPECT_EQ(join(20).group, group);
  const auto other = join(30, 4, "log");
  EXPECT_TRUE(other.made);
  for (const char* text : {"a", "b", "c"}) arrive(group, text);
  EXPECT_EQ(given(), "a@10 b@20 c@10");
  arrive(other.group, "a");
  EXPECT_EQ(given(), "a@30");
}

TEST_F(AckGroupsTest, OneThatDoesNothingHoldsOthersUpForItsTimeOnce) {
  const auto group = join(10).group;
  arrive(group, "a");
  EXPECT_EQ(given(), "a@10");
  EXPECT_EQ(groups.next_look(), now + kWithin);
  pass(kWithin - Milliseconds(1));
  EXPECT_EQ(pubacks, "");
  pass(Milliseconds(1));
  EXPECT_EQ(pubacks, "a") << "it is received; it waits in RAM";
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("\"cmd/#\" is not acknowledged within 1000 ms"), std::string::npos);
  arrive(group, "b");
  EXPECT_EQ(pubacks, "ab") << "late: no PUBACK waits for it";
  EXPECT_EQ(tally.counts().overdue, 2U);
  EXPECT_FALSE(groups.leave(group, 10, false, now));
  static_cast<void>(join(20));
  EXPECT_EQ(given(), "a@20! b@20") << "not given up";
  EXPECT_TRUE(acknowledge(2, "a"));
  EXPECT_TRUE(acknowledge(2, "b"));
  arrive(group, "c");
  EXPECT_EQ(pubacks, "ab") << "late no more";
  pass(kWithin);
  EXPECT_EQ(pubacks, "abc");
  EXPECT_EQ(said.size(), 2U);
}

TEST_F(AckGroupsTest, OneThatGoesOnSlowlyHoldsTheBrokerBackInsteadOfFillingTheRam) {
  constexpr std::size_t kSize = 64 * limits::kKiB;
  constexpr std::size_t kCount = limits::kLocalHeldBytes / 2 / kSize + 4;
  const auto group = join(10, 1).group;
  for (std::size_t i = 0; i < kCount; ++i) arrive(group, "x", false, kSize);
  EXPECT_EQ(given(), "x@10");
  pass(kWithin / 2);
  EXPECT_TRUE(acknowledge(1, "x"));
  EXPECT_EQ(given(), "x@10");
  pass(kWithin / 2);
  EXPECT_EQ(tally.counts().overdue, 0U) << "over half of the room: the broker waits";
  EXPECT_EQ(tally.counts().overflow, 0U);
  pass(kWithin / 2);
  EXPECT_EQ(tally.counts().overdue, kCount - 1) << "now it does nothing";
  arrive(group, "y", false, kSize);
  EXPECT_EQ(tally.counts().overflow, 1U) << "half of the room is for others";
  EXPECT_TRUE(pubacks.ends_with("y"));
  const auto other = join(20, 1, "other").group;
  arrive(other, "z", false, kSize);
  EXPECT_EQ(given(), "z@20");
}

TEST_F(AckGroupsTest, TheRoomIsBounded) {
  const auto group = join(10, 1).group;
  const std::size_t size = limits::kPayloadMax;
  for (std::size_t sent = 0; sent <= limits::kLocalHeldBytes; sent += size) {
    arrive(group, "x", false, size);
  }
  EXPECT_EQ(tally.counts().overflow, 2U);
  EXPECT_EQ(tally.counts().waiting, limits::kLocalHeldBytes / size - 1);
  ASSERT_FALSE(said.empty());
  EXPECT_NE(said.back().find("dropped, since too many are not acknowledged"), std::string::npos);
}

TEST_F(AckGroupsTest, AGroupWithoutMembersEndsInTimeAndTellsWhatIsGivenUp) {
  const auto group = join(10).group;
  arrive(group, "a");
  EXPECT_EQ(given(), "a@10");
  EXPECT_FALSE(groups.leave(group, 10, false, now));
  pass(kLinger - Milliseconds(1));
  EXPECT_EQ(ended, 0U);
  pass(Milliseconds(1));
  EXPECT_EQ(ended, 1U);
  EXPECT_EQ(tally.counts().abandoned, 1U);
  EXPECT_EQ(tally.counts().groups, 0U);
  EXPECT_EQ(groups.next_look(), kNever);
  const auto next = join(20);
  EXPECT_TRUE(next.made);
  EXPECT_TRUE(groups.leave(next.group, 20, true, now)) << "it has said so";
  arrive(next.group, "b");
  EXPECT_EQ(pubacks, "ab");
}

TEST_F(AckGroupsTest, WhatTheBrokerSendsAgainIsTheSameMessageWithANewPuback) {
  const auto group = join(10).group;
  arrive(group, "a");
  arrive(group, "a");
  EXPECT_EQ(given(), "a@10 a@10");
  pubacks.clear();
  arrive(group, "a", true);
  arrive(group, "a", true);
  EXPECT_EQ(given(), "") << "both are being worked on";
  EXPECT_EQ(pubacks, "aa") << "of the connection that has ended";
  EXPECT_EQ(tally.counts().waiting, 2U);
  arrive(group, "b", true);
  EXPECT_EQ(given(), "b@10!") << "from before our start";
  EXPECT_TRUE(acknowledge(1, "a"));
  EXPECT_EQ(pubacks, "aaa");
}

TEST_F(AckGroupsTest, GroupsAreRestoredWithoutMembersAndBounded) {
  const AckGroups::Terms terms{"cmd/#", "", Qos::at_least_once, kWithin, kLinger};
  const auto group = groups.restore(terms, now);
  ASSERT_TRUE(group);
  arrive(*group, "a");
  const auto joined = join(10);
  EXPECT_EQ(joined.group, *group);
  EXPECT_FALSE(joined.made);
  EXPECT_EQ(given(), "a@10");
  ASSERT_EQ(groups.terms().size(), 1U);
  EXPECT_EQ(groups.terms()[0].filter, "cmd/#");
  for (std::size_t i = 1; i < limits::kLocalGroups; ++i) {
    static_cast<void>(join(10 + i, 1, std::to_string(i)));
  }
  const auto refused =
      groups.join({"more", "", Qos::at_least_once, kWithin, kLinger}, {1, 999, 1}, now);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::full);
  EXPECT_FALSE(groups.restore(terms, now));
}

TEST_F(AckGroupsTest, AMessageWithoutAPubackWaitsForItsProgramAllTheSame) {
  const auto group = join(10).group;
  InboundMessage message;
  message.topic = "q0";
  groups.arrived(group, message, Hold(), now);
  EXPECT_EQ(given(), "q0@10");
  EXPECT_EQ(groups.next_look(), kNever);
  EXPECT_FALSE(groups.leave(group, 10, false, now));
  static_cast<void>(join(20));
  EXPECT_EQ(given(), "q0@20!");
}

}  // namespace
}  // namespace holdfast::runtime
