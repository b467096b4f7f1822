// Goal:   a plan that activates proves and commits; details are such as the service takes.
#include "update/plan.h"

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace holdfast::update {
namespace {

Plan plan_of(std::initializer_list<StepKind> kinds) {
  Plan plan;
  for (const StepKind kind : kinds) plan.steps.push_back({kind, "step"});
  return plan;
}

TEST(PlanTest, WhatActivatesProvesAndCommits) {
  using K = StepKind;
  EXPECT_EQ(problem_of(plan_of({K::command})), "");
  EXPECT_EQ(problem_of(plan_of({K::download, K::install, K::gate, K::activate, K::reboot, K::prove,
                                K::commit, K::command})),
            "");
  EXPECT_NE(problem_of(plan_of({})), "");
  EXPECT_NE(problem_of(plan_of({K::activate})), "");
  EXPECT_NE(problem_of(plan_of({K::activate, K::prove})), "");
  EXPECT_NE(problem_of(plan_of({K::activate, K::commit})), "");
  EXPECT_NE(problem_of(plan_of({K::prove, K::commit})), "");
  EXPECT_NE(problem_of(plan_of({K::activate, K::activate, K::prove, K::commit})), "");
  Plan long_one;
  long_one.steps.resize(limits::kJobSteps);
  EXPECT_EQ(problem_of(long_one), "");
  long_one.steps.emplace_back();
  EXPECT_NE(problem_of(long_one), "");
}

TEST(PlanTest, DetailsHaveNoControlCharactersAndAreNeverEmpty) {
  EXPECT_EQ(clean_detail("one\ntwo\t3"), "one two 3");
  EXPECT_EQ(clean_detail("done\n"), "done");
  EXPECT_EQ(clean_detail(""), "-");
  EXPECT_EQ(clean_detail("\n\n"), "-");
  EXPECT_EQ(clean_detail(std::string_view("a\0b", 3)), "a b");
  EXPECT_EQ(clean_detail("\xC2\x85gr\xC3\xBC\xC3\x9F"), " gr\xC3\xBC\xC3\x9F");
  EXPECT_EQ(clean_detail("\x7F\x1B[31m"), "  [31m");
  EXPECT_EQ(clean_detail("b\xFFroken"), "b?roken");
}

TEST(PlanTest, OfLongDetailsTheEndIsKept) {
  std::string text(3000, 'x');
  text += "the end";
  const std::string kept = clean_detail(text);
  EXPECT_EQ(kept.size(), limits::kJobDetailMax);
  EXPECT_TRUE(kept.ends_with("the end"));
  std::string umlauts;
  for (int i = 0; i < 1000; ++i) umlauts += "\xC3\xA4";
  umlauts += "!";  // the limit falls into the midst of one
  EXPECT_TRUE(valid_utf8(clean_detail(umlauts)));
  EXPECT_TRUE(clean_detail(umlauts).ends_with("\xC3\xA4!"));
}

}  // namespace
}  // namespace holdfast::update
