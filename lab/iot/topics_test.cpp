// Topic names and filters as the service takes them.
#include "lab/iot/topics.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::lab::iot {
namespace {

TEST(LabTopics, NamesHaveEightLevelsAnd256Bytes) {
  EXPECT_EQ(judge_topic("a/b/c/d/e/f/g/h"), TopicVerdict::good);
  EXPECT_EQ(judge_topic("a/b/c/d/e/f/g/h/i"), TopicVerdict::too_long);
  EXPECT_EQ(judge_topic(std::string(256, 'x')), TopicVerdict::good);
  EXPECT_EQ(judge_topic(std::string(257, 'x')), TopicVerdict::too_long);
  EXPECT_EQ(judge_topic("a/+"), TopicVerdict::malformed);
  EXPECT_EQ(judge_topic(""), TopicVerdict::malformed);
}

TEST(LabTopics, ReservedTopicsAreTheServicesOnly) {
  EXPECT_EQ(judge_topic("$aws/things/pump/jobs/job-1/update"), TopicVerdict::good);
  EXPECT_EQ(judge_topic("$aws/things/pump/shadow/name/n/update"), TopicVerdict::good);
  EXPECT_EQ(judge_topic("$other/topic"), TopicVerdict::reserved);
  EXPECT_EQ(judge_topic("$share/group/a"), TopicVerdict::reserved);
  EXPECT_EQ(judge_filter("$aws/things/+/jobs/#"), TopicVerdict::good);
  EXPECT_EQ(judge_filter("$invalid/reserved/topic"), TopicVerdict::reserved);
}

TEST(LabTopics, TheRuleOfBasicIngestDoesNotCount) {
  EXPECT_EQ(basic_ingest_rule("$aws/rules/my_rule/a/b"), "my_rule");
  EXPECT_EQ(basic_ingest_rule("$aws/rules/my_rule"), "");
  EXPECT_EQ(basic_ingest_rule("a/b"), "");
  EXPECT_EQ(judge_topic("$aws/rules/r/a/b/c/d/e/f/g/h"), TopicVerdict::good);
  EXPECT_EQ(judge_topic("$aws/rules/r/a/b/c/d/e/f/g/h/i"), TopicVerdict::too_long);
  EXPECT_EQ(judge_topic("$aws/rules/r/"), TopicVerdict::malformed);
}

TEST(LabTopics, FiltersHaveTheirWildcardsInPlace) {
  EXPECT_EQ(judge_filter("#"), TopicVerdict::good);
  EXPECT_EQ(judge_filter("a/+/b/#"), TopicVerdict::good);
  for (const char* wrong :
       {"", "a#", "a/#/b", "a+/b", "+a", "$share/g", "$share//a", "$share/+/a"}) {
    EXPECT_EQ(judge_filter(wrong), TopicVerdict::malformed) << wrong;
  }
  EXPECT_EQ(judge_filter("$share/group/a/b/c/d/e/f/g/h"), TopicVerdict::good);
  EXPECT_EQ(judge_filter("$share/group/a/b/c/d/e/f/g/h/i"), TopicVerdict::too_long);
}

TEST(LabTopics, AFilterWithHashDoesNotMatchItsParent) {
  EXPECT_FALSE(matches("a/#", "a"));
  EXPECT_TRUE(matches("a/#", "a/"));
  EXPECT_TRUE(matches("a/#", "a/b/c"));
  EXPECT_FALSE(matches("$share/g/a/#", "a"));
  EXPECT_TRUE(matches("$share/g/a/#", "a/b"));
  EXPECT_TRUE(matches("#", "a"));
  EXPECT_FALSE(matches("#", "$aws/things/x/jobs/notify"));
  EXPECT_TRUE(matches("a/+", "a/b"));
}

TEST(LabTopics, OnlyExactFiltersGetRetainedMessages) {
  EXPECT_TRUE(is_exact("a/b"));
  EXPECT_FALSE(is_exact("a/+"));
  EXPECT_FALSE(is_exact("#"));
  EXPECT_FALSE(is_exact("$share/g/a"));
}

}  // namespace
}  // namespace holdfast::lab::iot
