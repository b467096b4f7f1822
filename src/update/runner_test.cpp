// Goal:   wherever a job is cut, the device goes on or goes back, and says what has become of it.
// Method: the simulated device of sim/update_world.h is cut at each instant, by power and by a
// crash;
//         what takes another cut or a cancellation besides, at some. By hand: what it never does.
#include "update/runner.h"

#include <gtest/gtest.h>

#include "sim/seeded_random.h"
#include "sim/update_world.h"

namespace holdfast::update {
namespace {

using sim::run_update;
using sim::update_cases;
using Kind = StepOutcome::Kind;
using std::chrono::minutes;

constexpr const char* kBoot = "00000000000000000000000000000001";
constexpr const char* kNextBoot = "00000000000000000000000000000002";

// Field lesson 48.
TEST(RunnerTest, EachInstantIsCutOnceByPowerAndByACrash) {
  for (const auto& what : update_cases()) {
    const std::uint64_t instants = run_update(what, {}).instants;
    EXPECT_GT(instants, 8U) << what.name;
    for (std::uint64_t at = 0; at < instants; ++at) {
      for (const bool power : {true, false}) {
        const auto result = run_update(what, {{{at, power}}, {}, at + 1});
        EXPECT_EQ(result.wrong, "") << what.name << ", cut at " << at << ", power " << power;
      }
    }
  }
}

// Found by update_sim (app-ill, seed 1, cut at 50 by a crash and at 53 by power): the journal that
// a killed process had renamed, but not synced, was acted on, and gone after the power cut.
TEST(RunnerTest, WhatAKilledProcessHadNotSyncedIsSyncedBeforeItIsActedOn) {
  for (const auto& what : update_cases()) {
    if (what.name != "app-ill") continue;
    const std::uint64_t instants = run_update(what, {}).instants;
    for (std::uint64_t at = 0; at < instants; ++at) {
      for (std::uint64_t then = at + 1; then < at + 20; ++then) {
        const auto result = run_update(what, {{{at, false}, {then, true}}, {}, 1});
        EXPECT_EQ(result.wrong, "") << "cut at " << at << " and " << then;
      }
    }
  }
}

TEST(RunnerTest, ACancelledJobLeavesAWholeDevice) {
  for (const auto& what : update_cases()) {
    const std::uint64_t instants = run_update(what, {}).instants;
    for (std::uint64_t at = 0; at < instants; ++at) {
      for (const std::uint64_t later : {0U, 3U, 9U}) {
        sim::UpdateFaults faults{{{at + later, true}}, at, at + 1};
        EXPECT_EQ(run_update(what, faults).wrong, "")
            << what.name << ", cancelled at " << at << ", cut at " << at + later;
      }
    }
  }
}

/// One process's life by hand.
struct Hand {
  sim::SeededRandom random{3};
  BootTime now{};
  Runner runner;
  explicit Hand(Plan plan) : runner({}, {}, kBoot, random) {
    runner.begin("job", 1, "{}", std::move(plan));
  }
  Hand(const JobJournal& journal, Plan plan, const char* boot)
      : runner(journal, std::move(plan), boot, random) {}

