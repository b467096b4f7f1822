// Goal:   what has gone wrong with other device software in the field goes right here, end to end.
//         docs/field-lessons.md says which lesson is which.
// Method: the real library and a real broker; where the network has to change, the broker is in a
//         network namespace of its own and two cables lead there.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engines/real_broker.h"
#include "holdfast/device.h"
#include "posix/test_network.h"

namespace holdfast {
namespace {

using engines::test::RealBroker;
using engines::test::Way;

constexpr std::chrono::seconds kPatience(30);  // an upper bound, never reached when all is well

/// What a device tells its application, and ways to wait for it. Must outlive the device.
class Application {
 public:
  void follow(Device& device) {
    device.on_connection(
        [this](const ConnectionState& state) { note([&] { states_.push_back(state); }); });
  }
  void publish(Device& device, const std::string& topic) {
    Message message;
    message.topic = topic;
    note([&] { ++published_; });
    const PublishAnswer answer = device.publish(
        message,
        [this](const Receipt& receipt) {
          note([&] {
            ended_ += receipt.last ? 1 : 0;
            delivered_ += receipt.kind == ReceiptKind::delivered ? 1 : 0;
          });
        },
        ReceiptScope::settled);
    ASSERT_TRUE(answer) << to_string(answer.rejected);
  }
  MessageHandler inbox() {
    return
        [this](const InboundMessage& message) { note([&] { topics_.push_back(message.topic); }); };
  }

  [[nodiscard]] bool all_delivered() {
    return wait([this] { return ended_ == published_; }) && delivered_ == published_;
  }
  [[nodiscard]] bool told(LinkState state, std::size_t times = 1) {
    return wait([&] { return count(state) >= times; });
  }
  [[nodiscard]] bool told(Verdict verdict) {
    return wait([&] {
      return std::any_of(states_.begin(), states_.end(),
                         [&](const auto& each) { return each.verdict == verdict; });
    });
  }
  [[nodiscard]] bool received(const std::string& topic) {
    return wait([&] { return std::count(topics_.begin(), topics_.end(), topic) > 0; });
  }
  [[nodiscard]] bool has(const std::string& topic) {
    const std::lock_guard lock(mutex_);
    return std::count(topics_.begin(), topics_.end(), topic) > 0;
  }
  [[nodiscard]] std::size_t count(LinkState state) const {
    return static_cast<std::size_t>(std::count_if(
        states_.begin(), states_.end(), [&](const auto& each) { return each.state == state; }));
  }

 private:
  void note(const std::function<void()>& change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  bool wait(const std::function<bool()>& done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, done);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ConnectionState> states_;
  std::vector<std::string> topics_;
  int published_ = 0;
  int ended_ = 0;
  int delivered_ = 0;
};

class FieldTest : public ::testing::Test {
 protected:
  FieldTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hf-field-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~FieldTest() override { std::filesystem::remove_all(folder_); }
  void SetUp() override {
    if (!RealBroker::available()) GTEST_SKIP() << "mosquitto is not installed";
  }

  Config config(std::uint16_t port, const std::string& host = "127.0.0.1") const {
    Config config;
    config.host = host;
    config.port = port;
    config.tls.enabled = false;
    config.client_id = "field-test";
    config.outbox.directory = folder_ / "outbox";
    config.messages_per_second = config.bytes_per_second = 0;
    return config;
  }
  static std::unique_ptr<Device> open(const Config& config) {
    auto device = Device::open(config);
    EXPECT_TRUE(device.ok()) << (device.ok() ? "" : device.error().message);
    return device.ok() ? std::move(device).value() : nullptr;
  }

  std::filesystem::path folder_;
  Application app_;
};

// ---- the network changes ------------------------------------------------------------------------

/// The command of this machine; the child process has the calling thread's network.
bool run(const std::string& words) {
  return std::system(("PATH=$PATH:/usr/sbin:/sbin " + words + " >/dev/null 2>&1").c_str()) == 0;
}

/// A broker at 10.9.0.1 in a network of its own. Two links lead there, `cable` and `radio`; the
/// cable has the better default route.
class TwoLinks {
 public:
  TwoLinks() {
    posix::set_loopback(true);
    std::promise<void> started;
    // A child ends with the thread that began it, so this one stays.
    far_side_ = std::thread([this, &started] {
      if (::unshare(CLONE_NEWNET) == 0) {
        posix::set_loopback(true);
        broker_.emplace(Way::plain, "0.0.0.0");
      }
      started.set_value();
      over_.get_future().wait();
    });
    started.get_future().wait();
    if (!broker_) return;
    pid_ = std::to_string(broker_->pid());
    ready_ = there("ip address add 10.9.0.1/32 dev lo") && link("cable", "10.1.0.", 100) &&
             link("radio", "10.2.0.", 200);
  }
  ~TwoLinks() {
    over_.set_value();
    far_side_.join();
  }
  TwoLinks(const TwoLinks&) = delete;
  TwoLinks& operator=(const TwoLinks&) = delete;

  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] std::uint16_t port() const { return broker_->port(); }
  [[nodiscard]] bool there(const std::string& words) const {
    return run("nsenter -t " + pid_ + " -n " + words);
  }

