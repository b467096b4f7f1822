// What is on its way to one device: the window of unacknowledged messages, the pace, and the copies
// that AWS IoT Core sends on a live connection.
//
// A message waits in one of two queues: `stored` (kept while the device was away; ten a second,
// unless that quota is off) or live. It is in flight from when it is sent until its PUBACK;
// meanwhile a copy goes every `redelivery_ms`, without DUP, until the window of the protocol
// version is over.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/time.h"
#include "lab/iot/rates.h"
#include "lab/iot/switches.h"
#include "lab/mqtt/packet.h"

namespace holdfast::lab::iot {

class Delivery {
 public:
  /// `switches` outlives it. `window`: unacknowledged messages at most.
  Delivery(const Switches& switches, mqtt::Version version, std::uint16_t window)
      : switches_(switches), version_(version), window_(window) {}

  /// What leaves here: messages for the device, in order, and broker packet ids that are settled
  /// without the device (given up, or over the rate).
  struct Output {
    std::vector<mqtt::Publish> to_device;
    std::vector<std::uint16_t> settled;
  };

  /// Takes a message. `broker_id`: the broker's packet id; 0 for QoS 0, and for what services send.
  void add(mqtt::Publish message, std::uint16_t broker_id, bool stored);

  /// Sends what may go now. `publishes`: the connection's rate, both directions.
  void pump(BootTime now, Bucket& publishes, Output& out);

  /// The device acknowledged `packet_id`; the broker's id to settle, if there is one.
  std::optional<std::uint16_t> acknowledged(std::uint16_t packet_id);

  /// When pump() has something to do next.
  [[nodiscard]] BootTime wake(BootTime now) const;
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_.size(); }

 private:
  struct Waiting {
    mqtt::Publish message;
    std::uint16_t broker_id = 0;
  };
  struct InFlight {
    mqtt::Publish message;
    std::uint16_t broker_id = 0;
    BootTime first_sent{};
    BootTime last_sent{};
    unsigned copies = 0;
  };

  void send_from(std::deque<Waiting>& queue, BootTime now, Bucket* pace, Bucket& publishes,
                 Output& out);
  void redeliver(BootTime now, Output& out);
  [[nodiscard]] std::uint16_t fresh_id();
  /// From one copy to the next.
  [[nodiscard]] Duration pause_after(const InFlight& entry) const;
  [[nodiscard]] Duration window_time() const;

  const Switches& switches_;
  mqtt::Version version_;
  std::uint16_t window_;
  std::uint16_t last_id_ = 0;
  std::deque<Waiting> live_;
  std::deque<Waiting> stored_;
  Bucket stored_pace_;
  BootTime stored_next_{};
  std::map<std::uint16_t, InFlight> in_flight_;
};

}  // namespace holdfast::lab::iot
