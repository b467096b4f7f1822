// Goal: what a message says, what comes back and how filters stand is right through the whole
//       library: public API, core, outbox, engine and a real broker.
// Method: devices in this process and a mosquitto on 127.0.0.1; each test waits for events.
#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engines/real_broker.h"
#include "holdfast/device.h"

namespace holdfast {
namespace {

using engines::test::RealBroker;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kPatience(20);  // an upper bound, never reached when all is well

std::string text(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Message make(std::string topic, std::string_view payload) {
  Message message;
  message.topic = std::move(topic);
  for (const char c : payload) message.payload.push_back(static_cast<std::byte>(c));
  return message;
}

/// What handlers have been given, in order, for a test that waits for it.
template <class T>
class Heard {
 public:
  std::function<void(const T&)> handler() {
    return [this](const T& one) {
      const std::lock_guard lock(mutex_);
      all_.push_back(one);
      changed_.notify_all();
    };
  }
  std::vector<T> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return all_.size() >= count; }));
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> all_;
};

class Messages : public ::testing::Test {
 protected:
  Messages() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hf-messages-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~Messages() override { std::filesystem::remove_all(folder_); }

  void SetUp() override {
    if (!RealBroker::available()) GTEST_SKIP() << "mosquitto is not installed";
    broker_.emplace(engines::test::Way::plain);
  }

  Config config(const std::string& name) const {
    Config config;
    config.host = "127.0.0.1";
    config.port = broker_->port();
    config.tls.enabled = false;
    config.client_id = name;
    config.outbox.directory = folder_ / name;
    return config;
  }

  static std::unique_ptr<Device> open(const Config& config) {
    auto device = Device::open(config);
    EXPECT_TRUE(device.ok()) << (device.ok() ? "" : device.error().message);
    return device.ok() ? std::move(device).value() : nullptr;
  }

  /// Turns of looking, for what no handler tells.
  template <class Condition>
  static bool soon(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
  }

  /// Subscribes, and waits until the broker has it.
  static void listen(Device& device, const std::string& filter, Heard<InboundMessage>& into) {
    ASSERT_TRUE(device.subscribe(filter, Qos::at_least_once, into.handler()).ok());
    ASSERT_TRUE(soon([&] { return granted(device, filter); })) << filter;
  }
  static bool granted(const Device& device, const std::string& filter) {
    for (const FilterState& one : device.filters()) {
      if (one.filter == filter) return one.granted == Qos::at_least_once && one.code == 1;
    }
    return false;
  }

  std::filesystem::path folder_;
  std::optional<RealBroker> broker_;
};

TEST_F(Messages, AllThatAMessageSaysSurvivesTheOutboxAndArrives) {
  Heard<InboundMessage> heard;
  auto hearer = open(config("hearer"));
  ASSERT_TRUE(hearer);
  listen(*hearer, "plant/#", heard);
  Message message = make("plant/7/ask", "how much?");
  message.content_type = "text/plain";
  message.user_properties = {{"k", "v"}, {"k", "w"}};
  message.response_topic = "plant/7/answers";
  message.correlation_data = {std::byte{0}, std::byte{0xFF}};
  message.expiry = Seconds(600);
  {
    Config away = config("speaker");
    away.port = 1;  // nobody there: it waits on disk
    auto speaker = open(away);
    ASSERT_TRUE(speaker);
    Heard<Receipt> receipts;
    ASSERT_TRUE(speaker->publish(message, receipts.handler(), ReceiptScope::accepted));
    EXPECT_EQ(receipts.wait_for(1)[0].kind, ReceiptKind::accepted);
    speaker->stop(Seconds(5));
  }
  auto speaker = open(config("speaker"));
  ASSERT_TRUE(speaker);
  const InboundMessage got = heard.wait_for(1)[0];
  EXPECT_EQ(got.topic, message.topic);
  EXPECT_EQ(text(got.payload), "how much?");
  EXPECT_EQ(got.content_type, "text/plain");
  EXPECT_EQ(got.response_topic, "plant/7/answers");
  EXPECT_EQ(got.correlation_data, message.correlation_data);
  ASSERT_EQ(got.user_properties.size(), 3U) << "the third is the message's id";
  EXPECT_EQ(got.user_properties[0], message.user_properties[0]);
  EXPECT_EQ(got.user_properties[1], message.user_properties[1]);
}

