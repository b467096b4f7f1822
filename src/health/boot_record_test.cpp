// Goal:   the reason of a boot is the one that the evidence speaks for, and is judged once a boot.
// Method: a table of what the machine shows and what the run before has left; texts handed on from
//         run to run; damaged ones.
#include "health/boot_record.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::health {
namespace {

BootEvidence boot(const std::string& id) { return {id, false, false, false, "dog", {}}; }

/// What a run of boot "b1" has left.
std::string left(bool ended, BootReason note = BootReason::unknown,
                 std::vector<PanicRecord> panics = {}) {
  BootEvidence evidence = boot("b1");
  evidence.panics = std::move(panics);
  BootRecord record("", evidence);
  if (note != BootReason::unknown) record.note(note, "noted");
  if (ended) record.end();
  return record.text();
}

struct Case {
  const char* name;
  std::string before;
  BootEvidence evidence;
  BootReason reason;
  std::string detail;
};

std::vector<Case> cases() {
  const BootEvidence plain = boot("b2");
  BootEvidence bitten = plain;
  bitten.watchdog_reset = true;
  BootEvidence hot = bitten;
  hot.overheat_reset = true;
  BootEvidence brown = plain;
  brown.power_bad = true;
  BootEvidence panicked = bitten;
  panicked.panics = {{"old", "older words"}, {"new", "Attempted to kill init!"}};
  BootEvidence wordless = plain;
  wordless.panics = {{"new", ""}};
  BootEvidence old = plain;
  old.panics = {{"old", "older words"}};
  const std::vector<PanicRecord> had{{"old", "older words"}};
  using R = BootReason;
  return {
      {"nothing is known", "", plain, R::unknown, "there is no record of earlier boots"},
      {"an old panic, nothing known", "", old, R::unknown, "there is no record of earlier boots"},
      {"the watchdog speaks of this boot", "", bitten, R::watchdog, "said by dog"},
      {"cut", left(false), plain, R::power_loss,
       "the machine went down while the agent ran, without a word"},
      {"bad supply", left(false), brown, R::power_loss, "said by dog"},
      {"bitten", left(false), bitten, R::watchdog, "said by dog"},
      {"bitten after an end in order", left(true), bitten, R::watchdog, "said by dog"},
      {"too hot", left(false), hot, R::overheat, "said by dog"},
      {"ended in order", left(true), plain, R::command,
       "the agent had been ended in order before; nobody said why"},
      {"shut down", left(true, R::command), plain, R::command, "noted"},
      {"shut down by means of the watchdog", left(true, R::command), bitten, R::command, "noted"},
      {"cut while it was shut down", left(false, R::command), plain, R::command, "noted"},
      {"updated", left(true, R::update), plain, R::update, "noted"},
      {"power went, as noted", left(false, R::low_power), plain, R::low_power, "noted"},
      {"a new panic", left(false, R::unknown, had), panicked, R::kernel_panic,
       "Attempted to kill init!"},
      {"a new panic while it was shut down", left(true, R::command, had), panicked, R::kernel_panic,
       "Attempted to kill init!"},
      {"a panic without words", left(false), wordless, R::kernel_panic, "the kernel has left new"},
      {"a panic of before", left(false, R::unknown, had), old, R::power_loss,
       "the machine went down while the agent ran, without a word"},
  };
}

TEST(BootRecord, TheReasonIsTheOneThatTheEvidenceSpeaksFor) {
  for (const Case& one : cases()) {
    const BootRecord record(one.before, one.evidence);
    EXPECT_FALSE(record.damaged()) << one.name;
    EXPECT_EQ(to_string(record.state().reason), to_string(one.reason)) << one.name;
    EXPECT_EQ(record.state().detail, one.detail) << one.name;
    EXPECT_TRUE(record.state().first_run) << one.name;
    EXPECT_EQ(record.state().boots.at(static_cast<std::size_t>(one.reason)),
              one.before.empty() || one.reason != BootReason::unknown ? 1U : 2U)
        << one.name;
  }
}

TEST(BootRecord, ItIsJudgedOnceABoot) {
  std::string text = left(false);
  BootEvidence evidence = boot("b2");
  evidence.watchdog_reset = true;
  for (int run = 0; run < 3; ++run) {
    BootRecord record(text, evidence);
    EXPECT_EQ(record.state().reason, BootReason::watchdog);
    EXPECT_EQ(record.state().first_run, run == 0);
    EXPECT_EQ(record.state().boots.at(static_cast<std::size_t>(BootReason::watchdog)), 1U);
    record.end();
    text = record.text();
  }
}

TEST(BootRecord, ANoteOfAnEndThatDidNotComeIsForgottenByTheNextRun) {
  const BootRecord again(left(true, BootReason::update), boot("b1"));
  EXPECT_EQ(again.text().find("note"), std::string::npos);
  EXPECT_EQ(BootRecord(again.text(), boot("b2")).state().reason, BootReason::power_loss);
  BootRecord called_off("", boot("b1"));
  called_off.note(BootReason::low_power, "the battery");
  called_off.forget_note();
  EXPECT_EQ(called_off.text().find("note"), std::string::npos);
}

TEST(BootRecord, AReasonReplacesTheCommandThatItLeadsTo) {
  const auto noted = [](BootReason first, BootReason second) {
    BootRecord record("", boot("b1"));
    record.note(first, "1");
    record.note(second, "2");
    return BootRecord(record.text(), boot("b2")).state();
  };
  EXPECT_EQ(noted(BootReason::low_power, BootReason::command).reason, BootReason::low_power);
  EXPECT_EQ(noted(BootReason::command, BootReason::update).reason, BootReason::update);
  EXPECT_EQ(noted(BootReason::command, BootReason::command).detail, "2");
}

TEST(BootRecord, WhatMakesNoSenseIsSaidAndNothingIsKnown) {
  const std::string good = left(true);
  for (const std::string& text :
       {std::string("x"), good.substr(0, good.size() - 1), good + "reason nonsense x\n",
        good + "count update x\n", good + "other\n", std::string("holdfast boots 1\nrun open\n"),
        std::string("holdfast boots 1\nboot b1\nrun away\n"),
        good + std::string(kBootTextMax, '\n')}) {
    const BootRecord record(text, boot("b2"));
    EXPECT_TRUE(record.damaged()) << text.substr(0, 80);
    EXPECT_EQ(record.state().reason, BootReason::unknown);
    EXPECT_EQ(BootRecord(record.text(), boot("b3")).damaged(), false);
  }
}

TEST(BootRecord, ItsTextIsBoundedWhateverItWasGiven) {
  BootEvidence evidence = boot(std::string(1000, 'i'));
  for (std::size_t i = 0; i < 10 * kPanicsMax; ++i) {
    evidence.panics.push_back({std::string(1000, 'p') + std::to_string(i), std::string(1000, 'w')});
  }
  BootRecord record("", evidence);
  record.note(BootReason::update, std::string(1000, 'd') + "\n\nboot x");
  EXPECT_LE(record.text().size(), kBootTextMax);
  const BootRecord next(record.text(), boot("b2"));
  EXPECT_FALSE(next.damaged());
  EXPECT_EQ(next.state().reason, BootReason::update);
}

}  // namespace
}  // namespace holdfast::health
