// The broker as one client sees it: session, subscriptions, window, acknowledgements, and what it
// does wrong.
//
// Purpose:  decides at once; the link (sim/model_link.h) brings its answers over the network.
// Threads:  one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "env/engine.h"
#include "sim/device_context.h"
#include "sim/message_book.h"

namespace holdfast::sim {

/// How often a broker misbehaves: once in so many messages, or connections.
struct BrokerRates {
  std::uint64_t per_message = 3000;
  std::uint64_t session_lost = 6;
  std::uint64_t acks_none = 0;  ///< 1: no PUBACK ever comes.
};

class ModelBroker {
 public:
  /// A message to the device.
  struct Command {
    std::uint64_t number = 0;
    std::string topic;
  };
  struct Ack {
    std::optional<std::uint8_t> code;  ///< None: it never comes.
    std::chrono::nanoseconds after{};
  };

  ModelBroker(DeviceContext& context, MessageBook& book, const BrokerRates& rates)
      : sim_(context), book_(book), rates_(rates) {}

  /// Where commands go while a client is there.
  std::function<void(const Command&)> to_client;

  /// CONNECT. Whoever was connected is not any more.
  env::UpInfo connect(const env::ConnectRequest& request);
  /// The client has its CONNACK; what waits for it may go.
  void resume();
  void disconnected();
  /// PUBLISH. The caller calls answered() when it sends the PUBACK.
  Ack publish(env::Token token, const StoredMessage& message);
  void answered() { --unanswered_; }
  std::vector<std::uint8_t> subscribe(const std::vector<env::FilterRequest>& filters);
  std::vector<std::uint8_t> unsubscribe(const std::vector<std::string>& filters);
  /// Somebody publishes to a topic that the device may have subscribed to.
  void command(std::string topic);
  void command_taken(std::uint64_t number);

  [[nodiscard]] const std::set<std::string>& filters() const { return filters_; }
  /// Messages of this connection that will never be answered.
  [[nodiscard]] std::size_t withheld() const { return withheld_; }
  [[nodiscard]] bool knows(const Command& command) const;

 private:
  void forget();
  void send(const Command& command);
  bool over_rate();

  DeviceContext& sim_;
  MessageBook& book_;
  const BrokerRates& rates_;
  bool session_ = false;
  SimTime session_until_ = kSimNever;  ///< While nobody is connected.
  Seconds session_expiry_{0};
  std::set<std::string> filters_;
  std::deque<Command> waiting_;      ///< Not acknowledged by the client.
  std::vector<std::string> topics_;  ///< Of every command, by number.
  bool connected_ = false;
  bool resumed_ = false;
  std::uint16_t receive_maximum_ = 0;
  std::size_t unanswered_ = 0;
  std::size_t withheld_ = 0;
  SimTime second_{};  ///< The second that messages are counted in.
  std::uint64_t in_second_ = 0;
};

}  // namespace holdfast::sim
