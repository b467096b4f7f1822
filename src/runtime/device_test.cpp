// Goal: the public API keeps its promises while there is no broker at all: answers at once,
// acceptance on disk, receipts in order, a clean end, nothing lost across a restart.
// Method: the real library with real threads and a real directory; the endpoint is a closed port.
// What needs a broker is tested in agent/agent_test.py and in the engine's own tests.
#include "holdfast/device.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "posix/test_network.h"

namespace holdfast {
namespace {

constexpr std::chrono::seconds kPatience(20);  // an upper bound, never reached when all is well

class DeviceTest : public ::testing::Test {
 protected:
  DeviceTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hf-device-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~DeviceTest() override { std::filesystem::remove_all(folder_); }

  Config config() const {
    Config config;
    config.host = "127.0.0.1";
    config.port = 1;  // nothing listens there
    config.tls.enabled = false;
    config.client_id = "device-test";
    config.outbox.directory = folder_ / "outbox";
    return config;
  }

  static std::unique_ptr<Device> open(const Config& config) {
    auto device = Device::open(config);
    EXPECT_TRUE(device.ok()) << (device.ok() ? "" : device.error().message);
    return device.ok() ? std::move(device).value() : nullptr;
  }

  static Message message(std::string topic, std::size_t bytes = 5) {
    Message m;
    m.topic = std::move(topic);
    m.payload = Bytes(bytes, std::byte{0x2a});
    return m;
  }

  /// Collects receipts and lets a test wait for a number of them.
  struct Receipts {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Receipt> seen;

    ReceiptHandler handler() {
      return [this](const Receipt& receipt) {
        const std::lock_guard lock(mutex);
        seen.push_back(receipt);
        changed.notify_all();
      };
    }
    std::vector<Receipt> wait_for(std::size_t count) {
      std::unique_lock lock(mutex);
      EXPECT_TRUE(changed.wait_for(lock, kPatience, [&] { return seen.size() >= count; }));
      return seen;
    }
  };

