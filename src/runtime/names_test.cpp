// Goal:   a device whose name service fails stays reachable and responsive: it finds its broker
//         again, also after a restart, and it stops in time.
// Method: the real library, a real broker and scripted name servers, in namespaces of the test's
//         own.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engines/real_broker.h"
#include "holdfast/device.h"
#include "posix/test_names.h"

namespace holdfast {
namespace {

using Says = posix::TestNameServer::Says;
using engines::test::RealBroker;
using std::chrono::steady_clock;

constexpr const char* kServer = "127.0.0.53";
constexpr std::chrono::seconds kPatience(20);  // an upper bound, never reached when all is well

std::uint64_t count(const DeviceState& state, Verdict verdict) {
  return state.verdicts[static_cast<std::size_t>(verdict)];
}

class DeviceNamesTest : public ::testing::Test {
 protected:
  DeviceNamesTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hf-names-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~DeviceNamesTest() override { std::filesystem::remove_all(folder_); }

  Config config(std::uint16_t port) const {
    Config config;
    config.host = "broker.test";
    config.port = port;
    config.tls.enabled = false;
    config.client_id = "names-test";
    config.outbox.directory = folder_ / "outbox";
    return config;
  }
  Config config(const RealBroker& broker) const {
    Config made = config(broker.port());
    made.tls = broker.tls();
    made.tls.server_name = "localhost";  // as its certificate says
    return made;
  }

  std::unique_ptr<Device> open(const Config& config) {
    auto device = Device::open(config, [this](const LogLine& line) {
      const std::lock_guard lock(mutex_);
      lines_ += line.text + '\n';
    });
    EXPECT_TRUE(device.ok()) << (device.ok() ? "" : device.error().message);
    return device.ok() ? std::move(device).value() : nullptr;
  }
  std::string lines() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }

  template <class Done>
  static bool wait(Done done) {
    for (const auto end = steady_clock::now() + kPatience; steady_clock::now() < end;) {
      if (done()) return true;
      std::this_thread::sleep_for(Milliseconds(5));
    }
    return false;
  }
  static bool connected(Device& device) {
    return wait([&] { return device.state().connection.state == LinkState::connected; });
  }
  static bool has_verdict(Device& device, Verdict verdict) {
    return wait([&] { return device.state().connection.verdict == verdict; });
  }

