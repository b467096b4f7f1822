// Goal: a message reaches the handlers that still want it, within bounds, and a handler left behind
// uses nothing that has ended.
// Method: tasks are made and run by hand; sanitizers see what is used too late.
#include "runtime/subscribers.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace holdfast::runtime {
namespace {

constexpr std::size_t kRoom = 2000;

device::GiveMessage given(std::vector<SubscriptionId> to, std::size_t payload = 10) {
  device::GiveMessage message;
  message.to = std::move(to);
  message.message.topic = "a";
  message.message.payload = Bytes(payload);
  return message;
}

TEST(Subscribers, AMessageGoesToEachHandlerThatIsStillThere) {
  const auto subscribers = Subscribers::make();
  std::string seen;
  const SubscriptionId a = subscribers->add([&](const InboundMessage&) { seen += 'a'; });
  const SubscriptionId b = subscribers->add([&](const InboundMessage&) { seen += 'b'; });
  const auto task = subscribers->task_for(given({a, b}), kRoom);
  ASSERT_TRUE(task);
  (*task)();
  EXPECT_EQ(seen, "ab");
  EXPECT_TRUE(subscribers->remove(a));
  EXPECT_FALSE(subscribers->remove(a));
  (*task)();
  EXPECT_EQ(seen, "abb");
  EXPECT_EQ(subscribers->size(), 1U);
}

TEST(Subscribers, AMessageIsTakenWhenItsHandlersHaveRun) {
  const auto subscribers = Subscribers::make();
  std::string seen;
  subscribers->on_taken([&](flow::Delivery delivery) { seen += std::to_string(delivery); });
  const SubscriptionId a = subscribers->add([&](const InboundMessage&) { seen += 'a'; });
  const SubscriptionId b = subscribers->add([&](const InboundMessage&) { seen += 'b'; });
  device::GiveMessage message = given({a, b});
  message.delivery = 7;
  auto task = subscribers->task_for(message, kRoom);
  EXPECT_EQ(seen, "");
  (*task)();
  EXPECT_EQ(seen, "ab7");
  message.delivery = 8;
  task = subscribers->task_for(message, kRoom);
  task.reset();
  EXPECT_EQ(seen, "ab7") << "it was not run";
  const SubscriptionId thrower =
      subscribers->add([](const InboundMessage&) { throw std::runtime_error("no"); });
  message = given({thrower});
  message.delivery = 9;
  EXPECT_THROW((*subscribers->task_for(message, kRoom))(), std::runtime_error);
  EXPECT_EQ(seen, "ab79") << "a message that nobody can take must not hold up the others";
  task = subscribers->task_for(given({a}), kRoom);
  subscribers->on_taken(nullptr);
  (*task)();
  EXPECT_EQ(seen, "ab79a");
}

TEST(Subscribers, AMessageThatIsHeldIsTakenWhenTheHoldIsGone) {
  const auto subscribers = Subscribers::make();
  std::string seen;
  subscribers->on_taken([&](flow::Delivery delivery) { seen += std::to_string(delivery); });
  Hold held;
  const SubscriptionId holder =
      subscribers->add_held([&](const InboundMessage&, const Hold& hold) { held = hold; });
  const SubscriptionId other = subscribers->add([&](const InboundMessage&) { seen += 'o'; });
  device::GiveMessage message = given({holder, other});
  message.delivery = 7;
  (*subscribers->task_for(std::move(message), kRoom))();
  EXPECT_EQ(seen, "o");
  EXPECT_TRUE(subscribers->remove(holder));
  Hold copy = held;
  held = nullptr;
  EXPECT_EQ(seen, "o");
  copy = nullptr;
  EXPECT_EQ(seen, "o7");
}

TEST(Subscribers, WhatBelongsToNoSubscriptionGoesToThoseWhoWantSuch) {
  const auto subscribers = Subscribers::make();
  std::string seen;
  const SubscriptionId plain = subscribers->add([&](const InboundMessage&) { seen += 'p'; });
  device::GiveMessage stray = given({});
  EXPECT_FALSE(subscribers->address(stray)) << "nobody wants it";
  const SubscriptionId a = subscribers->add_unmatched([&](const InboundMessage&) { seen += 'a'; });
  static_cast<void>(subscribers->add_unmatched([&](const InboundMessage&) { seen += 'b'; }));
  device::GiveMessage matched = given({plain});
  ASSERT_TRUE(subscribers->address(matched));
  ASSERT_TRUE(subscribers->address(stray));
  (*subscribers->task_for(std::move(matched), kRoom))();
  (*subscribers->task_for(std::move(stray), kRoom))();
  EXPECT_EQ(seen, "pab");
  EXPECT_TRUE(subscribers->remove(a));
  stray = given({});
  ASSERT_TRUE(subscribers->address(stray));
  EXPECT_EQ(stray.to.size(), 1U);
  subscribers->clear();
  stray = given({});
  EXPECT_FALSE(subscribers->address(stray));
}

TEST(Subscribers, RoomIsBoundedAndFreedWithTheTaskWhetherItRanOrNot) {
  const auto subscribers = Subscribers::make();
  auto large = subscribers->task_for(given({1}, 10 * kRoom), kRoom);
  EXPECT_TRUE(large) << "one message always fits";
  EXPECT_FALSE(subscribers->task_for(given({1}), kRoom));
  large.reset();
  EXPECT_TRUE(subscribers->task_for(given({1}), kRoom));
}

// Found by reading: a handler that never returned went on with the destroyed device's tables.
TEST(Subscribers, AHandlerLeftBehindOutlivesTheDeviceAndTheNextOneDoesNotBegin) {
  auto subscribers = Subscribers::make();
  const std::weak_ptr<Subscribers> watched = subscribers;
  bool second = false;
  const SubscriptionId a = subscribers->add([&](const InboundMessage& message) {
    subscribers->clear();
    subscribers.reset();  // the device is gone while this handler is still inside
    EXPECT_EQ(message.topic, "a");
  });
  const SubscriptionId b = subscribers->add([&](const InboundMessage&) { second = true; });
  auto task = subscribers->task_for(given({a, b}), kRoom);
  ASSERT_TRUE(task);
  (*task)();
  EXPECT_FALSE(second);
  EXPECT_FALSE(watched.expired());
  task.reset();
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace holdfast::runtime