 private:
  [[nodiscard]] bool link(const std::string& name, const std::string& net, int metric) const {
    const std::string far = name + "-far";
    return run("ip link add " + name + " type veth peer name " + far + " netns " + pid_) &&
           run("ip address add " + net + "2/24 dev " + name) &&
           run("ip link set " + name + " up") &&
           there("ip address add " + net + "1/24 dev " + far) &&
           there("ip link set " + far + " up") &&
           run("ip route add default via " + net + "1 dev " + name + " metric " +
               std::to_string(metric));
  }

  std::optional<RealBroker> broker_;
  std::promise<void> over_;
  std::thread far_side_;
  std::string pid_;
  bool ready_ = false;
};

#define HF_IN_OWN_NETWORK(...) \
  if (!posix::in_own_network(__VA_ARGS__)) GTEST_SKIP() << "no right to a network namespace"

// Field lessons 1, 2, 3 and 12. Keep-alive and silence would take far longer than the test.
TEST_F(FieldTest, ACablePulledIsToldAndEveryMessageOfTheOutageArrives) {
  HF_IN_OWN_NETWORK([&] {
    const TwoLinks links;
    ASSERT_TRUE(links.ready());
    ASSERT_TRUE(run("ip link delete radio"));
    Config config = this->config(links.port(), "10.9.0.1");
    config.keep_alive = Seconds(1200);
    config.timing.silent_after = std::chrono::minutes(20);
    auto device = open(config);
    ASSERT_TRUE(device);
    app_.follow(*device);
    ASSERT_TRUE(app_.told(LinkState::connected));
    ASSERT_TRUE(links.there("ip link set cable-far down"));
    EXPECT_TRUE(app_.told(Verdict::link_down));
    for (int i = 0; i < 10; ++i) app_.publish(*device, "outage");
    ASSERT_TRUE(links.there("ip link set cable-far up"));
    EXPECT_TRUE(app_.told(LinkState::connected, 2));
    EXPECT_TRUE(app_.all_delivered());
  });
}

// Field lessons 4 and 11. The cable has its carrier and its address still; what is behind it is
// gone, and the system's network manager has found out.
TEST_F(FieldTest, WhenTheDefaultRouteMovesMessagesGoTheNewWay) {
  HF_IN_OWN_NETWORK([&] {
    const TwoLinks links;
    ASSERT_TRUE(links.ready());
    Config config = this->config(links.port(), "10.9.0.1");
    config.keep_alive = Seconds(1200);
    config.timing.silent_after = std::chrono::minutes(20);
    auto device = open(config);
    ASSERT_TRUE(device);
    app_.follow(*device);
    ASSERT_TRUE(app_.told(LinkState::connected));
    ASSERT_TRUE(links.there("ip address flush dev cable-far"));
    ASSERT_TRUE(run("ip route add default via 10.2.0.1 dev radio metric 50"));
    app_.publish(*device, "first");
    EXPECT_TRUE(app_.told(Verdict::silent_peer));
    EXPECT_TRUE(app_.told(LinkState::connected, 2));
    app_.publish(*device, "second");
    EXPECT_TRUE(app_.all_delivered());
  });
}

// Field lesson 11.
TEST_F(FieldTest, ARouteThatMovesToABetterLinkCostsAConnectionThatLivesNothing) {
  HF_IN_OWN_NETWORK([&] {
    const TwoLinks links;
    ASSERT_TRUE(links.ready());
    auto device = open(config(links.port(), "10.9.0.1"));
    ASSERT_TRUE(device);
    app_.follow(*device);
    ASSERT_TRUE(app_.told(LinkState::connected));
    ASSERT_TRUE(run("ip route add default via 10.2.0.1 dev radio metric 50"));
    std::this_thread::sleep_for(std::chrono::seconds(7));  // longer than an answer is waited for
    app_.publish(*device, "still there");
    EXPECT_TRUE(app_.all_delivered());
    EXPECT_EQ(device->state().connects, 1U);
  });
}

// ---- the broker goes and comes ------------------------------------------------------------------

// Field lesson 10. The backlog neither keeps the CONNACK away nor is it held in memory.
TEST_F(FieldTest, ThousandsQueuedOfflineAreSentOverTheFirstConnection) {
  RealBroker broker(Way::plain);
  broker.kill();
  auto device = open(config(broker.port()));
  ASSERT_TRUE(device);
  app_.follow(*device);
  constexpr int kMessages = 8000;  // twice as many as the default limit of receipts
  for (int i = 0; i < kMessages; ++i) {
    Message message;
    message.topic = "queued";
    message.payload = Bytes(1000);
    while (device->publish(message).rejected == RejectReason::queue_full) {
      std::this_thread::sleep_for(Milliseconds(1));
    }
  }
  ASSERT_TRUE(app_.told(Verdict::tcp_refused));
  broker.start();
  device->reconnect_now();
  ASSERT_TRUE(app_.told(LinkState::connected));
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (device->state().ledger.pending != 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(Milliseconds(5));
  }
  const DeviceState state = device->state();
  EXPECT_EQ(state.ledger.delivered, static_cast<std::uint64_t>(kMessages));
  EXPECT_TRUE(state.ledger.balanced());
  EXPECT_EQ(state.connects, 1U);
  EXPECT_EQ(state.sends_repeated, 0U);
}

// Field lessons 31 and 34. The broker that comes back has forgotten the session. Each connection is
// told, so that an application can ask for what it may have missed.
TEST_F(FieldTest, ASessionThatTheBrokerForgotIsMadeAnewAndTheApplicationIsTold) {
  RealBroker broker(Way::plain);
  auto device = open(config(broker.port()));
  ASSERT_TRUE(device);
  device->on_connection([&](const ConnectionState& state) {
    if (state.state == LinkState::connected) app_.publish(*device, "jobs/get");
  });
  ASSERT_TRUE(device->subscribe("jobs/+", Qos::at_least_once, app_.inbox()).ok());
  ASSERT_TRUE(app_.received("jobs/get"));
  broker.kill();
  broker.start();
  device->reconnect_now();
  app_.publish(*device, "jobs/after");
  EXPECT_TRUE(app_.received("jobs/after"));
  EXPECT_TRUE(app_.all_delivered());
  EXPECT_EQ(device->state().connects, 2U);
  device->on_connection(nullptr);
  device->stop(Milliseconds(5000));
}

// ---- callbacks ----------------------------------------------------------------------------------

// Field lesson 55. The handler blocks for longer than the broker waits for a sign of life.
TEST_F(FieldTest, AHandlerThatBlocksCostsNeitherTheConnectionNorTheMessages) {
  RealBroker broker(Way::plain);
  Config config = this->config(broker.port());
  config.keep_alive = Seconds(5);
  config.timing.silent_after = Milliseconds(1000);
  std::mutex gate;
  std::unique_lock shut(gate);
  auto device = open(config);
  ASSERT_TRUE(device);
  ASSERT_TRUE(device
                  ->subscribe("in", Qos::at_least_once,
                              [&](const InboundMessage&) { const std::lock_guard wait(gate); })
                  .ok());
  Message message;
  message.topic = "in";
  const auto delivered = [&](std::uint64_t count) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (device->state().ledger.delivered < count && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(Milliseconds(5));
    }
    return device->state().ledger.delivered == count;
  };
  ASSERT_TRUE(device->publish(message));
  ASSERT_TRUE(delivered(1));
  std::this_thread::sleep_for(std::chrono::seconds(9));  // one and a half times the keep-alive
  message.topic = "out";
  ASSERT_TRUE(device->publish(message));
  EXPECT_TRUE(delivered(2));
  EXPECT_EQ(device->state().connects, 1U);
  shut.unlock();
  device->stop(Milliseconds(5000));
}

TEST_F(FieldTest, AMessageWhoseHandlerHasNotReturnedComesAgainAndOneThatIsDealtWithDoesNot) {
  RealBroker broker(Way::plain);
  std::promise<void> gate;
  std::promise<void> entered;
  {
    auto device = open(config(broker.port()));
    ASSERT_TRUE(device);
    const auto blocks = [&entered, open = gate.get_future().share()](const InboundMessage&) {
      entered.set_value();
      open.wait();
    };
    ASSERT_TRUE(device->subscribe("in", Qos::at_least_once, blocks).ok());
    Application application;
    application.publish(*device, "in");
    ASSERT_EQ(entered.get_future().wait_for(kPatience), std::future_status::ready);
    device->stop(Milliseconds(500));  // leaves the handler behind, as a crash would
  }
  Application application;
  {
    auto device = open(config(broker.port()));
    ASSERT_TRUE(device);
    ASSERT_TRUE(device->subscribe("in", Qos::at_least_once, application.inbox()).ok());
    EXPECT_TRUE(application.received("in"));
    application.publish(*device, "behind");
    EXPECT_TRUE(application.all_delivered());  // told behind the handler's return
    device->stop(Milliseconds(5000));
  }
  auto device = open(config(broker.port()));
  ASSERT_TRUE(device);
  Application last;
  ASSERT_TRUE(device->subscribe("+", Qos::at_least_once, last.inbox()).ok());
  last.publish(*device, "mark");
  EXPECT_TRUE(last.received("mark"));
  EXPECT_FALSE(last.has("in"));
  device->stop(Milliseconds(5000));
  gate.set_value();
}

}  // namespace
}  // namespace holdfast