TEST_F(Messages, SeveralHandlersOfATopicAndSharedSubscriptionsAllHear) {
  Heard<InboundMessage> first;
  Heard<InboundMessage> second;
  Heard<InboundMessage> wild;
  Heard<InboundMessage> shared;
  auto device = open(config("one"));
  ASSERT_TRUE(device);
  listen(*device, "a/b", first);
  listen(*device, "a/b", second);
  listen(*device, "$share/group/s/+", shared);
  listen(*device, "w/#", wild);
  ASSERT_TRUE(device->publish(make("a/b", "1")));
  ASSERT_TRUE(device->publish(make("s/x", "2")));
  ASSERT_TRUE(device->publish(make("w/x/y", "3")));
  EXPECT_EQ(text(first.wait_for(1)[0].payload), "1");
  EXPECT_EQ(text(second.wait_for(1)[0].payload), "1");
  EXPECT_EQ(text(shared.wait_for(1)[0].payload), "2");
  EXPECT_EQ(text(wild.wait_for(1)[0].payload), "3");
  EXPECT_EQ(device->state().inbound_unmatched, 0U);
}

TEST_F(Messages, WhatASessionBringsFromAnEarlierRunGoesToTheDefaultHandler) {
  {
    Heard<InboundMessage> heard;
    auto device = open(config("sleeper"));
    ASSERT_TRUE(device);
    listen(*device, "orders", heard);
    device->stop(Seconds(5));
  }
  auto other = open(config("other"));
  ASSERT_TRUE(other);
  Heard<Receipt> receipts;
  ASSERT_TRUE(other->publish(make("orders", "while away"), receipts.handler()));
  EXPECT_EQ(receipts.wait_for(2)[1].kind, ReceiptKind::delivered);

  Config late = config("sleeper");
  late.port = 1;  // no connection before the handler is there
  auto device = open(late);
  ASSERT_TRUE(device);
  Heard<InboundMessage> stray;
  const auto id = device->subscribe_unmatched(stray.handler());
  ASSERT_TRUE(id.ok());
  ASSERT_TRUE(device->reload(config("sleeper")).ok());
  device->reconnect_now();
  EXPECT_EQ(text(stray.wait_for(1)[0].payload), "while away");
  EXPECT_TRUE(soon([&] { return device->state().inbound_unmatched == 1; }));
  EXPECT_TRUE(device->unsubscribe(*id).ok());
  EXPECT_FALSE(device->unsubscribe(*id).ok());
}

TEST_F(Messages, OverlappingFiltersAndRepeatsGiveEachHandlerOneCopy) {
  Heard<InboundMessage> exact;
  Heard<InboundMessage> wild;
  auto device = open(config("one"));
  ASSERT_TRUE(device);
  listen(*device, "o/x", exact);
  listen(*device, "o/#", wild);
  // As a sender that repeats itself would: the same stamp.
  Config mute = config("speaker");
  mute.id_property.clear();
  auto speaker = open(mute);
  ASSERT_TRUE(speaker);
  Message message = make("o/x", "1");
  message.user_properties = {{"hf-id", "0000abcd-0000000800000001"}};
  ASSERT_TRUE(speaker->publish(message));
  ASSERT_TRUE(speaker->publish(message));
  ASSERT_TRUE(speaker->publish(make("o/x", "2")));
  EXPECT_EQ(text(wild.wait_for(2)[1].payload), "2");
  EXPECT_EQ(text(exact.wait_for(2)[1].payload), "2");
  // A handler may run before the turn that gave it the message has shown its state.
  EXPECT_TRUE(soon([&] { return device->state().inbound_duplicates >= 1; }));
}

