// Scenario files: what is wrong is named with its line, and orders come at their times.
#include "lab/fault/scenario.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace holdfast::lab::fault {
namespace {

using namespace std::chrono_literals;

constexpr BootTime kStart{1000s};

Scenario read(std::string_view toml) {
  auto scenario = Scenario::parse(toml);
  EXPECT_TRUE(scenario.ok()) << (scenario.ok() ? "" : scenario.error().message);
  return scenario.ok() ? *scenario : Scenario{};
}

std::string complaint(std::string_view toml) {
  const auto scenario = Scenario::parse(toml);
  return scenario ? "nothing" : scenario.error().message;
}

/// "12s black-hole": when, and what is switched on.
std::vector<std::string> orders(ScenarioRun& run, std::size_t most = 1000) {
  std::vector<std::string> all;
  while (!run.over() && all.size() < most) {
    const BootTime at = run.wake();
    EXPECT_FALSE(run.next(at - 1ns));
    const auto order = run.next(at);
    if (!order) {
      ADD_FAILURE() << "no order when it was due";
      break;
    }
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at - kStart).count();
    all.push_back(std::to_string(ms) + (order->faults ? " " + to_json(*order->faults).dump() : "") +
                  (order->kick ? " kick" : ""));
  }
  return all;
}

TEST(LabScenario, StepsFollowOneAnother) {
  ScenarioRun run(read(R"(
name = "x"
[[steps]]
after = "10s"
for = "5s"
faults = "refuse"
[[steps]]
at = "1min"
kick = "reset"
[[steps]]
after = "1s"
faults = { upstream = "refuse" }
[[steps]]
after = "1s"
heal = true
)"),
                  kStart);
  const std::vector<std::string> expected{R"(10000 {"accept":"refuse"})", "15000 {}", "60000 kick",
                                          R"(61000 {"upstream":"refuse"})", "62000 {}"};
  EXPECT_EQ(orders(run), expected);
  EXPECT_EQ(run.wake(), kNever);
  EXPECT_FALSE(run.next(kStart + 10h));
}

TEST(LabScenario, StepsAndRoundsAreRepeated) {
  ScenarioRun run(read(R"(
name = "x"
rounds = 2
[[steps]]
at = "1s"
after = "2s"
for = "3s"
repeat = 2
faults = "refuse"
)"),
                  kStart);
  const std::string on = R"( {"accept":"refuse"})";
  const std::vector<std::string> expected{"1000" + on,  "4000 {}",  "6000" + on,  "9000 {}",
                                          "10000" + on, "13000 {}", "15000" + on, "18000 {}"};
  EXPECT_EQ(orders(run), expected);
}

TEST(LabScenario, ZeroRoundsHaveNoEnd) {
  ScenarioRun run(read("name='x'\nrounds=0\n[[steps]]\nafter='1s'\nkick='close'\n"), kStart);
  EXPECT_EQ(orders(run, 50).back(), "50000 kick");
  EXPECT_FALSE(run.over());
}

TEST(LabScenario, SpeedAppliesToStepsAndNotToFaults) {
  const Scenario scenario = read(R"(
name = "x"
[[steps]]
at = "1h"
for = "2h"
faults = { up = { latency = "3s" } }
)");
  ScenarioRun run(scenario, kStart, 60);
  const std::vector<std::string> expected{R"(60000 {"up":{"latency":"3s"}})", "180000 {}"};
  EXPECT_EQ(orders(run), expected);
}

TEST(LabScenario, ChanceIsRepeatedByItsSeed) {
  const Scenario scenario = read(R"(
name = "x"
seed = 5
[[steps]]
after = ["1s", "9s"]
for = ["1s", "2s"]
repeat = 100
choose = ["refuse", "no-accept"]
)");
  ScenarioRun first(scenario, kStart);
  ScenarioRun second(scenario, kStart);
  ScenarioRun other(scenario, kStart, 1, 6);
  const auto all = orders(first);
  EXPECT_EQ(all, orders(second));
  EXPECT_NE(all, orders(other));
  std::size_t refusals = 0;
  for (const std::string& one : all)
    if (one.find("refuse") != std::string::npos) ++refusals;
  EXPECT_GT(refusals, 30U);
  EXPECT_LT(refusals, 70U);
}

