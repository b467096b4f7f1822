// Goal:   people can read what the doctor found, and programs can rely on it.
// Method: findings by hand, as text and as JSON.
#include "doctor.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace holdfast::cli {
namespace {

using health::Check;
using health::CheckResult;
using health::Finding;

TEST(DoctorText, ALineForTheFindingAndOneForTheAdvice) {
  EXPECT_EQ(render_finding(Check::dns, health::fine("broker: 192.0.2.1 in 3 ms"), 0, false),
            "ok       dns              broker: 192.0.2.1 in 3 ms\n");
  EXPECT_EQ(render_finding(Check::tcp, health::fail("refused", "start the broker"), 0, false),
            "FAILED   tcp              refused\n"
            "                          -> start the broker\n");
  EXPECT_EQ(render_finding(Check::network_manager, health::not_applicable("none"), 0, false),
            "-        network_manager  none\n");
}

TEST(DoctorText, ColoursAreOnlyForTheResult) {
  EXPECT_EQ(render_finding(Check::dns, health::fine("x"), 0, true),
            "\033[32mok\033[0m       dns              x\n");
}

TEST(DoctorText, ANarrowTerminalGetsWrappedLines) {
  EXPECT_EQ(render_finding(Check::dns, health::fine("one two three four five six"), 46, false),
            "ok       dns              one two three four\n"
            "                          five six\n");
}

TEST(DoctorText, WhatAServerSaysHarmsNoTerminal) {
  const std::string text =
      render_finding(Check::tls, health::fail("evil \033[2J", "do \007 this"), 0, false);
  EXPECT_EQ(text.find('\033'), std::string::npos);
  EXPECT_EQ(text.find('\007'), std::string::npos);
}

TEST(DoctorText, TheSummaryCountsOnlyWhatThereIs) {
  const std::vector<Told> told{{Check::dns, health::fine("")},
                               {Check::tcp, health::fail("", "x")},
                               {Check::tls, health::skipped(Check::tcp)},
                               {Check::unit, health::warn("", "x")},
                               {Check::disk, health::warn("", "x")}};
  EXPECT_EQ(render_summary(told), "5 checks: 1 ok, 2 warnings, 1 failed, 1 skipped\n");
}

TEST(DoctorJson, HasResultCountsChecksAndFigures) {
  Finding slow = health::warn("slow", "wait");
  slow.figures = {{"median_ms", 12.5},
                  {"days_left", std::int64_t{3}},
                  {"good", true},
                  {"names", std::vector<std::string>{"a"}}};
  const auto json = doctor_json("h.toml", {{Check::dns, health::fine("x")}, {Check::sync, slow}});
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["configuration"], "h.toml");
  EXPECT_EQ(json["result"], "warning");
  EXPECT_EQ(json["counts"]["ok"], 1);
  EXPECT_EQ(json["counts"]["warning"], 1);
  ASSERT_EQ(json["checks"].size(), 2u);
  EXPECT_FALSE(json["checks"][0].contains("advice"));
  EXPECT_EQ(json["checks"][1]["check"], "sync");
  EXPECT_EQ(json["checks"][1]["advice"], "wait");
  EXPECT_EQ(json["checks"][1]["figures"].dump(),
            R"({"median_ms":12.5,"days_left":3,"good":true,"names":["a"]})");
  const auto bad = doctor_json("h.toml", {{Check::dns, health::fail("x", "y")}});
  EXPECT_EQ(bad["result"], "failed");
}

TEST(DoctorOptions, AnUnknownCheckIsAnErrorOfTheCommandLine) {
  DoctorOptions options;
  options.only = {"no-such"};
  EXPECT_EQ(run_doctor(options), kUsage);
}

}  // namespace
}  // namespace holdfast::cli
