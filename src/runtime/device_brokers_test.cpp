// Goal:   what the device has accepted arrives at a subscriber, though the broker is killed in the
//         middle and started again; with each broker that we can run.
// Method: two real devices with a real broker on 127.0.0.1: one publishes 200 numbers, the other
//         counts them. Where the broker itself forgets what it has acknowledged, the test demands
//         what is left: each message acknowledged once, and all of a second series, which begins
//         when both are back.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "engines/real_broker_kinds.h"
#include "holdfast/device.h"

namespace holdfast {
namespace {

using engines::test::BrokerKind;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPatience(90);  // an upper bound, never reached when all is well
constexpr int kNumbers = 200;

using Parameters = std::tuple<const BrokerKind*, MqttVersion>;

class DeviceAndBrokers : public ::testing::TestWithParam<Parameters> {
 protected:
  void SetUp() override {
    if (!kind().installed()) {
      if (std::getenv("HOLDFAST_REQUIRE_BROKERS") != nullptr) FAIL() << kind().package << "!";
      GTEST_SKIP() << "skipped for want of " << kind().package;
    }
    broker_ = std::make_unique<engines::test::KindOfBroker>(kind());
    std::ofstream(folder_ / "password") << kind().password << "\n";
    counter_ = open("counter");
    ASSERT_TRUE(counter_->subscribe("numbers/#", Qos::at_least_once,
                                    [this](const auto& message) { note(seen_, message); }));
    ASSERT_TRUE(counter_->subscribe("probes", Qos::at_least_once,
                                    [this](const auto& message) { note(probes_, message); }));
    source_ = open("source");
  }
  void TearDown() override {
    source_.reset();
    counter_.reset();
    broker_.reset();
    std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] const BrokerKind& kind() const { return *std::get<const BrokerKind*>(GetParam()); }

  std::unique_ptr<Device> open(const std::string& id) {
    Config config;
    config.host = "127.0.0.1";
    config.port = broker_->port();
    config.tls.enabled = false;
    config.client_id = id;
    config.username = kind().username;
    config.password_file = folder_ / "password";
    config.mqtt_version = std::get<MqttVersion>(GetParam());
    config.outbox.directory = folder_ / id;
    config.timing.backoff_first = config.timing.backoff_cap = milliseconds(500);
    auto device = Device::open(config);
    EXPECT_TRUE(device.ok()) << (device.ok() ? "" : device.error().message);
    return device.ok() ? std::move(device).value() : nullptr;
  }

  void note(std::set<int>& numbers, const InboundMessage& message) {
    std::string digits;
    for (const std::byte byte : message.payload) digits.push_back(static_cast<char>(byte));
    const std::lock_guard lock(mutex_);
    numbers.insert(std::stoi(digits));
    changed_.notify_all();
  }
  void publish(const std::string& topic, int number) {
    Message message;
    message.topic = topic;
    for (const char c : std::to_string(number)) {
      message.payload.push_back(static_cast<std::byte>(c));
    }
    ASSERT_TRUE(source_->publish(std::move(message), [this](const Receipt& receipt) {
      const std::lock_guard lock(mutex_);
      if (receipt.kind == ReceiptKind::delivered) ++delivered_;
      if (receipt.kind == ReceiptKind::dropped || receipt.kind == ReceiptKind::rejected) ++lost_;
      changed_.notify_all();
    }));
  }
  [[nodiscard]] bool wait(const std::function<bool()>& done, milliseconds limit = kPatience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, done);
  }
  /// How many of the series that begins with this number.
  [[nodiscard]] int arrived(int first) {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(
        std::distance(seen_.lower_bound(first), seen_.lower_bound(first + kNumbers)));
  }
  /// Until what the source publishes reaches the counter.
  [[nodiscard]] bool both_are_up() {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < end) {
      const int probe = ++probe_;
      ++probes_sent_;
      publish("probes", probe);
      if (wait([&] { return probes_.contains(probe); }, milliseconds(500))) return true;
    }
    return false;
  }
  const std::filesystem::path folder_ = engines::test::make_directory();
  std::unique_ptr<engines::test::KindOfBroker> broker_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<int> seen_;
  std::set<int> probes_;
  int probe_ = 0;
  int probes_sent_ = 0;
  int delivered_ = 0;
  int lost_ = 0;
  std::unique_ptr<Device> counter_;
  std::unique_ptr<Device> source_;
};

TEST_P(DeviceAndBrokers, NothingIsLostWhenTheBrokerIsKilledAndComesBack) {
  ASSERT_TRUE(both_are_up());
  for (int i = 1; i <= kNumbers; ++i) publish("numbers/first", i);
  ASSERT_TRUE(wait([&] { return seen_.size() >= 60; }));
  broker_->kill();
  EXPECT_LT(arrived(1), kNumbers) << "it was killed too late";
  broker_->start();
  source_->reconnect_now();
  counter_->reconnect_now();
  ASSERT_TRUE(wait([&] { return delivered_ == kNumbers + probes_sent_; }));
  if (kind().keeps_what_it_acknowledged) {
    EXPECT_TRUE(wait([&] { return seen_.size() == kNumbers; })) << arrived(1);
  }
  RecordProperty("arrived", arrived(1));

  ASSERT_TRUE(both_are_up());
  for (int i = 1; i <= kNumbers; ++i) publish("numbers/second", kNumbers + i);
  ASSERT_TRUE(wait(
      [&] { return seen_.contains(2 * kNumbers) && delivered_ == 2 * kNumbers + probes_sent_; }));
  EXPECT_EQ(arrived(kNumbers + 1), kNumbers);
  EXPECT_TRUE(wait([&] { return lost_ == 0; }));
  const DeviceState state = source_->state();
  EXPECT_TRUE(state.ledger.balanced());
  EXPECT_EQ(state.ledger.pending, 0U);
}

// NATS ends the connection at each message whose topic has a dot.
TEST_P(DeviceAndBrokers, AMessageThatTheBrokerHangsUpOnDoesNotHoldUpTheOthers) {
  ASSERT_TRUE(both_are_up());
  publish("numbers/a.b", 1);
  for (int i = 2; i <= 20; ++i) publish("numbers/first", i);
  const auto wanted = kind().refuses_in_topics.empty() ? 20U : 19U;
  EXPECT_TRUE(wait([&] { return seen_.size() >= wanted; })) << arrived(1);
}

std::vector<Parameters> combinations() {
  std::vector<Parameters> result;
  for (const BrokerKind& kind : engines::test::broker_kinds()) {
    for (const MqttVersion version : kind.versions) result.emplace_back(&kind, version);
  }
  return result;
}

INSTANTIATE_TEST_SUITE_P(
    Real, DeviceAndBrokers, ::testing::ValuesIn(combinations()), [](const auto& tested) {
      return std::get<const BrokerKind*>(tested.param)->name +
             (std::get<MqttVersion>(tested.param) == MqttVersion::v5 ? "_v5_" : "_v311_");
    });

}  // namespace
}  // namespace holdfast
