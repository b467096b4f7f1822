// Durable throughput through the public API (see ours.h).
#include "bench/ours.h"

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "bench/broker.h"
#include "holdfast/device.h"

namespace holdfast::bench {
namespace {

/// Messages handed over and not yet accepted; keeps the live mode below the memory limit.
constexpr std::size_t kAhead = 1000;

void log_trouble(const LogLine& line) {
  if (line.level == LogLevel::error) std::fprintf(stderr, "holdfast: %s\n", line.text.c_str());
}

/// Counts receipts and lets the benchmark's thread wait for a count.
class Counter {
 public:
  void receipt(const Receipt& receipt) {
    const std::scoped_lock lock(mutex_);
    switch (receipt.kind) {
      case ReceiptKind::accepted:
        ++accepted_;
        break;
      case ReceiptKind::delivered:
        ++delivered_;
        break;
      case ReceiptKind::rejected:
        fail("rejected: " + std::string(to_string(receipt.rejected)));
      case ReceiptKind::dropped:
        fail("dropped: " + std::string(to_string(receipt.dropped)));
    }
    wake_if_reached();
  }
  void connection(const ConnectionState& state) {
    const std::scoped_lock lock(mutex_);
    if (state.state == LinkState::connected && !connected_) connected_ = time_now();
    wake_if_reached();
  }

  /// Waits until `reached` holds; exits the process after `patience`.
  void wait(Seconds patience, const char* what, std::function<bool(const Counter&)> reached) {
    std::unique_lock lock(mutex_);
    wanted_ = std::move(reached);
    const bool in_time = changed_.wait_for(lock, patience, [this] { return wanted_(*this); });
    wanted_ = nullptr;
    if (!in_time) {
      fail(std::string(what) + ": only " + std::to_string(accepted_) + " accepted, " +
           std::to_string(delivered_) + " delivered after " + std::to_string(patience.count()) +
           " s");
    }
  }

  // Read these within wait()'s condition, or when nothing runs any more.
  [[nodiscard]] std::size_t accepted() const { return accepted_; }
  [[nodiscard]] std::size_t delivered() const { return delivered_; }
  [[nodiscard]] std::optional<double> connected() const { return connected_; }

 private:
  /// Each receipt waking the other thread would cost more than the receipt.
  void wake_if_reached() {
    if (wanted_ && wanted_(*this)) changed_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<bool(const Counter&)> wanted_;  ///< What wait() waits for.
  std::size_t accepted_ = 0;
  std::size_t delivered_ = 0;
  std::optional<double> connected_;
};

/// One repeat: a device with a new outbox.
class Run {
 public:
  Run(const Load& load, Seconds patience) : load_(load), patience_(patience) {
    Config config = plain_config(load.port, directory_.path());
    config.max_in_flight = load.window;
    auto opened = Device::open(std::move(config), log_trouble);
    if (!opened) fail("cannot open the device: " + opened.error().message);
    device_ = std::move(*opened);
    device_->on_connection([this](const ConnectionState& state) { counter_.connection(state); });
  }
  ~Run() { device_->stop(Milliseconds(5000)); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void publish_all() {
    for (std::size_t count = 0; count < load_.messages;) {
      if (publish_one()) ++count;
      if (count > kAhead) {
        counter_.wait(patience_, "publish",
                      [&](const Counter& now) { return now.accepted() + kAhead >= count; });
      }
    }
  }

  /// False when the device has no room at this moment; then something was waited for.
  bool publish_one() {
    Message message;
    message.topic = "bench/holdfast/throughput";
    message.payload.assign(load_.payload, std::byte{'x'});
    const PublishAnswer answer = device_->publish(
        std::move(message), [this](const Receipt& receipt) { counter_.receipt(receipt); });
    if (answer) {
      ++handed_over_;
      return true;
    }
    if (answer.rejected != RejectReason::queue_full) {
      fail("publish: " + std::string(to_string(answer.rejected)));
    }
    counter_.wait(patience_, "queue", [this](const Counter& now) {
      return now.accepted() + kAhead / 2 >= handed_over_ || now.accepted() == handed_over_;
    });
    return false;
  }

  void wait_accepted() {
    counter_.wait(patience_, "accept",
                  [this](const Counter& now) { return now.accepted() >= handed_over_; });
  }
  void wait_connected() {
    device_->reconnect_now();
    counter_.wait(patience_, "connect", [](const Counter& now) { return !!now.connected(); });
  }
  void wait_delivered() {
    counter_.wait(patience_, "deliver",
                  [this](const Counter& now) { return now.delivered() >= handed_over_; });
  }
  [[nodiscard]] double connected_at() const { return *counter_.connected(); }

 private:
  const Load& load_;
  Seconds patience_;
  TemporaryDirectory directory_;
  Counter counter_;
  std::size_t handed_over_ = 0;
  std::unique_ptr<Device> device_;  // the last member: its handlers use the others
};

Cost drain(const Load& load, Seconds patience) {
  Run run(load, patience);
  run.publish_all();
  run.wait_accepted();
  const Broker broker(load.port);
  const double cpu = cpu_now();
  run.wait_connected();
  run.wait_delivered();
  return {time_now() - run.connected_at(), cpu_now() - cpu};
}

Cost live(const Load& load, Mode mode, Seconds patience) {
  const Broker broker(load.port);
  Run run(load, patience);
  run.wait_connected();
  const double cpu = cpu_now();
  const double begin = time_now();
  if (mode == Mode::live) run.publish_all();
  for (std::size_t count = 0; mode == Mode::one && count < load.messages; ++count) {
    run.publish_one();
    run.wait_delivered();
  }
  run.wait_delivered();
  return {time_now() - begin, cpu_now() - cpu};
}

}  // namespace

Config plain_config(std::uint16_t port, const std::filesystem::path& directory) {
  Config config;
  config.host = "127.0.0.1";
  config.port = port;
  config.tls.enabled = false;
  config.client_id = "bench-holdfast";
  config.messages_per_second = 0;
  config.bytes_per_second = 0;
  config.outbox.directory = directory / "outbox";
  config.outbox.max_bytes = 256 * 1024 * 1024;
  config.limits.receipts = 1'000'000;  // every delivery is counted
  config.log.level = LogLevel::error;
  return config;
}

Cost run_ours(const Load& load, Mode mode, Seconds patience) {
  return mode == Mode::drain ? drain(load, patience) : live(load, mode, patience);
}

}  // namespace holdfast::bench