  Runner::Order next() {
    for (;;) {
      const auto order = runner.next(now);
      if (order.what == JobOrder::write) {
        runner.written(now, true);
      } else if (order.what == JobOrder::wait) {
        EXPECT_GT(order.until, now);
        now = order.until;
      } else {
        return order;
      }
    }
  }
  [[nodiscard]] std::string detail(const std::string& name) const {
    for (const auto& [key, value] : runner.journal().details) {
      if (key == name) return value;
    }
    return "";
  }
};

Plan plan_of(std::initializer_list<StepKind> kinds) {
  Plan plan{{}, "app 2"};
  for (const StepKind kind : kinds) plan.steps.push_back({kind, "a step"});
  return plan;
}

TEST(RunnerTest, TheJournalIsWrittenBeforeEachSideEffect) {
  sim::SeededRandom random(1);
  Runner runner({}, {}, kBoot, random);
  runner.begin("job", 1, "{}", plan_of({StepKind::command, StepKind::command}));
  for (std::size_t step = 0; step < 2; ++step) {
    ASSERT_EQ(runner.next({}).what, JobOrder::write);
    EXPECT_EQ(runner.journal().step, step);
    EXPECT_TRUE(runner.journal().begun);
    runner.written({}, true);
    ASSERT_EQ(runner.next({}).what, JobOrder::perform);
    runner.done({}, {Kind::done, "", {{"stdout", "said " + std::to_string(step)}}});
  }
  ASSERT_EQ(runner.next({}).what, JobOrder::write);
  EXPECT_FALSE(runner.to_be_told()) << "its end is not on disk yet";
  runner.written({}, true);
  EXPECT_TRUE(runner.to_be_told());
  EXPECT_EQ(runner.journal().status, JobStatus::succeeded);
  EXPECT_EQ(runner.journal().details, (Details{{"stdout", "said 1"}}));
}

TEST(RunnerTest, AJournalThatCannotBeWrittenStopsTheJobBeforeTheStep) {
  sim::SeededRandom random(1);
  Runner runner({}, {}, kBoot, random);
  runner.begin("job", 1, "{}", plan_of({StepKind::command}));
  BootTime now{};
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(runner.next(now).what, JobOrder::write);
    runner.written(now, false);
    const auto order = runner.next(now);
    ASSERT_EQ(order.what, JobOrder::wait);
    EXPECT_LE(order.until, now + kJobPauseCap);
    now = order.until;
  }
  ASSERT_EQ(runner.next(now).what, JobOrder::write);
  runner.written(now, true);
  EXPECT_EQ(runner.next(now).what, JobOrder::perform);
}

TEST(RunnerTest, ACutCommandIsNotRunAgainAndSaysWhy) {
  Hand hand(plan_of({StepKind::command}));
  ASSERT_EQ(hand.next().what, JobOrder::perform);
  for (const char* boot : {kBoot, kNextBoot}) {
    Hand after(hand.runner.journal(), plan_of({StepKind::command}), boot);
    EXPECT_EQ(after.next().what, JobOrder::nothing);
    EXPECT_TRUE(after.runner.to_be_told());
    EXPECT_EQ(after.runner.journal().status, JobStatus::failed);
    EXPECT_NE(after.detail("reason").find("whether it has had its effect is not known"),
              std::string::npos);
    EXPECT_EQ(after.detail("step"), "a step");
  }
}

// Field lessons 43 and 49.
TEST(RunnerTest, AnotherBootIdAloneProvesAReboot) {
  const Plan plan = plan_of({StepKind::reboot, StepKind::command});
  Hand hand(plan);
  ASSERT_EQ(hand.next().what, JobOrder::perform);
  Hand rebooted(hand.runner.journal(), plan, kNextBoot);
  const auto order = rebooted.next();
  EXPECT_EQ(order.what, JobOrder::perform);
  EXPECT_EQ(order.step, 1U);
  Hand restarted(hand.runner.journal(), plan, kBoot);
  EXPECT_EQ(restarted.next().step, 0U) << "it has not rebooted";
}

// Field lesson 43.
TEST(RunnerTest, ARebootThatDoesNotComeIsAskedForThreeTimes) {
  Hand hand(plan_of({StepKind::reboot}));
  for (unsigned i = 0; i < kRebootsAsked; ++i) {
    ASSERT_EQ(hand.next().what, JobOrder::perform) << i;
    hand.runner.done(hand.now, {});
  }
  EXPECT_EQ(hand.next().what, JobOrder::nothing);
  EXPECT_EQ(hand.runner.journal().status, JobStatus::failed);
  EXPECT_GE(hand.now - BootTime{}, kRebootsAsked * kRebootPatience);
}

// Field lessons 44 and 49.
TEST(RunnerTest, AVersionUnderWhichTheDeviceRestartsAgainAndAgainIsTakenBack) {
  const Plan plan = plan_of({StepKind::activate, StepKind::prove, StepKind::commit});
  Hand hand(plan);
  ASSERT_EQ(hand.next().what, JobOrder::perform);
  hand.runner.done(hand.now, {});
  ASSERT_EQ(hand.next().step, 1U);
  JobJournal journal = hand.runner.journal();
  for (unsigned i = 1; i < kProofInterruptions; ++i) {
    Hand again(journal, plan, kNextBoot);
    const auto order = again.next();
    ASSERT_EQ(order.what, JobOrder::perform);
    EXPECT_TRUE(order.again);
    journal = again.runner.journal();
  }
  Hand last(journal, plan, kNextBoot);
  EXPECT_EQ(last.next().what, JobOrder::take_back);
  last.runner.done(last.now, {});
  EXPECT_EQ(last.next().what, JobOrder::nothing);
  EXPECT_EQ(last.runner.journal().status, JobStatus::failed);
  EXPECT_NE(last.detail("reason").find("the version before is back"), std::string::npos);
}

// Field lesson 48.
TEST(RunnerTest, AVersionThatFailsThreeTimesIsNotTriedAgain) {
  const Plan plan = plan_of({StepKind::activate, StepKind::prove, StepKind::commit});
  Hand hand(plan);
  for (unsigned i = 1; i <= kVersionTries; ++i) {
    EXPECT_EQ(hand.runner.banned("app 2"), "");
    ASSERT_EQ(hand.next().what, JobOrder::perform);
    hand.runner.done(hand.now, {});
    ASSERT_EQ(hand.next().what, JobOrder::perform);
    hand.runner.done(hand.now, {Kind::failed, "no cloud"});
    ASSERT_EQ(hand.next().what, JobOrder::take_back);
    hand.runner.done(hand.now, {});
    ASSERT_EQ(hand.next().what, JobOrder::nothing);
    hand.runner.acknowledged();
    ASSERT_EQ(hand.next().what, JobOrder::nothing);
    EXPECT_EQ(hand.runner.ended("job", i), JobStatus::failed);
    if (i < kVersionTries) hand.runner.begin("job", i + 1, "{}", plan);
  }
  EXPECT_NE(hand.runner.banned("app 2").find("3 times"), std::string::npos);
  EXPECT_EQ(hand.runner.banned("app 3"), "");
}

// Field lesson 50.
TEST(RunnerTest, TakingBackIsTriedForEver) {
  Hand hand(plan_of({StepKind::activate, StepKind::prove, StepKind::commit}));
  ASSERT_EQ(hand.next().what, JobOrder::perform);
  hand.runner.done(hand.now, {Kind::failed, "no"});
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(hand.next().what, JobOrder::take_back);
    hand.runner.done(hand.now, {Kind::failed, "the disk is read-only"});
  }
  EXPECT_GT(hand.now - BootTime{}, minutes(200));
  EXPECT_EQ(hand.next().what, JobOrder::take_back);
  hand.runner.done(hand.now, {});
  EXPECT_EQ(hand.next().what, JobOrder::nothing);
}

