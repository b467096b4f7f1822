// The front door: one device's connection to the local IoT Core, with the rules of the service that
// a broker does not know.
//
//     device  <-3.1.1 or 5->  Door  <-5->  mosquitto
//
// Purpose:  identity and policies, the quotas of a connection, deviations from the OASIS standard
//           (Developer Guide, "MQTT"), reserved topics, take-over, keep-alive, presence. Routing,
//           sessions, retained messages and wills are mosquitto's, to which it always speaks
//           MQTT 5.
// Threads:  none; see mqtt/stage.h. Owned by whoever drives the conversation; known to its Region
//           from construction to destruction.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "lab/iot/access.h"
#include "lab/iot/delivery.h"
#include "lab/iot/leaving.h"
#include "lab/iot/rates.h"
#include "lab/mqtt/packet.h"
#include "lab/mqtt/stage.h"

namespace holdfast::lab::iot {

class Region;

class Door : public mqtt::Stage {
 public:
  Door(Region& region, Arrival arrival, BootTime now);
  ~Door() override;

  void on_frame(BootTime now, mqtt::Side from, std::string_view frame, mqtt::Wishes& out) override;
  void on_garbage(BootTime now, mqtt::Side from, std::string_view bytes,
                  mqtt::Wishes& out) override;
  void on_closed(BootTime now, mqtt::Side side, mqtt::Wishes& out) override;
  [[nodiscard]] BootTime wake() const override;
  void on_wake(BootTime now, mqtt::Wishes& out) override;

  // For the Region. What they cause is sent at the next on_wake().
  /// A message for this connection, subscribed or not.
  void deliver(mqtt::Publish message);
  /// Ends the connection. `forget`: the session, too. `with_will`: the will is published.
  void end_soon(DisconnectReason why, bool forget = false, bool with_will = true);

  [[nodiscard]] const Requester& who() const noexcept { return who_; }
  [[nodiscard]] const AccessFacts& facts() const noexcept { return facts_; }
  [[nodiscard]] mqtt::Version version() const noexcept { return version_; }
  /// The number of this connection in lifecycle events.
  [[nodiscard]] std::int64_t lifecycle_version() const noexcept { return lifecycle_version_; }
  void set_lifecycle_version(std::int64_t version) noexcept { lifecycle_version_ = version; }
  [[nodiscard]] bool is_open() const noexcept { return state_ == State::open; }

 private:
  enum class State : std::uint8_t {
    /// Waits for the device's CONNECT; ended by the patience for it, or by anything else.
    /// Next: awaiting_connack, ended.
    awaiting_connect,
    /// The broker was asked. Next: open, ended.
    awaiting_connack,
    /// Until either end closes, a rule is broken, or the keep-alive runs out. Next: ended.
    open,
    /// Nothing more is heard or said.
    ended,
  };
  /// A frame that waits until the line has carried it.
  struct Held {
    BootTime due{};
    std::size_t bytes = 0;
    mqtt::Packet packet;
  };
  /// A SUBSCRIBE or UNSUBSCRIBE under way: the codes known so far, and whose the broker decides.
  struct Asked {
    std::vector<mqtt::Subscription> wanted;          ///< As the device sent them.
    std::vector<std::optional<std::uint8_t>> codes;  ///< nullopt: the broker's to give.
    bool subscribe = true;
  };

  // door.cpp
  void take(BootTime now, mqtt::Packet packet, mqtt::Wishes& out);
  void take_from_broker(BootTime now, mqtt::Packet packet, mqtt::Wishes& out);
  void on_disconnect(const mqtt::Disconnect& disconnect, mqtt::Wishes& out);
  /// Takes the held frames whose time has come.
  void release(BootTime now, mqtt::Side from, mqtt::Wishes& out);
  void end(DisconnectReason why, std::uint8_t code, std::string words, mqtt::Wishes& out);
  /// Carries end_soon() out. `broker_listens`: its end of the connection is still there.
  void end_as_asked(bool broker_listens, mqtt::Wishes& out);
  void to_device(const mqtt::Packet& packet, mqtt::Wishes& out);
  void to_broker(const mqtt::Packet& packet, mqtt::Wishes& out);
  void leave_broker(bool with_will, bool forget, mqtt::Wishes& out);
  [[nodiscard]] bool five() const noexcept { return version_ == mqtt::Version::v5; }