  std::filesystem::path folder_;
};

// Field lessons 9 and 10.
TEST_F(DeviceTest, ANetworkThatComesBackIsTriedAtOnce) {
  const bool ran = posix::in_own_network([&] {
    Config patient = config();
    patient.timing.backoff_first = patient.timing.backoff_cap = std::chrono::hours(1);
    auto device = open(patient);
    ASSERT_TRUE(device);
    const auto wait_for = [&](Verdict verdict) {
      const auto end = std::chrono::steady_clock::now() + kPatience;
      while (device->state().connection.verdict != verdict) {
        ASSERT_LT(std::chrono::steady_clock::now(), end)
            << to_string(device->state().connection.verdict);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    };
    wait_for(Verdict::no_route);
    posix::set_loopback(true);
    wait_for(Verdict::tcp_refused);
  });
  if (!ran) GTEST_SKIP() << "no right to a network namespace";
}

TEST_F(DeviceTest, DurableMessagesAreAcceptedOfflineAndWaitAcrossARestart) {
  auto device = open(config());
  ASSERT_TRUE(device);
  Receipts receipts;
  for (int i = 0; i < 100; ++i) {
    const PublishAnswer answer = device->publish(message("a/b"), receipts.handler());
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer.promised, Durability::durable);
  }
  MessageId last = 0;
  for (const Receipt& receipt : receipts.wait_for(100)) {
    EXPECT_EQ(receipt.kind, ReceiptKind::accepted);
    EXPECT_GT(receipt.id, last);
    last = receipt.id;
  }
  device->stop(Milliseconds(5000));
  EXPECT_TRUE(device->state().ledger.balanced());
  device.reset();

  auto again = open(config());
  ASSERT_TRUE(again);
  Receipts more;
  ASSERT_TRUE(again->publish(message("a/b"), more.handler()));
  EXPECT_GT(more.wait_for(1)[0].id, last) << "ids are never reused";
  const DeviceState state = again->state();
  EXPECT_FALSE(state.recovered_unclean);
  EXPECT_EQ(state.ledger.accepted, 101U);
  EXPECT_EQ(state.ledger.pending, 101U);
  EXPECT_TRUE(state.ledger.balanced());
}

// It waited for a stop in order that nobody had begun, 5 s, and the next start took it for a crash.
TEST_F(DeviceTest, AStartThatFailsEndsInOrder) {
  Config wrong = config();
  wrong.timing.stop_deadline = std::chrono::minutes(10);
  wrong.local_socket = folder_ / "no-folder" / "at-all" / "api.sock";
  EXPECT_FALSE(Device::open(wrong).ok());
  auto device = open(config());
  ASSERT_TRUE(device);
  EXPECT_FALSE(device->state().recovered_unclean);
}

// Found by tools/torture kill: a status in the first milliseconds showed an empty ledger.
TEST_F(DeviceTest, TheLedgerIsRightFromTheFirstMomentAfterOpening) {
  auto device = open(config());
  ASSERT_TRUE(device);
  Receipts receipts;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(device->publish(message("a/b"), receipts.handler()));
  receipts.wait_for(10);
  device.reset();
  for (int round = 0; round < 5; ++round) {
    device = open(config());
    ASSERT_TRUE(device);
    for (int look = 0; look < 1000; ++look) {
      const Ledger ledger = device->state().ledger;
      ASSERT_EQ(ledger.accepted, 10U) << "look " << look;
      ASSERT_EQ(ledger.pending, 10U) << "look " << look;
    }
    device.reset();
  }
}

// Field lesson 27.
TEST_F(DeviceTest, EveryRefusalIsAnsweredAtOnceAndCounted) {
  auto device = open(config());
  ASSERT_TRUE(device);
  const auto refuse = [&](Message m, RejectReason reason) {
    const std::uint64_t before = device->state().ledger.rejected[static_cast<std::size_t>(reason)];
    EXPECT_EQ(device->publish(std::move(m)).rejected, reason);
    EXPECT_EQ(device->state().ledger.rejected[static_cast<std::size_t>(reason)], before + 1);
  };
  refuse(message(""), RejectReason::invalid_topic);
  refuse(message("a/#"), RejectReason::invalid_topic);
  refuse(message("\xff"), RejectReason::invalid_topic);
  refuse(message("1/2/3/4/5/6/7/8/9"), RejectReason::invalid_topic);
  refuse(message("a", 128 * 1024 + 1), RejectReason::too_large);
  Message lane = message("a");
  lane.lane = "no such lane";
  refuse(lane, RejectReason::unknown_lane);
  Message expiry = message("a");
  expiry.expiry = Seconds(0);
  refuse(expiry, RejectReason::invalid_field);
  EXPECT_EQ(device->state().ledger.accepted, 0U);
}

TEST_F(DeviceTest, TheLedgerBalancesWhileManyThreadsPublish) {
  auto device = open(config());
  ASSERT_TRUE(device);
  std::vector<std::future<std::uint64_t>> threads;
  for (int t = 0; t < 4; ++t) {
    threads.push_back(std::async(std::launch::async, [&device] {
      std::uint64_t taken = 0;
      for (int i = 0; i < 2000; ++i) {
        if (device->publish(message("a/b", 200))) ++taken;
        EXPECT_TRUE(device->state().ledger.balanced());
      }
      return taken;
    }));
  }
  std::uint64_t taken = 0;
  for (auto& thread : threads) taken += thread.get();
  device->stop(Milliseconds(5000));
  const Ledger ledger = device->state().ledger;
  EXPECT_EQ(ledger.accepted, taken);
  EXPECT_EQ(ledger.pending, taken);
  EXPECT_TRUE(ledger.balanced());
}

TEST_F(DeviceTest, MemoryMessagesAreCountedLostWhenTheProcessEnds) {
  auto device = open(config());
  ASSERT_TRUE(device);
  Message m = message("a");
  m.durability = Durability::memory;
  Receipts receipts;
  ASSERT_TRUE(device->publish(m, receipts.handler()));
  EXPECT_EQ(receipts.wait_for(1)[0].kind, ReceiptKind::accepted);
  device->stop(Milliseconds(5000));
  const Receipt end = receipts.wait_for(2)[1];
  EXPECT_EQ(end.kind, ReceiptKind::dropped);
  EXPECT_EQ(end.dropped, DropReason::volatile_lost);
  EXPECT_TRUE(device->state().ledger.balanced());
}

TEST_F(DeviceTest, HandlersThatWaitForTheEndAreBoundedAndTheMessagesAreNot) {
  Config settings = config();
  settings.limits.receipts = 3;
  auto device = open(settings);
  ASSERT_TRUE(device);
  Receipts receipts;
  for (int i = 0; i < 10; ++i) {
    Message m = message("a");
    m.durability = Durability::memory;
    const ReceiptScope scope = i == 0 ? ReceiptScope::accepted : ReceiptScope::settled;
    ASSERT_TRUE(device->publish(m, receipts.handler(), scope));
  }
  const auto seen = receipts.wait_for(10);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(seen[i].kind, ReceiptKind::accepted);
    EXPECT_EQ(seen[i].last, i == 0 || i > 3) << "message " << i;
  }
  device->stop(Milliseconds(5000));
  EXPECT_EQ(receipts.wait_for(13).size(), 13U) << "the three that were followed end as lost";
  EXPECT_EQ(device->state().ledger.dropped[static_cast<std::size_t>(DropReason::volatile_lost)],
            10U);
}

// Field lesson 26.
TEST_F(DeviceTest, MemoryMessagesWaitForTheLoopWithinTheLimitOnly) {
  Config settings = config();
  settings.limits.memory = 128 * 1024;  // the least that holds one payload
  auto device = open(settings);
  ASSERT_TRUE(device);
  unsigned full = 0;
  for (int i = 0; i < 100; ++i) {
    Message m = message("a", 64 * 1024);
    m.durability = Durability::memory;
    full += device->publish(std::move(m)).rejected == RejectReason::queue_full ? 1U : 0U;
  }
  // Whether the gate or the flow refuses depends on the loop's speed; that one does, does not.
  device->stop(Milliseconds(5000));
  const Ledger ledger = device->state().ledger;
  EXPECT_GE(ledger.rejected[static_cast<std::size_t>(RejectReason::queue_full)], 97U);
  EXPECT_GE(ledger.rejected[static_cast<std::size_t>(RejectReason::queue_full)], full);
  EXPECT_TRUE(ledger.balanced());
}

TEST_F(DeviceTest, TheConnectionHandlerBeginsWithThePresentAndSeesTheVerdict) {
  auto device = open(config());
  ASSERT_TRUE(device);
  std::promise<ConnectionState> waiting;
  bool told = false;
  device->on_connection([&](const ConnectionState& state) {
    if (state.state != LinkState::waiting || told) return;
    told = true;
    waiting.set_value(state);
  });
  auto future = waiting.get_future();
  ASSERT_EQ(future.wait_for(kPatience), std::future_status::ready);
  const ConnectionState state = future.get();
  EXPECT_EQ(state.verdict, Verdict::tcp_refused);
  EXPECT_EQ(state.endpoint, "127.0.0.1:1");
  EXPECT_FALSE(state.detail.empty());
  device->stop(Milliseconds(5000));
}

// Field lesson 55.
TEST_F(DeviceTest, StopInsideAHandlerIsIgnoredAndASecondStopDoesNothing) {
  auto device = open(config());
  ASSERT_TRUE(device);
  std::promise<void> tried;
  ASSERT_TRUE(device->publish(message("a"), [&](const Receipt&) {
    device->stop(Milliseconds(5000));
    tried.set_value();
  }));
  ASSERT_EQ(tried.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_TRUE(device->publish(message("a")));
  device->stop(Milliseconds(5000));
  device->stop(Milliseconds(5000));
  EXPECT_EQ(device->publish(message("a")).rejected, RejectReason::stopping);
  EXPECT_FALSE(device->subscribe("a", Qos::at_least_once, [](const InboundMessage&) {}).ok());
  EXPECT_EQ(device->state().connection.state, LinkState::stopped);
}

TEST_F(DeviceTest, SubscriptionsAreCheckedBoundedAndEnded) {
  Config small = config();
  small.limits.subscriptions = 2;
  auto device = open(small);
  ASSERT_TRUE(device);
  const MessageHandler handler = [](const InboundMessage&) {};
  EXPECT_FALSE(device->subscribe("a/#/b", Qos::at_least_once, handler).ok());
  EXPECT_FALSE(device->subscribe("a", Qos::at_least_once, {}).ok());
  auto first = device->subscribe("a/+", Qos::at_least_once, handler);
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(device->subscribe("b", Qos::at_most_once, handler).ok());
  EXPECT_EQ(device->subscribe("c", Qos::at_most_once, handler).error().code, Errc::full);
  EXPECT_TRUE(device->unsubscribe(*first).ok());
  EXPECT_EQ(device->unsubscribe(*first).error().code, Errc::not_found);
  EXPECT_TRUE(device->subscribe("c", Qos::at_most_once, handler).ok());
}

TEST_F(DeviceTest, ReloadRefusesWhatNeedsARestartAndNamesIt) {
  auto device = open(config());
  ASSERT_TRUE(device);
  Config moved = config();
  moved.outbox.directory = folder_ / "elsewhere";
  const Status refused = device->reload(moved);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  EXPECT_NE(refused.error().message.find("outbox.directory"), std::string::npos);
  Config other = config();
  other.engine = MqttEngine::aws_crt;
  EXPECT_NE(device->reload(other).error().message.find("connection.engine"), std::string::npos);
  Config wrong = config();
  wrong.client_id.clear();
  EXPECT_EQ(device->reload(wrong).error().code, Errc::invalid_config);
  Config renamed = config();
  renamed.client_id = "another-name";
  EXPECT_TRUE(device->reload(renamed).ok());
}

TEST_F(DeviceTest, ReloadChangesTheLimitsOfLanesButNotWhetherTheyConflate) {
  Config limited = config();
  limited.lane_rules["bulk"].max_messages = 1;
  auto device = open(limited);
  ASSERT_TRUE(device);
  Receipts receipts;
  std::size_t published = 0;
  const auto outcome = [&] {
    Message m = message("t");
    m.lane = "bulk";
    EXPECT_TRUE(device->publish(m, receipts.handler()));
    return receipts.wait_for(++published).back();
  };
  EXPECT_EQ(outcome().kind, ReceiptKind::accepted);
  EXPECT_EQ(outcome().rejected, RejectReason::lane_full);
  limited.lane_rules["bulk"].max_messages = 2;
  ASSERT_TRUE(device->reload(limited).ok());
  EXPECT_EQ(outcome().kind, ReceiptKind::accepted);
  EXPECT_EQ(outcome().rejected, RejectReason::lane_full);
  limited.lane_rules["bulk"].conflate = true;
  EXPECT_NE(device->reload(limited).error().message.find("lane.bulk.conflate"), std::string::npos);
}

TEST_F(DeviceTest, EncryptedNothingOfAMessageIsOnTheDiskAndItWaitsForItsKey) {
  Config sealed = config();
  sealed.outbox.encrypt = true;
  sealed.outbox.key_file = folder_ / "key";
  EXPECT_FALSE(Device::open(sealed).ok()) << "it must not write in the clear instead";
  std::ofstream(sealed.outbox.key_file) << std::string(32, 'k');
  const auto publish_one = [&](const Config& with) {
    auto device = open(with);
    ASSERT_TRUE(device);
    Receipts receipts;
    ASSERT_TRUE(device->publish(message("secret/topic"), receipts.handler()));
    EXPECT_EQ(receipts.wait_for(1).at(0).kind, ReceiptKind::accepted);
    device->stop(Milliseconds(1000));
  };
  const auto on_disk = [&] {
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "outbox")) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(file), {}};
      if (content.find("secret/topic") != std::string::npos) return true;
    }
    return false;
  };
  publish_one(sealed);
  EXPECT_FALSE(on_disk());
  std::string log;
  {
    auto plain = Device::open(config(), [&](const LogLine& line) { log += line.text + "\n"; });
    ASSERT_TRUE(plain.ok());
    EXPECT_EQ((*plain)->state().ledger.pending, 1U);
  }
  EXPECT_NE(log.find("1 wait for the key"), std::string::npos) << log;
  publish_one(config());
  EXPECT_TRUE(on_disk()) << "or not finding it above proves nothing";
}

