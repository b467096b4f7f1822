// A door with a device before it and a broker behind it, both played by the test.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lab/iot/door.h"
#include "lab/iot/region.h"
#include "sim/seeded_random.h"

namespace holdfast::lab::iot::test {

using namespace std::chrono_literals;

/// A clock that the test turns.
class TurnedClock : public env::Clock {
 public:
  [[nodiscard]] BootTime now() const override { return at; }
  [[nodiscard]] WallTime wall() const override {
    return {1'700'000'000'000 + at.time_since_epoch() / std::chrono::milliseconds(1)};
  }
  [[nodiscard]] bool wall_synchronized() const override { return true; }
  [[nodiscard]] env::BootId boot_id() const override { return {}; }
  BootTime at{1h};
};

/// Allows all but what the test forbids.
class ListedAccess : public Access {
 public:
  bool allows(const Requester& /*who*/, std::string_view action, std::string_view resource,
              const AccessFacts& facts) const override {
    last_facts = facts;
    const std::string asked = std::string(action) + " " + std::string(resource);
    return std::find(forbidden.begin(), forbidden.end(), asked) == forbidden.end();
  }
  std::variant<Grant, std::string> authorize(WallTime /*now*/, std::uint64_t /*connection*/,
                                             std::string_view username,
                                             std::string_view password) override {
    seen_username = username;
    if (password != "token") return std::string("CUSTOM_AUTHORIZER_NOT_FOUND");
    return Grant{"someone", 300s};
  }
  void forget(std::uint64_t connection) override { forgotten.push_back(connection); }
  std::string exclusive_thing(std::string_view /*principal*/) const override { return {}; }

  std::vector<std::string> forbidden;
  std::vector<std::uint64_t> forgotten;
  std::string seen_username;
  mutable AccessFacts last_facts;
};

/// The Region and all that it needs.
struct Place {
  TurnedClock clock;
  sim::SeededRandom random{1};
  ListedAccess access;
  Lifecycle lifecycle;
  Region region{{clock, random, access, "secret"}};
  Place() { region.set_lifecycle(lifecycle); }

  /// What the services published since the last call, without lifecycle events.
  std::vector<Answer> published() {
    sort_out();
    return std::exchange(published_, {});
  }
  /// All lifecycle events so far, as "disconnected DUPLICATE_CLIENTID pump", "subscribed pump a/b".
  const std::vector<std::string>& events() {
    sort_out();
    return events_;
  }

 private:
  void sort_out() {
    for (Answer& answer : region.take_published()) {
      if (!answer.topic.starts_with("$aws/events/")) {
        published_.push_back(std::move(answer));
        continue;
      }
      const Json event = *parse_json(answer.payload);
      std::string line = event["eventType"];
      if (event.contains("disconnectReason"))
        line += " " + event["disconnectReason"].get<std::string>();
      line += " " + event["clientId"].get<std::string>();
      for (const auto& filter : event.value("topics", Json::array()))
        line += " " + filter.get<std::string>();
      events_.push_back(std::move(line));
    }
  }
  std::vector<Answer> published_;
  std::vector<std::string> events_;
};

/// One conversation: what the door sent to each end, packet by packet.
class Visit {
 public:
  explicit Visit(Place& place,
                 Arrival arrival = {Arrival::By::certificate, "cert", "10.0.0.1", "lab", {}, false})
      : place_(place), door_(std::make_unique<Door>(place.region, std::move(arrival), now())) {}

  BootTime now() const { return place_.clock.at; }
  Door& door() { return *door_; }
  void drop() { door_.reset(); }

