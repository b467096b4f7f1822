// Goal: each request ends exactly once, whatever the broker, the responder and the device do.
// Method: a device that does what the test says; the loop and the executor's tasks are turned by
//         hand, the clock, too.
#include "runtime/requester.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "sim/seeded_random.h"

namespace holdfast::runtime {
namespace {

using std::chrono::seconds;

class HandClock final : public env::Clock {
 public:
  [[nodiscard]] BootTime now() const override { return boot; }
  [[nodiscard]] WallTime wall() const override { return {}; }
  [[nodiscard]] bool wall_synchronized() const override { return true; }
  [[nodiscard]] env::BootId boot_id() const override { return {}; }
  BootTime boot{std::chrono::hours(1)};
};

/// Keeps what is published and subscribed to.
class FakeDevice final : public Device {
 public:
  PublishAnswer publish(Message message, ReceiptHandler on_receipt, ReceiptScope) override {
    if (rejects != RejectReason::none) return {rejects, Durability::memory};
    published.push_back(std::move(message));
    receipts.push_back(std::move(on_receipt));
    return {};
  }
  Result<SubscriptionId> subscribe(std::string filter, Qos, MessageHandler handler) override {
    if (no_room) return Error{Errc::full, "no room"};
    filters_wanted.push_back(std::move(filter));
    heard = std::move(handler);
    return SubscriptionId{filters_wanted.size()};
  }
  Status unsubscribe(SubscriptionId id) override {
    unsubscribed.push_back(id);
    return {};
  }
  Result<SubscriptionId> subscribe_held(std::string, Qos, HeldMessageHandler) override {
    return SubscriptionId{8};
  }
  Result<SubscriptionId> subscribe_unmatched(MessageHandler) override { return SubscriptionId{9}; }
  Status request(Message, Milliseconds, ResponseHandler) override { return {}; }
  void fate(MessageId, FateHandler) override {}
  void on_connection(ConnectionHandler) override {}
  DeviceState state() const override { return {}; }
  [[nodiscard]] LogState log_state() const override { return {}; }
  std::vector<FilterState> filters() const override { return {}; }
  IdentityState identity() const override { return {}; }
  Progress progress() override { return {}; }
  Status heartbeat(std::string_view, Milliseconds) override { return {}; }
  Status end_heartbeat(std::string_view) override { return {}; }
  [[nodiscard]] std::vector<HeartbeatState> heartbeats() const override { return {}; }
  void power_fail(std::string_view, SavedHandler) override {}
  void power_back() override {}
  void reconnect_now() override {}
  Status reload(Config) override { return {}; }
  void stop(Milliseconds) override {}

  RejectReason rejects = RejectReason::none;
  bool no_room = false;
  std::vector<Message> published;
  std::vector<ReceiptHandler> receipts;
  std::vector<std::string> filters_wanted;
  std::vector<SubscriptionId> unsubscribed;
  MessageHandler heard;
};

class RequesterTest : public ::testing::Test {
 protected:
  ~RequesterTest() override { requester->stop(); }

  [[nodiscard]] static Message to(std::string topic) {
    Message message;
    message.topic = std::move(topic);
    return message;
  }
  Status ask(Milliseconds timeout = seconds(10), std::string topic = "ask") {
    return requester->ask(
        to(std::move(topic)), timeout,
        [this](const Response& response) { ends.push_back(response); }, config);
  }
  /// The broker's word on the response topic.
  void word(std::optional<Qos> granted, std::optional<std::uint8_t> code) {
    requester->filters_changed(
        {{"other", Qos::at_least_once, Qos::at_least_once, 1, {}},
         {device.filters_wanted.back(), Qos::at_least_once, granted, code, {}}});
    run_tasks();
  }
  void grant() { word(Qos::at_least_once, std::uint8_t{1}); }
  void answer(const Message& request, std::string_view payload) {
    InboundMessage message;
    message.topic = request.response_topic;
    message.correlation_data = request.correlation_data;
    for (const char c : payload) message.payload.push_back(static_cast<std::byte>(c));
    device.heard(message);
  }
  void run_tasks() {
    for (const Executor::Task& task : std::exchange(tasks, {})) task();
  }
  /// Lets the loop do what has been posted and what is due.
  void turn_loop() {
    loop.post([this] { loop.post([this] { loop.stop(); }); });
    loop.run();
    run_tasks();
  }