TEST_F(Messages, AnAssignedClientIdKeepsItsSessionThroughAReconnect) {
  Config nameless = config("nameless");
  nameless.client_id.clear();
  nameless.assigned_client_id = true;
  nameless.timing.backoff_first = milliseconds(100);
  auto device = open(nameless);
  ASSERT_TRUE(device);
  Heard<InboundMessage> heard;
  listen(*device, "n/x", heard);
  const std::string id = device->state().connection.client_id;
  EXPECT_FALSE(id.empty());
  // A change that needs a new connection.
  nameless.keep_alive = Seconds(20);
  ASSERT_TRUE(device->reload(nameless).ok());
  ASSERT_TRUE(soon([&] { return device->state().connects == 2; }));
  EXPECT_EQ(device->state().connection.client_id, id);
  EXPECT_TRUE(device->state().connection.session_present);
  Heard<Response> responses;
  EXPECT_EQ(device->request(make("x", "x"), Seconds(1), responses.handler()).error().code,
            Errc::invalid_argument);
}

/// Answers on `topic` with the question in capitals; twice if it is to repeat itself.
void serve(Device& device, const std::string& topic, int answers) {
  ASSERT_TRUE(device
                  .subscribe(topic, Qos::at_least_once,
                             [&device, answers](const InboundMessage& request) {
                               for (int i = 0; i < answers; ++i) {
                                 Message response = response_to(request);
                                 for (const std::byte byte : request.payload) {
                                   response.payload.push_back(byte ^ std::byte{0x20});
                                 }
                                 device.publish(std::move(response));
                               }
                             })
                  .ok());
  const auto end = std::chrono::steady_clock::now() + kPatience;
  const auto there = [&] {
    for (const FilterState& one : device.filters()) {
      if (one.filter == topic && one.granted) return true;
    }
    return false;
  };
  while (!there() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(5));
  }
}

TEST_F(Messages, RequestsAreAnsweredEachByItsOwnAnswer) {
  auto server = open(config("server"));
  auto client = open(config("client"));
  ASSERT_TRUE(server && client);
  serve(*server, "ask/capitals", 1);
  Heard<Response> responses;
  for (const char* question : {"one", "two", "three"}) {
    ASSERT_TRUE(
        client->request(make("ask/capitals", question), Seconds(15), responses.handler()).ok());
  }
  std::vector<std::string> answers;
  for (const Response& one : responses.wait_for(3)) {
    EXPECT_EQ(to_string(one.kind), "answered");
    EXPECT_EQ(one.message.topic, "client/responses");
    answers.push_back(text(one.message.payload));
  }
  EXPECT_EQ(answers, (std::vector<std::string>{"ONE", "TWO", "THREE"}));
  const DeviceState state = client->state();
  EXPECT_EQ(state.requests.answered, 3U);
  EXPECT_EQ(state.requests.waiting, 0U);
  EXPECT_EQ(client->filters().size(), 1U) << "one response topic for all";
}

TEST_F(Messages, ASecondAnswerIsCountedAndSilenceEndsInTime) {
  auto server = open(config("server"));
  auto client = open(config("client"));
  ASSERT_TRUE(server && client);
  serve(*server, "ask/twice", 2);
  Heard<Response> responses;
  ASSERT_TRUE(client->request(make("ask/twice", "x"), Seconds(15), responses.handler()).ok());
  EXPECT_EQ(responses.wait_for(1)[0].kind, ResponseKind::answered);
  EXPECT_TRUE(soon([&] { return client->state().requests.duplicate == 1; }));
  const auto asked = std::chrono::steady_clock::now();
  ASSERT_TRUE(
      client->request(make("ask/nobody", "x"), milliseconds(300), responses.handler()).ok());
  EXPECT_EQ(responses.wait_for(2)[1].kind, ResponseKind::timed_out);
  EXPECT_GE(std::chrono::steady_clock::now() - asked, milliseconds(300));
  EXPECT_EQ(client->state().requests.timed_out, 1U);
  ASSERT_TRUE(client->request(make("ask/nobody", "x"), Seconds(60), responses.handler()).ok());
  client->stop(Seconds(5));
  EXPECT_EQ(responses.wait_for(3)[2].kind, ResponseKind::stopped);
}

}  // namespace
}  // namespace holdfast
