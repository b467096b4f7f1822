// Goal: topic names and filters are accepted, refused and matched as MQTT 5.0 section 4.7 says.
// Method: tables; the examples of the specification, each limit at its edge, and broken UTF-8.
#include "flow/topic.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::flow {
namespace {

constexpr TopicLimits kLimits{};

TEST(Topic, GoodNames) {
  for (const std::string_view topic : {"a", "/", "a/b", "/a", "a/", "a//b", "$aws/things/x/jobs",
                                       "Grün/Öl", "1/2/3/4/5/6/7/8", "with space"}) {
    EXPECT_TRUE(check_topic(topic, kLimits)) << topic;
  }
  EXPECT_TRUE(check_topic(std::string(256, 'x'), kLimits));
}

TEST(Topic, BadNames) {
  for (const std::string_view topic :
       {"", "a/+", "#", "a#", "+", "1/2/3/4/5/6/7/8/9", "\xFF", "a/\xC0\x80", "\xED\xA0\x80"}) {
    EXPECT_FALSE(check_topic(topic, kLimits)) << topic;
  }
  EXPECT_FALSE(check_topic(std::string(257, 'x'), kLimits));
  EXPECT_FALSE(check_topic(std::string_view("a\0b", 3), kLimits));
  const Status status = check_topic("1/2/3", {256, 2});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::invalid_argument);
  EXPECT_EQ(status.error().message, "the topic has 3 levels; at most 2 are allowed");
}

TEST(Filter, GoodOnes) {
  for (const std::string_view filter :
       {"#", "+", "a/#", "+/+", "/+", "a/+/b", "+/b/#", "$share/group/a/+", "$share/g/#",
        "$aws/things/x/#", "$share/g/1/2/3/4/5/6/7/8"}) {
    EXPECT_TRUE(check_filter(filter, kLimits)) << filter;
  }
}

TEST(Filter, BadOnes) {
  for (const std::string_view filter :
       {"", "a#", "a/#/b", "#/a", "a+", "+a/b", "a/b+/c", "$share/", "$share/g", "$share//a",
        "$share/g/", "$share/g+/a", "$share/#/a", "1/2/3/4/5/6/7/8/9", "\x80"}) {
    EXPECT_FALSE(check_filter(filter, kLimits)) << filter;
  }
}

TEST(Matches, AsTheSpecificationSays) {
  struct Row {
    std::string_view filter;
    std::string_view topic;
    bool match;
  };
  const Row rows[] = {
      {"sport/tennis/player1/#", "sport/tennis/player1", true},
      {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
      {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
      {"sport/#", "sport", true},
      {"sport/#", "sports", false},
      {"#", "a/b/c", true},
      {"sport/tennis/+", "sport/tennis/player1", true},
      {"sport/tennis/+", "sport/tennis/player1/ranking", false},
      {"sport/+", "sport", false},
      {"sport/+", "sport/", true},
      {"+/+", "/finance", true},
      {"/+", "/finance", true},
      {"+", "/finance", false},
      {"#", "$SYS/x", false},
      {"+/monitor", "$SYS/monitor", false},
      {"$SYS/#", "$SYS/monitor", true},
      {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
      {"a/b", "a/b", true},
      {"a/b", "a/B", false},
      {"a/b", "a/b/", false},
      {"a/+/c", "a/b/c", true},
      {"a/+/c", "a//c", true},
      {"a/+/#", "a/b", true},
      {"a/+/#", "a", false},
      {"$share/g/a/+", "a/b", true},
      {"$share/g/a/+", "$share/g/a/b", false},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(matches(row.filter, row.topic), row.match) << row.filter << " on " << row.topic;
  }
}

TEST(Topic, AFilterCoversAnotherIfNothingTheOtherMatchesIsBesideIt) {
  for (const auto& [filter, asked] : std::vector<std::pair<const char*, const char*>>{
           {"#", "a/+/#"},
           {"a/#", "a"},
           {"a/#", "a/#"},
           {"a/#", "a/+/b"},
           {"a/+", "a/b"},
           {"a/+", "a/+"},
           {"+/b", "a/b"},
           {"a/b", "$share/crew/a/b"},
           {"$aws/#", "$aws/things/+/jobs"},
       }) {
    EXPECT_TRUE(covers(filter, asked)) << filter << ' ' << asked;
  }
  for (const auto& [filter, asked] : std::vector<std::pair<const char*, const char*>>{
           {"a/#", "#"},
           {"a/#", "+/b"},
           {"a/+", "a/#"},
           {"a/+", "a"},
           {"a/+", "a/b/c"},
           {"a/b", "a/+"},
           {"a/b", "a/b/#"},
           {"#", "$aws/things"},
           {"+/things", "$aws/things"},
           {"", "a"},
           {"a", ""},
       }) {
    EXPECT_FALSE(covers(filter, asked)) << filter << ' ' << asked;
  }
}

}  // namespace
}  // namespace holdfast::flow