TEST(RunnerTest, AnUnreadableDocumentAfterARestartTakesBackWhatItHadActivated) {
  Hand hand(plan_of({StepKind::activate, StepKind::prove, StepKind::commit}));
  ASSERT_EQ(hand.next().what, JobOrder::perform);
  Hand after(hand.runner.journal(), {}, kBoot);
  EXPECT_EQ(after.next().what, JobOrder::take_back);
}

TEST(RunnerTest, AnIgnoredFailureGoesOn) {
  Plan plan = plan_of({StepKind::command, StepKind::command});
  plan.steps[0].ignore_failure = true;
  Hand hand(plan);
  ASSERT_EQ(hand.next().what, JobOrder::perform);
  hand.runner.done(hand.now, {Kind::failed, "exit code 1"});
  EXPECT_EQ(hand.next().step, 1U);
}

TEST(RunnerTest, ARefusalBeforeAnActivationIsARejection) {
  Hand hand(plan_of({StepKind::download, StepKind::install}));
  ASSERT_EQ(hand.next().what, JobOrder::perform);
  hand.runner.done(hand.now, {Kind::rejected, "its signature is not ours"});
  EXPECT_EQ(hand.next().what, JobOrder::nothing);
  EXPECT_EQ(hand.runner.journal().status, JobStatus::rejected);
  EXPECT_EQ(hand.detail("reason"), "its signature is not ours");
}

}  // namespace
}  // namespace holdfast::update
