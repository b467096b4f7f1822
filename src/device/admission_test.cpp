// Goal: what can never be sent is refused at the door, with the reason that fits.
// Method: one good message; each row breaks one thing and names the expected reason.
#include "device/admission.h"

#include <gtest/gtest.h>

#include <functional>

namespace holdfast::device {
namespace {

Message good() {
  Message message;
  message.topic = "plant/1/temperature";
  message.payload.resize(20);
  return message;
}

TEST(Admission, AGoodMessageKeepsEveryField) {
  Message message = good();
  message.qos = Qos::at_most_once;
  message.retain = true;
  message.lane = "bulk";
  message.expiry = Seconds(90);
  message.content_type = "text/plain";
  message.user_properties = {{"k", "v"}, {"k", "w"}};
  message.response_topic = "plant/1/answers";
  message.correlation_data = {std::byte{0}, std::byte{0xFF}};
  const Admission answer = admit(message, Config{});
  ASSERT_EQ(answer.rejected, RejectReason::none);
  EXPECT_EQ(answer.message.id, 0U);
  EXPECT_EQ(answer.message.lane, 2);
  EXPECT_EQ(answer.message.qos, Qos::at_most_once);
  EXPECT_TRUE(answer.message.retain);
  EXPECT_EQ(answer.message.expiry_seconds, 90U);
  EXPECT_EQ(answer.message.topic, message.topic);
  EXPECT_EQ(answer.message.payload, message.payload);
  EXPECT_EQ(answer.message.content_type, "text/plain");
  EXPECT_EQ(answer.message.user_properties, message.user_properties);
  EXPECT_EQ(answer.message.response_topic, "plant/1/answers");
  EXPECT_EQ(answer.message.correlation_data, message.correlation_data);
}

TEST(Admission, EveryReasonToRefuse) {
  struct Row {
    RejectReason reason;
    std::function<void(Message&)> spoil;
  };
  const Row rows[] = {
      {RejectReason::invalid_topic, [](Message& m) { m.topic.clear(); }},
      {RejectReason::invalid_topic, [](Message& m) { m.topic = "a/#"; }},
      {RejectReason::invalid_topic, [](Message& m) { m.topic = "1/2/3/4/5/6/7/8/9"; }},
      {RejectReason::invalid_topic, [](Message& m) { m.topic.assign(257, 'x'); }},
      {RejectReason::invalid_field, [](Message& m) { m.expiry = Seconds(0); }},
      {RejectReason::invalid_field, [](Message& m) { m.expiry = Seconds(-1); }},
      {RejectReason::invalid_field, [](Message& m) { m.expiry = Seconds(std::int64_t{1} << 32); }},
      {RejectReason::invalid_field, [](Message& m) { m.content_type = "\xFF"; }},
      {RejectReason::invalid_field,
       [](Message& m) {
         m.user_properties = {{"a", "\xC0"}};
       }},
      {RejectReason::invalid_field, [](Message& m) { m.response_topic = "answers/+"; }},
      {RejectReason::invalid_field, [](Message& m) { m.response_topic.assign(257, 'x'); }},
      {RejectReason::invalid_field, [](Message& m) { m.qos = static_cast<Qos>(2); }},
      {RejectReason::unknown_lane, [](Message& m) { m.lane = "express"; }},
      {RejectReason::too_large, [](Message& m) { m.payload.resize(128 * 1024 + 1); }},
      {RejectReason::too_large, [](Message& m) { m.content_type.assign(257, 'x'); }},
      {RejectReason::too_large, [](Message& m) { m.correlation_data.resize(8193); }},
      {RejectReason::too_large,
       [](Message& m) {
         m.user_properties = {{"a", std::string(8192, 'x')}};
       }},
      {RejectReason::too_large,
       [](Message& m) {
         m.user_properties.assign(5000, {std::string(), std::string()});
       }},
  };
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    Message message = good();
    rows[i].spoil(message);
    EXPECT_EQ(admit(message, Config{}).rejected, rows[i].reason) << "row " << i;
  }
}

TEST(Admission, ThePayloadLimitIsExact) {
  Message message = good();
  message.payload.resize(128 * 1024);
  EXPECT_EQ(admit(message, Config{}).rejected, RejectReason::none);
  Config config;
  config.limits.payload = 10;
  EXPECT_EQ(admit(message, config).rejected, RejectReason::too_large);
}

}  // namespace
}  // namespace holdfast::device