TEST_F(DeviceTest, ASecondDeviceOnTheSameOutboxIsRefused) {
  auto device = open(config());
  ASSERT_TRUE(device);
  auto second = Device::open(config());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Errc::in_use);
}

// Field lesson 55.
TEST_F(DeviceTest, ABlockedHandlerDelaysNeitherAcceptanceNorTheEnd) {
  auto device = open(config());
  ASSERT_TRUE(device);
  std::promise<void> entered;
  std::promise<void> release;
  std::promise<void> left;
  ASSERT_TRUE(device->publish(message("a"), [&](const Receipt&) {
    entered.set_value();
    release.get_future().wait();
    left.set_value();
  }));
  ASSERT_EQ(entered.get_future().wait_for(kPatience), std::future_status::ready);
  ASSERT_TRUE(device->publish(message("b")));
  const auto patience = std::chrono::steady_clock::now() + kPatience;
  while (device->state().ledger.accepted < 2U && std::chrono::steady_clock::now() < patience) {
    std::this_thread::sleep_for(Milliseconds(1));
  }
  EXPECT_EQ(device->state().ledger.accepted, 2U) << "while the handler blocks";
  device->stop(Milliseconds(1000));
  EXPECT_EQ(device->state().ledger.accepted, 2U);
  EXPECT_TRUE(device->state().ledger.balanced());
  device.reset();
  release.set_value();
  left.get_future().wait();
}

TEST_F(DeviceTest, EveryPartProvesProgressOfflineAndABlockedHandlerStopsItsOwnProofOnly) {
  auto device = open(config());
  ASSERT_TRUE(device);
  const auto all_grow = [&](const Progress& before, bool callbacks) {
    for (;;) {
      const Progress now = device->progress();
      if (now.loop > before.loop && now.engine > before.engine && now.storage > before.storage &&
          (!callbacks || now.callbacks > before.callbacks)) {
        return now;
      }
      std::this_thread::sleep_for(Milliseconds(1));
    }
  };
  all_grow(device->progress(), true);
  std::promise<void> entered;
  std::promise<void> release;
  ASSERT_TRUE(device->publish(
      message("a"),
      [&](const Receipt&) {
        entered.set_value();
        release.get_future().wait();
      },
      ReceiptScope::accepted));
  entered.get_future().wait();
  const Progress blocked = device->progress();
  EXPECT_EQ(all_grow(blocked, false).callbacks, blocked.callbacks);
  release.set_value();
  all_grow(blocked, true);
  device->stop(Milliseconds(1000));
  const Progress last = device->progress();
  EXPECT_EQ(device->progress().storage, last.storage);
}

}  // namespace
}  // namespace holdfast
