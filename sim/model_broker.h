// The broker as one client sees it: session, subscriptions, window, acknowledgements, retained
// messages, the will, and what it does wrong. MQTT 5 or 3.1.1, as the client says.
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
#include "sim/observer.h"

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
    bool retain = false;  ///< Kept from before, and sent because of a subscription.
    bool empty = false;   ///< It deletes what is retained.
  };
  struct Ack {
    std::optional<std::uint8_t> code;  ///< None: it never comes.
    std::chrono::nanoseconds after{};
    bool hang_up = false;  ///< The connection is closed instead: MQTT 3.1.1 knows no refusal ...
    std::uint8_t farewell = 0;  ///< ... with a DISCONNECT of this code; 0: without.
  };

  ModelBroker(DeviceContext& context, MessageBook& book, Observer& observer,
              const BrokerRates& rates)
      : sim_(context), book_(book), observer_(observer), rates_(rates) {}

  /// Where commands go while a client is there.
  std::function<void(const Command&)> to_client;

  /// CONNECT. Whoever was connected is not any more.
  env::UpInfo connect(const env::ConnectRequest& request);
  /// The client has its CONNACK; what waits for it may go.
  void resume();
  /// `politely`: it said DISCONNECT, so that nobody hears its will.
  void disconnected(bool politely);
  /// The session is gone.
  void forget();
  /// The sessions of this endpoint are.
  void forget_at(std::size_t endpoint);
  /// Another client has used our session; `clean`: for one of its own.
  void intruded(bool clean);
  /// PUBLISH. The caller calls answered() when it sends the PUBACK.
  Ack publish(env::Token token, const StoredMessage& message);
  void answered() { --unanswered_; }
  /// None: it hangs up, with this farewell.
  std::optional<std::vector<std::uint8_t>> subscribe(const std::vector<env::FilterRequest>& filters,
                                                     std::uint8_t& farewell);
  std::vector<std::uint8_t> unsubscribe(const std::vector<std::string>& filters);
  /// Somebody publishes to a topic that the device may have subscribed to; retained or not.
  void command(const std::string& topic);
  /// The same, retained; answers its number.
  std::uint64_t command_retained(const std::string& topic, bool empty);
  void command_taken(std::uint64_t number);

  // ---- its policy ------------------------------------------------------------------------------

  /// Publishing to this topic, or subscribing to this filter, is denied until then: by hanging up,
  /// or by an answer where the version has one.
  void deny(const std::string& name, bool answers, SimTime until);
  void deny_nothing() { denials_.clear(); }
  [[nodiscard]] bool denies(const std::string& name) const;
  /// Whether it has ever denied this, in this way.
  [[nodiscard]] bool has_denied(const std::string& name, bool answers) const {
    return (answers ? said_no_ : hung_up_).contains(name);
  }
  /// How often it has hung up because of it since count_anew(), while it was denied.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& hang_ups() const { return hang_ups_; }
  void count_anew() { hang_ups_.clear(); }

  [[nodiscard]] const std::set<std::string>& filters() const { return filters_; }
  /// Messages of this connection that will never be answered.
  [[nodiscard]] std::size_t withheld() const { return withheld_; }
  /// ... or whose answer was kept back for seconds.
  [[nodiscard]] bool dawdled() const { return dawdled_ || withheld_ > 0; }
  /// What a topic retains; empty: nothing.
  [[nodiscard]] Bytes retained(const std::string& topic) const;
  /// Whether such a command was sent: its topic, and its mark as a retained one.
  [[nodiscard]] bool knows(const Command& command) const;

 private:
  struct Denial {
    bool answers = false;
    SimTime until{};
  };
  [[nodiscard]] const Denial* denial_of(const std::string& name) const;
  /// Whether it hangs up on this now.
  bool hangs_up_on(const std::string& name, std::uint8_t& farewell);
  void issue(const Command& command);
  void send_retained(const std::string& filter);
  void retain(const std::string& topic, const Bytes& payload);
  /// What the broker does with a message that it takes.
  void take(env::Token token, const StoredMessage& message, std::optional<std::uint8_t> code);
  [[nodiscard]] bool v5() const { return request_.version == MqttVersion::v5; }
  void send(const Command& command);
  bool over_rate();

  DeviceContext& sim_;
  MessageBook& book_;
  Observer& observer_;
  const BrokerRates& rates_;
  void go_to(std::size_t endpoint);

  env::ConnectRequest request_;  ///< The last one.
  bool session_ = false;
  SimTime session_until_ = kSimNever;  ///< While nobody is connected.
  Seconds session_expiry_{0};
  MqttVersion session_version_ = MqttVersion::v5;
  std::set<std::string> filters_;
  std::deque<Command> waiting_;  ///< Not acknowledged by the client.
  /// The same of endpoints where the client is not. What is retained is there at all of them.
  struct Session {
    bool there = false;
    SimTime until = kSimNever;
    Seconds expiry{0};
    MqttVersion version = MqttVersion::v5;
    std::set<std::string> filters;
    std::deque<Command> waiting;
  };
  std::size_t endpoint_ = 0;
  std::map<std::size_t, Session> elsewhere_;
  struct Issued {
    std::string topic;
    bool live = false;      ///< Sent as it came in ...
    bool retained = false;  ///< ... and because of a subscription.
  };
  std::vector<Issued> issued_;             ///< Every command, by number.
  std::map<std::string, Bytes> retained_;  ///< By topic.
  std::map<std::string, Denial> denials_;
  std::set<std::string> said_no_;
  std::set<std::string> hung_up_;
  std::map<std::string, std::uint64_t> hang_ups_;
  bool connected_ = false;
  bool resumed_ = false;
  std::uint16_t receive_maximum_ = 0;
  std::size_t unanswered_ = 0;
  std::size_t withheld_ = 0;
  bool dawdled_ = false;
  SimTime second_{};  ///< The second that messages are counted in.
  std::uint64_t in_second_ = 0;
};

}  // namespace holdfast::sim