  std::filesystem::path folder_;
  std::mutex mutex_;
  std::string lines_;
};

#define HF_IN_OWN_NAMES(...)             \
  if (!posix::in_own_names(__VA_ARGS__)) \
  GTEST_SKIP() << "no right to namespaces for network and mounts"
#define HF_NEEDS_BROKER() \
  if (!RealBroker::available()) GTEST_SKIP() << "mosquitto is not installed"

// Field lesson 9.
TEST_F(DeviceNamesTest, StartedWhileTheNameServiceFailsItFindsTheBrokerItKnew) {
  HF_NEEDS_BROKER();
  HF_IN_OWN_NAMES([&] {
    posix::TestNameServer names(kServer);
    names.say(Says::addresses, {"127.0.0.1"});
    posix::use_name_server(kServer);
    const RealBroker broker(engines::test::Way::tls);
    const std::filesystem::path file = folder_ / "outbox" / "addresses";
    auto device = open(config(broker));
    ASSERT_TRUE(device);
    ASSERT_TRUE(connected(*device));
    EXPECT_EQ(device->state().connection.detail, "");
    ASSERT_TRUE(wait([&] { return std::filesystem::exists(file); }));
    device.reset();

    names.say(Says::failure);
    device = open(config(broker));
    ASSERT_TRUE(device);
    ASSERT_TRUE(connected(*device));
    DeviceState state = device->state();
    EXPECT_NE(state.connection.detail.find("name service failed (broker.test: "), std::string::npos)
        << state.connection.detail;
    EXPECT_NE(state.connection.detail.find("used last good address 127.0.0.1:"), std::string::npos);
    EXPECT_EQ(state.connection.verdict, Verdict::none);
    EXPECT_EQ(count(state, Verdict::dns_failed), 1U) << "seen, though it did no harm";
    EXPECT_NE(lines().find("; name service failed"), std::string::npos);
    device.reset();

    names.say(Says::nothing);
    device = open(config(broker));
    ASSERT_TRUE(device);
    ASSERT_TRUE(connected(*device));
    EXPECT_EQ(count(device->state(), Verdict::dns_timeout), 1U);
    device.reset();

    names.say(Says::no_such_name);
    device = open(config(broker));
    ASSERT_TRUE(device);
    ASSERT_TRUE(has_verdict(*device, Verdict::dns_failed)) << "an answer is believed";
    names.say(Says::addresses, {"127.0.0.1"});
    EXPECT_TRUE(connected(*device)) << "and so is the next one";
  });
}

// Field lesson 7.
TEST_F(DeviceNamesTest, AnotherNameServerIsAskedWithoutARestart) {
  HF_NEEDS_BROKER();
  HF_IN_OWN_NAMES([&] {
    posix::TestNameServer dead(kServer);
    posix::TestNameServer living("127.0.0.54");
    living.say(Says::addresses, {"127.0.0.1"});
    posix::use_name_server(kServer);
    const RealBroker broker(engines::test::Way::plain);
    auto device = open(config(broker.port()));
    ASSERT_TRUE(device);
    ASSERT_TRUE(has_verdict(*device, Verdict::dns_timeout));
    posix::use_name_server("127.0.0.54");
    EXPECT_TRUE(connected(*device));
  });
}

TEST_F(DeviceNamesTest, ADamagedAddressFileIsSaidAndDoesNoHarm) {
  HF_NEEDS_BROKER();
  HF_IN_OWN_NAMES([&] {
    posix::TestNameServer names(kServer);
    names.say(Says::failure);
    posix::use_name_server(kServer);
    const RealBroker broker(engines::test::Way::tls);
    const std::filesystem::path file = folder_ / "outbox" / "addresses";
    std::filesystem::create_directory(folder_ / "outbox", folder_);
    std::filesystem::permissions(folder_ / "outbox", std::filesystem::perms::owner_all);
    std::ofstream(file) << "holdfast-addresses 1 1\nbroker.test 8883 127.0.0.1";
    auto device = open(config(broker));
    ASSERT_TRUE(device);
    EXPECT_NE(lines().find(file.string() + ": the last line is cut"), std::string::npos);
    EXPECT_TRUE(has_verdict(*device, Verdict::dns_failed));
    names.say(Says::addresses, {"127.0.0.1"});
    ASSERT_TRUE(connected(*device));
    EXPECT_TRUE(wait([&] {
      std::ifstream in(file);
      const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      return text.find(" 127.0.0.1 ") != std::string::npos && text.back() == '\n';
    })) << "written anew";
  });
}

// Field lessons 13 and 28. Nothing that an application waits for waits for a name.
TEST_F(DeviceNamesTest, MessagesAreAcceptedAtTheirPaceWhileTheNameServiceIsABlackHole) {
  HF_IN_OWN_NAMES([&] {
    posix::TestNameServer names(kServer);
    posix::use_name_server(kServer);
    auto device = open(config(8883));
    ASSERT_TRUE(device);
    ASSERT_TRUE(wait([&] { return names.asked() > 0; }));
    std::mutex mutex;
    std::condition_variable changed;
    int accepted = 0;
    for (int i = 0; i < 500; ++i) {
      Message message;
      message.topic = "a/b";
      ASSERT_TRUE(device->publish(message, [&](const Receipt& receipt) {
        const std::lock_guard lock(mutex);
        accepted += receipt.kind == ReceiptKind::accepted ? 1 : 0;
        changed.notify_all();
      }));
    }
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, kPatience, [&] { return accepted == 500; }));
    lock.unlock();
    device->stop(Milliseconds(5000));
  });
}

// Field lessons 14 and 57.
TEST_F(DeviceNamesTest, ItStopsInTimeWhileTheNameServiceIsABlackHole) {
  HF_IN_OWN_NAMES([&] {
    posix::TestNameServer names(kServer);
    posix::use_name_server(kServer);
    auto device = open(config(8883));
    ASSERT_TRUE(device);
    ASSERT_TRUE(wait([&] { return names.asked() > 0; }));
    const auto begin = steady_clock::now();
    device->stop(Milliseconds(5000));
    EXPECT_LT(steady_clock::now() - begin, Milliseconds(5000));
    EXPECT_EQ(lines().find("deadline"), std::string::npos) << "in order, not by force";
  });
}

}  // namespace
}  // namespace holdfast