TEST(LabScenario, OrdersThatAreLateKeepTheirTimes) {
  ScenarioRun run(read("name='x'\n[[steps]]\nat='1s'\nfor='1s'\nfaults='refuse'\n"), kStart);
  EXPECT_EQ(run.next(kStart + 1h)->words, "x: step 1");
  EXPECT_EQ(run.next(kStart + 1h)->words, "x: step 1 ends");
  EXPECT_FALSE(run.next(kStart + 1h));
}

TEST(LabScenario, WhatIsWrongIsNamedWithItsLine) {
  const std::string head = "name = 'x'\n[[steps]]\n";
  EXPECT_EQ(complaint("name = \n").substr(0, 16), "line 1: not TOML");
  EXPECT_EQ(complaint("[[steps]]\nkick='reset'\n"), "line 1: name: must be there");
  EXPECT_EQ(complaint("name = 'x'\n"), "line 1: steps: must be 1 to 1000 [[steps]]");
  EXPECT_EQ(complaint("name = 'x'\nstops = 1\n" + head.substr(11) + "heal = true\n"),
            "line 2: stops: is not a known key here");
  EXPECT_EQ(complaint(head + "after = '1s'\nfaults.up.latency = '3'\n").substr(0, 36),
            "line 4: steps[0].faults.up.latency: ");
  EXPECT_EQ(complaint(head + "faults = 'black-holes'\n").substr(0, 45),
            "line 3: steps[0].faults: must be the name of ");
  EXPECT_EQ(complaint(head + "after = '1s'\n"),
            "line 2: steps[0]: must have one of faults, choose, heal and kick");
  EXPECT_EQ(complaint(head + "heal = true\nfaults = 'refuse'\n"),
            "line 2: steps[0]: has more than one of faults, choose and heal");
  EXPECT_EQ(complaint(head + "heal = 2026-01-01\n"),
            "line 3: is a date or time, which nothing here takes");
  EXPECT_EQ(complaint(head + "heal = true\nat = '1s'\nafter = '1s'\n"),
            "line 5: steps[0].after: is given besides at; keep one of the two");
  EXPECT_EQ(complaint(head + "kick = 'reset'\nfor = '1s'\n"),
            "line 4: steps[0].for: is about faults, and there are none");
  EXPECT_EQ(complaint(head + "heal = true\nrepeat = 2\n"),
            "line 4: steps[0].repeat: of a step that takes no time; give it for or after");
  EXPECT_EQ(complaint(head + "heal = true\nafter = ['2s', '1s']\n"),
            "line 4: steps[0].after: must be the least and the most time");
  EXPECT_EQ(complaint("rounds = 0\n" + head + "heal = true\n"),
            "line 1: rounds: of steps that take no time");
  EXPECT_EQ(complaint(head + "heal = true\nafter = '300d'\n[[steps]]\nheal=true\nafter='300d'\n"),
            "line 5: steps[1]: ends more than a year after the scenario began");
  EXPECT_EQ(complaint(head + "faults='refuse'\nfor=['1s','9s']\n[[steps]]\nheal=true\nat='8s'\n"),
            "line 7: steps[1].at: comes before the step before it is over, which may be at 9s");
}

TEST(LabScenario, HostileFilesAreRefused) {
  EXPECT_EQ(complaint(std::string(Scenario::kFileMax + 1, ' ')), "a scenario of more than 256KiB");
  std::string deep = "a";
  for (int i = 0; i < 5000; ++i) deep += ".a";
  EXPECT_EQ(complaint(deep + " = 1\n"), "line 1: the file has too many dots");
  EXPECT_EQ(complaint("x = " + std::string(200, '[') + std::string(200, ']') + "\n"),
            "line 1: is nested too deep");
  EXPECT_NE(complaint(std::string("[\0", 2)), "nothing");
}

TEST(LabScenario, TheScenariosOfTheRepositoryAreGood) {
  std::size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(HOLDFAST_LAB_SCENARIOS)) {
    std::ifstream in(file.path());
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto scenario = Scenario::parse(text);
    ASSERT_TRUE(scenario) << file.path() << ": " << scenario.error().message;
    EXPECT_EQ(scenario->name, file.path().stem().string());
    EXPECT_FALSE(scenario->description.empty());
    ScenarioRun run(*scenario, kStart);
    EXPECT_GE(orders(run).size(), 3U);
    EXPECT_TRUE(run.over());
    ++count;
  }
  EXPECT_GE(count, 3U);
}

}  // namespace
}  // namespace holdfast::lab::fault