  void device_sends(const mqtt::Packet& packet) {
    if (const auto* connect = std::get_if<mqtt::Connect>(&packet)) version_ = connect->version;
    device_sends_bytes(mqtt::encode(version_, packet));
  }
  void device_sends_bytes(const std::string& frame) {
    mqtt::Wishes out;
    door_->on_frame(now(), mqtt::Side::device, frame, out);
    carry(out);
  }
  void broker_sends(const mqtt::Packet& packet) {
    mqtt::Wishes out;
    door_->on_frame(now(), mqtt::Side::broker, mqtt::encode(mqtt::Version::v5, packet), out);
    carry(out);
  }
  void closes(mqtt::Side side) {
    mqtt::Wishes out;
    door_->on_closed(now(), side, out);
    carry(out);
  }
  /// Lets time pass, waking the door when it asks.
  void pass(Duration time) {
    const BootTime until = now() + time;
    for (int i = 0; i < 100'000 && door_->wake() <= until; ++i) {
      place_.clock.at = std::max(now(), door_->wake());
      wake();
    }
    place_.clock.at = until;
  }
  void wake() {
    mqtt::Wishes out;
    door_->on_wake(now(), out);
    carry(out);
  }

  /// Connects and lets the broker answer.
  void connect(mqtt::Connect connect, bool session_present = false) {
    device_sends(connect);
    ASSERT_FALSE(to_broker.empty());
    broker_sends(mqtt::Connack{session_present, 0, {}});
    ASSERT_FALSE(to_device.empty());
    connack = std::get<mqtt::Connack>(to_device.front());
    connect_upstream = std::get<mqtt::Connect>(to_broker.front());
    to_broker.clear();
    to_device.clear();
  }
  /// Subscribes at QoS 1, and the broker grants it.
  void subscribe(const std::string& filter) {
    device_sends(mqtt::Subscribe{900, {{filter, 1}}, {}});
    broker_sends(mqtt::Suback{mqtt::Type::suback, 900, {1}, {}});
    to_broker.clear();
    to_device.clear();
  }

  template <class P>
  P device_got() {
    return take<P>(to_device);
  }
  template <class P>
  P broker_got() {
    return take<P>(to_broker);
  }

  std::deque<mqtt::Packet> to_device, to_broker;
  std::vector<std::string> notes;
  bool device_closed = false, broker_closed = false;
  mqtt::Connack connack;
  mqtt::Connect connect_upstream;

 private:
  template <class P>
  static P take(std::deque<mqtt::Packet>& from) {
    if (from.empty()) {
      ADD_FAILURE() << "nothing was sent";
      return {};
    }
    const mqtt::Packet first = from.front();
    from.pop_front();
    if (const P* packet = std::get_if<P>(&first)) return *packet;
    ADD_FAILURE() << "a " << mqtt::to_string(mqtt::type_of(first));
    return {};
  }

  void carry(const mqtt::Wishes& out) {
    for (const mqtt::Wish& wish : out.all) {
      const bool device = wish.to == mqtt::Side::device;
      if (wish.kind == mqtt::Wish::Kind::note) notes.push_back(wish.bytes);
      if (wish.kind == mqtt::Wish::Kind::close) (device ? device_closed : broker_closed) = true;
      if (wish.kind != mqtt::Wish::Kind::send) continue;
      EXPECT_FALSE(device ? device_closed : broker_closed) << "sent after closing";
      const auto packet = mqtt::decode(device ? version_ : mqtt::Version::v5, wish.bytes);
      ASSERT_TRUE(packet) << packet.error().message;
      (device ? to_device : to_broker).push_back(*packet);
    }
  }

  Place& place_;
  std::unique_ptr<Door> door_;
  mqtt::Version version_ = mqtt::Version::v5;
};

inline mqtt::Connect connect_of(std::string id, mqtt::Version version = mqtt::Version::v5) {
  mqtt::Connect c;
  c.version = version;
  c.client_id = std::move(id);
  c.keep_alive = 60;
  return c;
}

inline mqtt::Publish publish_of(std::string topic, std::uint16_t packet_id,
                                std::string payload = "x") {
  mqtt::Publish p;
  p.topic = std::move(topic);
  p.payload = std::move(payload);
  p.packet_id = packet_id;
  p.qos = packet_id == 0 ? 0 : 1;
  return p;
}

}  // namespace holdfast::lab::iot::test
