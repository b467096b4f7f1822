// The Region's own client: nothing that services publish is lost or turned around.
#include "lab/iot/publisher.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::lab::iot {
namespace {

Answer message(const std::string& topic) {
  return {Answer::To::broker, {}, topic, "{}", 1, false, {}};
}

std::vector<mqtt::Publish> published(Publisher& publisher) {
  mqtt::Framer framer;
  framer.feed(publisher.take());
  std::vector<mqtt::Publish> all;
  while (const auto frame = *framer.next()) {
    all.push_back(std::get<mqtt::Publish>(*mqtt::decode(mqtt::Version::v5, *frame)));
  }
  return all;
}

Status broker_says(Publisher& publisher, const mqtt::Packet& packet) {
  return publisher.on_frame(mqtt::encode(mqtt::Version::v5, packet));
}

TEST(LabPublisher, WaitsForConnackAndSendsInOrder) {
  Publisher publisher("secret");
  EXPECT_FALSE(publisher.wants_connection());
  publisher.add(message("a"), {1});
  publisher.add(message("b"), {2});
  EXPECT_TRUE(publisher.wants_connection());
  const auto connect =
      std::get<mqtt::Connect>(*mqtt::decode(mqtt::Version::v5, publisher.opened()));
  EXPECT_EQ(connect.password, "secret");
  EXPECT_TRUE(publisher.take().empty());
  ASSERT_TRUE(broker_says(publisher, mqtt::Connack{}));
  const auto sent = published(publisher);
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].topic, "a");
  EXPECT_EQ(sent[0].qos, 1);
  ASSERT_TRUE(broker_says(publisher, mqtt::Ack{mqtt::Type::puback, sent[0].packet_id, 0, {}}));
  EXPECT_EQ(publisher.waiting(), 1U);
}

TEST(LabPublisher, WhatWasNotAcknowledgedGoesAgain) {
  Publisher publisher("secret");
  publisher.add(message("a"), {1});
  static_cast<void>(publisher.opened());
  ASSERT_TRUE(broker_says(publisher, mqtt::Connack{}));
  EXPECT_EQ(published(publisher).size(), 1U);
  publisher.closed();
  EXPECT_TRUE(published(publisher).empty());
  static_cast<void>(publisher.opened());
  ASSERT_TRUE(broker_says(publisher, mqtt::Connack{}));
  EXPECT_EQ(published(publisher).at(0).topic, "a");
}

TEST(LabPublisher, ForgetsASessionWithAConnectionOfItsOwn) {
  Publisher publisher("secret");
  publisher.forget("pump");
  publisher.add(message("a"), {1});
  const auto connect =
      std::get<mqtt::Connect>(*mqtt::decode(mqtt::Version::v5, publisher.opened()));
  EXPECT_EQ(connect.client_id, "pump");
  EXPECT_TRUE(connect.clean_start);
  ASSERT_TRUE(broker_says(publisher, mqtt::Connack{}));
  EXPECT_TRUE(publisher.done());
  EXPECT_TRUE(publisher.take().empty());
  publisher.closed();
  const auto next = std::get<mqtt::Connect>(*mqtt::decode(mqtt::Version::v5, publisher.opened()));
  EXPECT_EQ(next.client_id, "$lab/publisher");
}

TEST(LabPublisher, GivesItsConnectionUpToForgetASessionOnceAllIsAcknowledged) {
  Publisher publisher("secret");
  publisher.add(message("a"), {1});
  static_cast<void>(publisher.opened());
  ASSERT_TRUE(broker_says(publisher, mqtt::Connack{}));
  const auto sent = published(publisher);
  publisher.forget("pump");
  EXPECT_FALSE(publisher.must_reopen());
  ASSERT_TRUE(broker_says(publisher, mqtt::Ack{mqtt::Type::puback, sent.at(0).packet_id, 0, {}}));
  EXPECT_TRUE(publisher.must_reopen());
  publisher.closed();
  EXPECT_FALSE(publisher.must_reopen());
}

TEST(LabPublisher, IsBoundedAndNamesARefusal) {
  Publisher publisher("wrong");
  for (std::size_t i = 0; i < Publisher::kWaitingMost; ++i)
    ASSERT_TRUE(publisher.add(message("a"), {1}));
  EXPECT_FALSE(publisher.add(message("a"), {1}));
  static_cast<void>(publisher.opened());
  EXPECT_EQ(broker_says(publisher, mqtt::Connack{false, 0x87, {}}).error().code, Errc::permission);
  EXPECT_FALSE(publisher.on_frame("\x40").ok());
}

}  // namespace
}  // namespace holdfast::lab::iot
