// Goal: ids tell durable from memory messages, and a message's cost covers every byte it brings.
// Method: values at both sides of the id bit; cost compared before and after adding bytes. Times:
//         their order, and that the largest one counts as never.
#include "base/message.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "base/time.h"

namespace holdfast {
namespace {

TEST(MessageIds, OneBitTellsMemoryFromDurable) {
  EXPECT_FALSE(is_volatile(1));
  EXPECT_FALSE(is_volatile(kVolatileBit - 1));
  EXPECT_TRUE(is_volatile(kVolatileBit));
  EXPECT_TRUE(is_volatile(kVolatileBit | 1));
}

TEST(MessageCost, GrowsByEachByteOfEachPart) {
  StoredMessage message;
  const std::size_t empty = message.cost();
  EXPECT_GE(empty, sizeof(StoredMessage)) << "an empty message costs memory, too";
  message.topic = "a/b";
  message.payload.assign(100, std::byte{0});
  message.content_type = "text/plain";
  message.user_properties = {{"name", "value"}, {"n", ""}};
  EXPECT_EQ(message.cost(), empty + 3 + 100 + 10 + 9 + 1);
}

TEST(MessageDefaults, AreTheSafeOnes) {
  const StoredMessage message;
  EXPECT_EQ(message.id, 0U);
  EXPECT_EQ(message.qos, Qos::at_least_once);
  EXPECT_FALSE(message.retain);
  EXPECT_FALSE(message.expiry_seconds.has_value());
}

TEST(Times, AreOrderedAndNeverComesLast) {
  EXPECT_LT(WallTime{-1}, WallTime{0});
  EXPECT_EQ(WallTime{7}, WallTime{7});
  EXPECT_LT(BootTime{} + std::chrono::hours(24 * 365 * 200), kNever);
}

// The header relates limits to each other at compile time; these relate them to MQTT and AWS.
TEST(Limits, StayWithinTheProtocolAndTheQuotas) {
  EXPECT_LE(limits::kTopicMax, limits::kMqttString);
  EXPECT_LE(limits::kContentTypeMax, limits::kMqttString);
  EXPECT_LE(limits::kClientIdMax, 128U);
  EXPECT_LE(limits::kFiltersPerSubscribe, 8U);
  EXPECT_GT(limits::kMessageMax, limits::kPayloadMax);
}

}  // namespace
}  // namespace holdfast
