// Goal: the order of uplinks is the one that NetworkManager makes of its profiles, and what would
//       break the fall-back is found, with advice.
// Method: keyfiles as text.
#include "health/network_plan.h"

#include <gtest/gtest.h>

namespace holdfast::health {
namespace {

std::string keyfile(const std::string& id, const std::string& type, const std::string& connection,
                    const std::string& ipv4 = "", const std::string& ipv6 = "") {
  return "[connection]\nid=" + id + "\ntype=" + type + "\nautoconnect-retries=0\nmetered=2\n" +
         connection + "\n[ipv4]\nmethod=auto\n" + ipv4 + "\n[ipv6]\nmethod=auto\n" + ipv6;
}

Plan plan_of(const std::vector<std::string>& texts) {
  PlanFacts facts;
  facts.passes_over_dead_links = true;
  for (const std::string& text : texts) {
    facts.files.push_back({"f" + std::to_string(facts.files.size()), text, "", false});
  }
  return judge_plan(facts);
}

std::vector<std::string> order_of(const Plan& plan) {
  std::vector<std::string> ids;
  for (const Profile& one : plan.uplinks) ids.push_back(one.id);
  return ids;
}

/// What was found about anything, with these words in it; its result.
std::optional<CheckResult> found(const Plan& plan, std::string_view words) {
  for (const PlanFinding& one : plan.findings) {
    if (one.finding.found.find(words) == std::string::npos) continue;
    EXPECT_FALSE(one.finding.advice.empty()) << words;
    return one.finding.result;
  }
  return std::nullopt;
}

TEST(NetworkPlan, AKeyfileIsReadAsNetworkManagerReadsIt) {
  const auto read = read_profile("x",
                                 "# made by hand\n[connection]\nid = Wired \ntype=802-3-ethernet\n"
                                 "interface-name=eth0\nautoconnect=false\nautoconnect-priority=-5\n"
                                 "autoconnect-retries=2\nmetered=1\n"
                                 "[ipv4]\nroute-metric=150\n[ipv6]\nmethod=disabled\n");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->id, "Wired");
  EXPECT_EQ(read->kind, UplinkKind::ethernet);
  EXPECT_EQ(read->interface, "eth0");
  EXPECT_FALSE(read->autoconnect);
  EXPECT_EQ(read->priority, -5);
  EXPECT_EQ(read->retries, 2);
  EXPECT_EQ(read->metered, true);
  EXPECT_EQ(read->metric4, 150);
  EXPECT_TRUE(read->ipv4);
  EXPECT_FALSE(read->ipv6);
  EXPECT_FALSE(read_profile("x", "not a keyfile\n"));
  EXPECT_FALSE(read_profile("x", "[ipv4]\nmethod=auto\n"));
}

TEST(NetworkPlan, TheExamplesMakeAPlanWithoutFindings) {
  std::vector<std::string> texts;
  for (const ExampleFile& one : example_profiles("office", "internet")) texts.push_back(one.text);
  const Plan plan = plan_of(texts);
  EXPECT_EQ(order_of(plan),
            (std::vector<std::string>{"uplink-1-ethernet", "uplink-2-wifi", "uplink-3-cellular"}));
  for (const PlanFinding& one : plan.findings) ADD_FAILURE() << one.about << one.finding.found;
  EXPECT_EQ(plan.uplinks[2].metered, true);
}

TEST(NetworkPlan, WithoutMetricsTheKindDecides) {
  const Plan plan = plan_of(
      {keyfile("lte", "gsm", ""), keyfile("radio", "wifi", ""), keyfile("cable", "ethernet", "")});
  EXPECT_EQ(order_of(plan), (std::vector<std::string>{"cable", "radio", "lte"}));
  EXPECT_TRUE(plan.findings.empty());
}

TEST(NetworkPlan, TheSameMetricIsAFailure) {
  const Plan plan = plan_of({keyfile("a", "ethernet", "interface-name=eth0"),
                             keyfile("b", "ethernet", "interface-name=eth1")});
  EXPECT_EQ(found(plan, "a and b have the same route metric, 100"), CheckResult::failed);
  EXPECT_TRUE(plan.failed());
}

TEST(NetworkPlan, ProfilesOfOneDeviceNeedPriorities) {
  const Plan same = plan_of({keyfile("a", "wifi", ""), keyfile("b", "wifi", "")});
  EXPECT_EQ(found(same, "fit the same device"), CheckResult::warning);
  EXPECT_FALSE(same.failed());
  const Plan apart =
      plan_of({keyfile("a", "wifi", ""), keyfile("b", "wifi", "autoconnect-priority=5")});
  EXPECT_TRUE(apart.findings.empty());
  EXPECT_EQ(order_of(apart), (std::vector<std::string>{"b", "a"}));
}

TEST(NetworkPlan, WhatKeepsAFallBackFromWorkingIsFound) {
  const Plan plan = plan_of({keyfile("cable", "ethernet", "autoconnect=false"),
                             keyfile("lte", "gsm", "", "route-metric=50"),
                             "[connection]\nid=radio\ntype=wifi\n"});
  EXPECT_EQ(found(plan, "is never used by itself"), CheckResult::failed);
  EXPECT_EQ(found(plan, "traffic prefers lte"), CheckResult::warning);
  EXPECT_EQ(found(plan, "is tried 4 times"), CheckResult::warning);
  const Plan unsaid = plan_of({"[connection]\nid=lte\ntype=gsm\nautoconnect-retries=0\n"});
  EXPECT_EQ(found(unsaid, "does not say whether it costs money"), CheckResult::warning);
}

TEST(NetworkPlan, IPv6HasTheSameOrder) {
  const Plan plan = plan_of(
      {keyfile("cable", "ethernet", "", "", "route-metric=900"), keyfile("radio", "wifi", "")});
  EXPECT_EQ(found(plan, "IPv6 prefers radio, IPv4 prefers cable"), CheckResult::warning);
}

TEST(NetworkPlan, WhatIsNoUplinkDoesNotCount) {
  const Plan plan = plan_of({keyfile("cable", "ethernet", ""), keyfile("br", "bridge", ""),
                             keyfile("field", "ethernet", "interface-name=eth1",
                                     "never-default=true", "never-default=true")});
  EXPECT_EQ(order_of(plan), (std::vector<std::string>{"cable"}));
  EXPECT_EQ(found(plan, "there is nothing to fall back to"), CheckResult::warning);
  EXPECT_EQ(found(plan_of({}), "no profile leads out"), CheckResult::failed);
}

TEST(NetworkPlan, FilesThatNetworkManagerPassesOverAreNamed) {
  PlanFacts facts;
  facts.files.push_back({"a.nmconnection", keyfile("a", "ethernet", ""), "", true});
  facts.files.push_back({"b.nmconnection", "", "Permission denied", false});
  const Plan plan = judge_plan(facts);
  EXPECT_EQ(found(plan, "NetworkManager passes over a.nmconnection"), CheckResult::failed);
  EXPECT_EQ(found(plan, "cannot be read: Permission denied"), CheckResult::warning);
  EXPECT_TRUE(plan.uplinks.empty());
}

TEST(NetworkPlan, DeadLinksThatKeepTheirRoutesAreAWarningWhereThereIsAnotherWay) {
  PlanFacts facts;
  facts.passes_over_dead_links = false;
  facts.files.push_back({"a", keyfile("a", "ethernet", ""), "", false});
  EXPECT_FALSE(found(judge_plan(facts), "links that are dead"));
  facts.files.push_back({"b", keyfile("b", "wifi", ""), "", false});
  EXPECT_EQ(found(judge_plan(facts), "links that are dead"), CheckResult::warning);
}

}  // namespace
}  // namespace holdfast::health
