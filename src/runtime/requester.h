// Request and response over publish and subscribe: the helper behind Device::request().
//
// Purpose:  subscribes to the response topic once, sends a request only when its answer can be
//           heard, and gives each request exactly one end.
// Threads:  any; stop() ends it. Handlers run on the executor. The timer lives on the loop.
// Ownership: shared by the device and by the handlers under way, so that one which never returns
//           may be left behind. After stop() the device is not touched.
// Bounds:   limits::kRequests at once; messages that wait for the response topic take at most
//           Config::Limits::memory bytes (one always fits).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "env/clock.h"
#include "env/random.h"
#include "flow/requests.h"
#include "holdfast/device.h"
#include "posix/event_loop.h"
#include "runtime/executor.h"

namespace holdfast::runtime {

class Requester : public std::enable_shared_from_this<Requester> {
 public:
  using Post = std::function<void(std::vector<Executor::Task>)>;

  /// `device` and `loop` must outlive stop(). `post` hands tasks to the executor.
  [[nodiscard]] static std::shared_ptr<Requester> make(Device& device, posix::EventLoop& loop,
                                                       std::shared_ptr<const env::Clock> clock,
                                                       std::unique_ptr<env::Random> random,
                                                       Post post);

  /// As Device::request().
  [[nodiscard]] Status ask(Message message, Milliseconds timeout, ResponseHandler handler,
                           const Config& config);
  /// How the topic filters stand now. Loop thread.
  void filters_changed(const std::vector<FilterState>& filters);
  /// Ends those whose time is over. Loop thread; the timer calls it.
  void look();
  /// Ends every request; later ones are refused.
  void stop();

  [[nodiscard]] RequestCounts counts() const;

 private:
  using Number = flow::Requests::Number;
  struct Entry {
    ResponseHandler handler;
    std::optional<Message> waiting;  ///< Not sent yet: the response topic is not in force.
  };

  Requester(Device& device, posix::EventLoop& loop, std::shared_ptr<const env::Clock> clock,
            std::unique_ptr<env::Random> random, Post post);

  // With mutex_ held:
  [[nodiscard]] Status may_ask(const Message& message, const Config& config);
  [[nodiscard]] Status listen(const std::string& topic);
  [[nodiscard]] RejectReason send(Number number, Message message);
  [[nodiscard]] ResponseHandler take(Number number);
  [[nodiscard]] Executor::Task end(Number number, ResponseKind kind, Receipt receipt = {});

  void heard(const InboundMessage& message);
  void settled(Number number, const Receipt& receipt);
  void arm();

  Device& device_;
  posix::EventLoop& loop_;
  const std::shared_ptr<const env::Clock> clock_;
  const std::unique_ptr<env::Random> random_;
  const Post post_;
  posix::Timer timer_;  ///< Loop thread.

  mutable std::mutex mutex_;
  flow::Requests table_;
  std::map<Number, Entry> entries_;
  Number last_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::string topic_;  ///< Subscribed to; empty: none yet.
  SubscriptionId subscription_ = 0;
  bool granted_ = false;
  std::optional<std::uint8_t> refused_;  ///< The broker's word on topic_, if it was no.
  bool stopped_ = false;
};

/// Where answers to this device come.
[[nodiscard]] std::string response_topic_of(const Config& config);

}  // namespace holdfast::runtime