  Config config = [] {
    Config made;
    made.client_id = "pump-7";
    return made;
  }();
  std::shared_ptr<HandClock> clock = std::make_shared<HandClock>();
  posix::EventLoop loop;
  FakeDevice device;
  std::vector<Executor::Task> tasks;
  std::vector<Response> ends;
  std::shared_ptr<Requester> requester =
      Requester::make(device, loop, clock, std::make_unique<sim::SeededRandom>(1),
                      [this](std::vector<Executor::Task> more) {
                        for (Executor::Task& task : more) tasks.push_back(std::move(task));
                      });
};

TEST_F(RequesterTest, IsSentOnceAnswersCanBeHeardAndEndsWithTheAnswer) {
  ASSERT_TRUE(ask().ok());
  ASSERT_TRUE(ask(Milliseconds(1200)).ok());
  EXPECT_EQ(device.filters_wanted, std::vector<std::string>{"pump-7/responses"});
  EXPECT_TRUE(device.published.empty()) << "an answer could not be heard yet";
  grant();
  ASSERT_EQ(device.published.size(), 2U);
  const Message first = device.published[0];
  EXPECT_EQ(first.response_topic, "pump-7/responses");
  EXPECT_EQ(first.correlation_data.size(), 16U);
  EXPECT_EQ(first.durability, Durability::memory);
  EXPECT_EQ(first.expiry, Seconds(10));
  EXPECT_EQ(device.published[1].expiry, Seconds(2));
  EXPECT_NE(first.correlation_data, device.published[1].correlation_data);
  answer(device.published[1], "two");
  answer(first, "one");
  answer(first, "one, again");
  ASSERT_EQ(ends.size(), 2U);
  EXPECT_EQ(ends[0].kind, ResponseKind::answered);
  EXPECT_EQ(ends[0].message.payload.size(), 3U);
  EXPECT_EQ(ends[1].message.correlation_data, first.correlation_data);
  EXPECT_EQ(requester->counts().duplicate, 1U);
  ASSERT_TRUE(ask().ok());
  EXPECT_EQ(device.published.size(), 3U) << "from now on at once";
  EXPECT_EQ(device.filters_wanted.size(), 1U);
}

TEST_F(RequesterTest, ALateAnswerIsCountedAndNotGiven) {
  ASSERT_TRUE(ask(seconds(2)).ok());
  grant();
  turn_loop();
  EXPECT_TRUE(ends.empty());
  clock->boot += seconds(2);
  requester->look();  // as the timer does, which lives on the real clock
  run_tasks();
  ASSERT_EQ(ends.size(), 1U);
  EXPECT_EQ(ends[0].kind, ResponseKind::timed_out);
  answer(device.published[0], "late");
  EXPECT_EQ(ends.size(), 1U);
  EXPECT_EQ(requester->counts().late, 1U);
}

TEST_F(RequesterTest, WhatTheBrokerOrTheDeviceRefusesEndsAtOnce) {
  ASSERT_TRUE(ask().ok());
  grant();
  device.receipts[0]({ReceiptKind::accepted, 1, {}, {}, 0, false});
  EXPECT_TRUE(ends.empty());
  device.receipts[0]({ReceiptKind::dropped, 1, {}, DropReason::refused, 0x87});
  ASSERT_EQ(ends.size(), 1U);
  EXPECT_EQ(ends[0].kind, ResponseKind::not_sent);
  EXPECT_EQ(ends[0].receipt.reason_code, 0x87);
  answer(device.published[0], "an answer after all");
  EXPECT_EQ(ends.size(), 1U);

  device.rejects = RejectReason::queue_full;
  EXPECT_EQ(ask().error().code, Errc::full);
  EXPECT_EQ(requester->counts().waiting, 0U);
}

TEST_F(RequesterTest, WithoutTheResponseTopicNothingIsSent) {
  ASSERT_TRUE(ask().ok());
  word(std::nullopt, std::uint8_t{0x87});
  ASSERT_EQ(ends.size(), 1U);
  EXPECT_EQ(ends[0].kind, ResponseKind::no_answers);
  const Status refused = ask();
  EXPECT_EQ(refused.error().code, Errc::permission);
  EXPECT_NE(refused.error().message.find("'pump-7/responses' (0x87)"), std::string::npos);
  grant();
  EXPECT_TRUE(ask().ok()) << "the broker has changed its mind";
  EXPECT_EQ(device.published.size(), 1U);
}

TEST_F(RequesterTest, AnotherResponseTopicIsSubscribedToInsteadOfTheFirst) {
  ASSERT_TRUE(ask().ok());
  grant();
  config.response_topic = "replies/pump-7";
  ASSERT_TRUE(ask().ok());
  EXPECT_EQ(device.filters_wanted.back(), "replies/pump-7");
  EXPECT_EQ(device.unsubscribed, std::vector<SubscriptionId>{1});
  EXPECT_EQ(device.published.size(), 1U) << "the new one is not in force";
  grant();
  ASSERT_EQ(device.published.size(), 2U);
  EXPECT_EQ(device.published[1].response_topic, "replies/pump-7");
  answer(device.published[1], "x");
  EXPECT_EQ(ends.size(), 1U);
}

TEST_F(RequesterTest, MistakesAndLimitsAreNamed) {
  EXPECT_EQ(ask(Milliseconds(0)).error().code, Errc::invalid_argument);
  EXPECT_EQ(ask(std::chrono::hours(25)).error().code, Errc::invalid_argument);
  EXPECT_EQ(ask(seconds(1), "a/#").error().message, "invalid_topic");
  Message message = to("ask");
  message.response_topic = "mine";
  EXPECT_EQ(requester
                ->ask(
                    message, seconds(1), [](const Response&) {}, config)
                .error()
                .code,
            Errc::invalid_argument);
  EXPECT_EQ(requester->ask(to("ask"), seconds(1), {}, config).error().code, Errc::invalid_argument);
  device.no_room = true;
  EXPECT_EQ(ask().error().message, "response topic: no room");
  device.no_room = false;
  config.mqtt_version = MqttVersion::v311;
  EXPECT_EQ(ask().error().code, Errc::unsupported);
  config.mqtt_version = MqttVersion::v5;

  Message large = to("ask");
  large.payload.resize(config.limits.payload);
  std::size_t taken = 0;
  const auto ask_large = [&] {
    return requester->ask(
        large, seconds(10), [&](const Response&) { ++taken; }, config);
  };
  for (std::size_t i = 0; i < config.limits.memory / large.payload.size(); ++i) {
    ASSERT_TRUE(ask_large().ok());
  }
  EXPECT_EQ(ask_large().error().code, Errc::full) << "RAM is bounded while it waits for the topic";
  grant();
  while (requester->counts().waiting < limits::kRequests) ASSERT_TRUE(ask().ok());
  EXPECT_EQ(ask().error().code, Errc::full);
}

TEST_F(RequesterTest, StoppingEndsEachRequestAndTouchesTheDeviceNoMore) {
  ASSERT_TRUE(ask().ok());
  grant();
  ASSERT_TRUE(ask().ok());
  requester->stop();
  run_tasks();
  ASSERT_EQ(ends.size(), 2U);
  EXPECT_EQ(ends[0].kind, ResponseKind::stopped);
  EXPECT_EQ(ask().error().code, Errc::closed);
  answer(device.published[0], "x");
  device.receipts[0]({ReceiptKind::dropped, 1, {}, DropReason::volatile_lost, 0});
  EXPECT_EQ(ends.size(), 2U);
}

}  // namespace
}  // namespace holdfast::runtime