  // door_connect.cpp
  void on_connect(BootTime now, const mqtt::Connect& connect, mqtt::Wishes& out);
  void on_connack(BootTime now, const mqtt::Connack& connack, mqtt::Wishes& out);
  void limit_lifetime(BootTime now);
  void refuse(Refusal refusal, std::string words, mqtt::Wishes& out);
  [[nodiscard]] std::optional<Refusal> judge_connect(BootTime now, const mqtt::Connect& connect,
                                                     std::string& words);
  [[nodiscard]] std::optional<Refusal> judge_identity(BootTime now, const mqtt::Connect& connect,
                                                      std::string& words);
  [[nodiscard]] mqtt::Connect upstream_connect(const mqtt::Connect& connect);
  [[nodiscard]] mqtt::Connack device_connack(const mqtt::Connack& connack) const;

  // door_requests.cpp
  void on_publish(BootTime now, mqtt::Publish publish, mqtt::Wishes& out);
  [[nodiscard]] bool resolve_alias(mqtt::Publish& publish, mqtt::Wishes& out);
  [[nodiscard]] bool within_limits(const mqtt::Publish& publish, mqtt::Wishes& out);
  void refuse_publish(const mqtt::Publish& publish, mqtt::Wishes& out);
  void acknowledge(const mqtt::Publish& publish, std::uint8_t reason, mqtt::Wishes& out);
  void forward(mqtt::Publish publish, mqtt::Wishes& out);
  void on_subscribe(const mqtt::Subscribe& subscribe, mqtt::Wishes& out);
  [[nodiscard]] std::optional<std::uint8_t> judge_subscription(const mqtt::Subscription& wanted,
                                                               std::size_t subscribed);
  void on_unsubscribe(const mqtt::Unsubscribe& unsubscribe, mqtt::Wishes& out);
  void on_suback(const mqtt::Suback& suback, mqtt::Wishes& out);
  void answer_asked(std::uint16_t packet_id, Asked asked, mqtt::Wishes& out);

  // door_delivery.cpp
  void on_broker_publish(BootTime now, mqtt::Publish publish, mqtt::Wishes& out);
  void pump(BootTime now, mqtt::Wishes& out);
  void settle(std::uint16_t broker_id, mqtt::Wishes& out);

  Region& region_;
  Arrival arrival_;
  Requester who_;
  AccessFacts facts_;
  std::int64_t lifecycle_version_ = 0;
  State state_ = State::awaiting_connect;
  mqtt::Version version_ = mqtt::Version::v5;
  BootTime patience_;  ///< For CONNECT and CONNACK.
  BootTime lifetime_ = kNever;
  DisconnectReason lifetime_reason_ = DisconnectReason::server_initiated_disconnect;
  Duration keep_alive_{};
  std::uint16_t asked_keep_alive_ = 0;
  std::optional<std::uint32_t> asked_expiry_;
  std::uint32_t expiry_ = 0;  ///< Of the session, as granted.
  std::size_t largest_ = 0;   ///< What the device takes, in bytes; 0: anything.
  BootTime last_heard_;
  WallTime opened_{};  ///< What was published before was stored.
  Bucket publishes_;
  Line up_, down_;
  std::deque<Held> held_up_, held_down_;
  std::size_t held_bytes_ = 0;
  std::optional<Delivery> delivery_;
  BootTime last_pump_{};
  std::map<std::uint16_t, std::string> aliases_;
  std::map<std::uint16_t, Asked> asked_;
  std::set<std::uint16_t> unacknowledged_;  ///< Publishes of the device at the broker.
  struct EndSoon {
    DisconnectReason why;
    bool forget;
    bool with_will;
  };
  std::optional<EndSoon> end_soon_;
};

}  // namespace holdfast::lab::iot
