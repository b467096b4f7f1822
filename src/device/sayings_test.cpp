// Goal:   the core's lines carry what they say as values, too.
// Method: pure functions, looked at.
#include "device/sayings.h"

#include <gtest/gtest.h>

namespace holdfast::device {
namespace {

TEST(Sayings, StorageSaysItsState) {
  const LogLine full = storage_is(StorageHealth::full, OnFault::reject);
  EXPECT_EQ(full.level, LogLevel::warning);
  EXPECT_EQ(full.area, LogArea::outbox);
  EXPECT_NE(full.text.find("storage: full; new durable messages are rejected"), std::string::npos);
  EXPECT_EQ(full.fields, (LogFields{{"state", "full"}}));
  EXPECT_NE(storage_is(StorageHealth::full, OnFault::memory).text.find("kept in RAM"),
            std::string::npos);
  EXPECT_EQ(storage_is(StorageHealth::ok, OnFault::reject).level, LogLevel::info);
  EXPECT_EQ(disk_answers(false).fields, (LogFields{{"state", "slow"}}));
  EXPECT_EQ(disk_answers(true).level, LogLevel::info);
}

TEST(Sayings, DenialsHaveVerdictTopicAndCode) {
  const LogLine denied = operation_denied({flow::Operation::Kind::publish, "a/b"}, 0x87);
  EXPECT_EQ(denied.verdict, Verdict::publish_denied);
  EXPECT_EQ(denied.area, LogArea::flow);
  EXPECT_EQ(denied.fields, (LogFields{{"topic", "a/b"}, {"reason_code", 0x87}}));
  EXPECT_TRUE(denied.text.starts_with("publish_denied: ")) << denied.text;

  flow::Subscriptions::Notice notice;
  notice.filter = "cmd/#";
  notice.code = 0x87;
  EXPECT_EQ(filter_refused(notice, true).verdict, Verdict::subscribe_denied);
  EXPECT_FALSE(filter_refused(notice, false).verdict);
  EXPECT_NE(filter_refused(notice, true).text.find("'cmd/#' refused (0x87)"), std::string::npos);
}

TEST(Sayings, WhatIsSetAsideAndNoMoreIsSaidByName) {
  using Kind = flow::Operation::Kind;
  const auto lines = set_aside(Kind::publish, {"a", "b"}, {"b", "c"});
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].text, "topic 'c' is set aside, and tried alone later");
  EXPECT_EQ(lines[0].fields, (LogFields{{"topic", "c"}}));
  EXPECT_EQ(lines[1].text, "topic 'a' is no longer set aside");
  EXPECT_EQ(set_aside(Kind::subscribe, {}, {"f"}).front().fields, (LogFields{{"filter", "f"}}));
}

}  // namespace
}  // namespace holdfast::device
