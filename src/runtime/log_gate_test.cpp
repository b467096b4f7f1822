// Goal:   every change is said once, repeats are counted and the count is said, and an hour never
//         has more lines than allowed. Nothing is held back uncounted.
// Method: the gate is pure; the test brings the time.
#include "runtime/log_gate.h"

#include <gtest/gtest.h>

namespace holdfast::runtime {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint32_t kPlenty = 100'000;
const BootTime kStart{seconds(1000)};

LogLine line(std::string text, LogLevel level = LogLevel::info, LogArea area = LogArea::flow) {
  return {level, area, std::move(text)};
}

TEST(LogGate, TheSameAgainIsHeldBackAndItsNumberSaidAfterTenMinutes) {
  LogGate gate(kPlenty);
  EXPECT_EQ(gate.admit(line("a"), kStart).size(), 1U);
  for (int i = 0; i < 37; ++i) EXPECT_TRUE(gate.admit(line("a"), kStart + seconds(i)).empty());
  EXPECT_EQ(gate.repeats(), 37U);
  EXPECT_EQ(gate.next_due(), kStart + minutes(10));
  EXPECT_TRUE(gate.due(kStart + minutes(10) - seconds(1)).empty());
  const auto said = gate.due(kStart + minutes(10));
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].text, "a (37 times more in the last 10 min)");
  EXPECT_EQ(said[0].fields, (LogFields{{"times", 37}}));
  EXPECT_EQ(gate.next_due(), kNever);
  EXPECT_EQ(gate.admit(line("a"), kStart + minutes(11)).size(), 1U) << "now and then it is said";
}

TEST(LogGate, AChangeThereAndBackIsNoRepeat) {
  LogGate gate(kPlenty);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(gate.admit(line("offline"), kStart).size(), 1U);
    EXPECT_EQ(gate.admit(line("connected"), kStart).size(), 1U);
    EXPECT_EQ(gate.admit(line("x", LogLevel::info, LogArea::outbox), kStart).size(),
              i == 0 ? 1U : 0U)
        << "other areas are no part of it";
  }
}

TEST(LogGate, AKindThatFloodsIsHeldBackAfterTheBurst) {
  LogGate gate(kPlenty);
  std::size_t passed = 0;
  for (unsigned i = 0; i < limits::kLogBurst + 7; ++i) {
    passed += gate.admit(line("message " + std::to_string(i) + " dropped"), kStart).size();
  }
  EXPECT_EQ(passed, limits::kLogBurst);
  EXPECT_EQ(gate.admit(line("another kind"), kStart).size(), 1U);
  const auto said = gate.rest(kStart + seconds(90));
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].text, "message 56 dropped (7 times more in the last 90 s)");
  EXPECT_TRUE(gate.rest(kStart + seconds(90)).empty()) << "said once";
}

TEST(LogGate, LevelAreaAndVerdictMakeAnotherLine) {
  LogGate gate(kPlenty);
  LogLine one = line("a");
  EXPECT_EQ(gate.admit(one, kStart).size(), 1U);
  one.level = LogLevel::error;
  EXPECT_EQ(gate.admit(one, kStart).size(), 1U);
  one.verdict = Verdict::dns_failed;
  EXPECT_EQ(gate.admit(one, kStart).size(), 1U);
  one.area = LogArea::health;
  EXPECT_EQ(gate.admit(one, kStart).size(), 1U);
  EXPECT_TRUE(gate.admit(one, kStart).empty());
}

TEST(LogGate, WhatSomebodyAskedForIsNoRepeat) {
  LogGate gate(kPlenty);
  LogLine asked = line("state: {}");
  asked.asked = true;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(gate.admit(asked, kStart).size(), 1U);
}

TEST(LogGate, AnHourHasItsCeilingAndAPartOfItIsForWarningsAndErrors) {
  LogGate gate(100);
  std::size_t infos = 0;
  std::size_t warnings = 0;
  for (int i = 0; i < 500; ++i) {
    const std::string name(static_cast<std::size_t>(i) + 1, 'x');
    infos += gate.admit(line(name), kStart).size();
  }
  for (int i = 0; i < 500; ++i) {
    const std::string name(static_cast<std::size_t>(i) + 1, 'y');
    warnings += gate.admit(line(name, LogLevel::warning), kStart).size();
  }
  EXPECT_EQ(infos, 75U);
  EXPECT_EQ(warnings, 25U);
  EXPECT_EQ(gate.over_ceiling(), 900U);
  EXPECT_EQ(gate.next_due(), kStart + minutes(60));
  const auto said = gate.due(kStart + minutes(60));
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].text,
            "900 log lines were left out in the last hour, 475 of them warnings or errors: more "
            "than 100 an hour (log.lines_per_hour)");
  EXPECT_EQ(gate.next_due(), kNever);
  infos = 0;
  for (int i = 0; i < 500; ++i) {
    const std::string name(static_cast<std::size_t>(i) + 1, 'z');
    infos += gate.admit(line(name), kStart + minutes(61)).size();
  }
  EXPECT_EQ(infos, 74U) << "what is said about the hour before counts, too";
}

// Field lesson 56.
TEST(LogGate, BoundsTheSumOfManyKindsAndLosesNoCount) {
  LogGate gate(1000);
  std::uint64_t written = 0;
  std::uint64_t told = 0;
  const auto count = [&](const std::vector<LogLine>& lines) {
    written += lines.size();
    for (const LogLine& one : lines) {
      for (const LogField& field : one.fields) {
        const auto number = static_cast<std::uint64_t>(std::get<std::int64_t>(field.value));
        if (field.name == "times" || field.name == "left_out") told += number;
      }
    }
  };
  constexpr std::uint64_t kLines = 50'000;
  for (std::uint64_t i = 0; i < kLines; ++i) {
    std::string name;
    for (std::uint64_t rest = i / 2; rest > 0; rest /= 16)
      name += static_cast<char>('a' + rest % 16);
    count(gate.admit(line("line " + name), kStart));
  }
  EXPECT_LE(written, 1000U);
  // Reports about repeats fall under the ceiling like any line, so they count twice there.
  EXPECT_GE(gate.repeats() + gate.over_ceiling() + written, kLines);
  EXPECT_EQ(gate.repeats(), kLines / 2);
  count(gate.rest(kStart + minutes(1)));
  EXPECT_GE(told, gate.over_ceiling());
}

TEST(LogGate, AKindThatMakesRoomIsSaidFirst) {
  LogGate gate(kPlenty);
  EXPECT_EQ(gate.admit(line("first"), kStart).size(), 1U);
  EXPECT_TRUE(gate.admit(line("first"), kStart).empty());
  std::size_t reports = 0;
  for (std::size_t i = 0; i < limits::kLogKinds; ++i) {
    const auto lines = gate.admit(line(std::string(i + 1, 'k')), kStart + seconds(1));
    reports += lines.size() - 1;
  }
  EXPECT_EQ(reports, 1U);
}

}  // namespace
}  // namespace holdfast::runtime
