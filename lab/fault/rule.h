// A rule of the fault relay: which MQTT packets, and what happens to them.
//
// Rules are asked in their order. One that alters, duplicates or redelivers lets the packet go on
// to the next rule; one that drops, delays, holds, reorders, answers or disconnects before it ends
// the way of the packet. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"
#include "lab/mqtt/packet.h"
#include "lab/mqtt/stage.h"

namespace holdfast::lab::fault {

/// Whose packets a rule counts: those of each connection for itself, or those of all together.
enum class Scope : std::uint8_t { connection, all };

/// What has to hold of a packet, all of it; what is empty holds always.
struct Match {
  std::vector<mqtt::Type> packets;
  std::optional<mqtt::Side> from;  ///< device: "up"; broker: "down".
  std::string topic;      ///< Filter: of a PUBLISH the topic, of a SUBSCRIBE any of its filters.
  std::string client_id;  ///< '*' stands for any characters, '?' for one.
  std::optional<std::uint8_t> qos;  ///< Of a PUBLISH.
  // Of the packets for which the above holds, counted from 1:
  std::uint64_t skip = 0;    ///< Not the first so many.
  std::uint64_t every = 1;   ///< Of those after them only each so-manieth, the first included.
  std::uint64_t first = 0;   ///< The rule applies at most so often; 0: always.
  double probability = 1.0;  ///< Decided for each.
  Scope scope = Scope::connection;
  friend bool operator==(const Match&, const Match&) = default;
};

/// Never arrives, and is gone for good.
struct Drop {
  friend bool operator==(const Drop&, const Drop&) = default;
};

/// Arrives when the rule is taken away.
struct Hold {
  friend bool operator==(const Hold&, const Hold&) = default;
};

/// Arrives later; what comes after it does not wait. Latency that keeps the order is ByteSettings'.
struct Delay {
  Duration by{};
  friend bool operator==(const Delay&, const Delay&) = default;
};

/// Arrives after the next packet of its type and direction, or when none came for so long.
struct Reorder {
  Duration within = std::chrono::seconds(5);
  friend bool operator==(const Reorder&, const Reorder&) = default;
};

struct Duplicate {
  std::uint32_t copies = 1;
  friend bool operator==(const Duplicate&, const Duplicate&) = default;
};

/// What a packet has not is not altered. Properties are those of MQTT 5; whether the packet may
/// have them is not asked, since that may be the fault.
struct Alter {
  std::optional<std::uint8_t> code;  ///< Reason or return code; of a SUBACK, all of them.
  std::optional<bool> session_present;
  std::optional<bool> clean_start;
  std::optional<std::uint16_t> keep_alive;
  std::optional<bool> dup;
  std::optional<bool> retain;
  std::optional<std::uint8_t> qos;
  std::optional<std::uint16_t> packet_id;
  std::optional<std::string> topic;
  std::optional<std::string> payload;
  mqtt::Properties set;
  std::vector<mqtt::PropertyId> remove;
  friend bool operator==(const Alter&, const Alter&) = default;
};

/// The relay answers itself; the packet goes no further.
struct Answer {
  std::optional<mqtt::Type> packet;  ///< Without: what MQTT answers to it.
  std::uint8_t code = 0;
  bool session_present = false;
  mqtt::Properties properties;
  friend bool operator==(const Answer&, const Answer&) = default;
};

/// The connection ends at this packet.
struct Disconnect {
  bool pass = true;  ///< The packet goes on first.
  Duration delay{};
  /// MQTT 5 and after_sending: a DISCONNECT with this reason goes to the device first.
  std::optional<std::uint8_t> reason;
  mqtt::Ending ending = mqtt::Ending::after_sending;
  std::optional<mqtt::Side> side;  ///< Only towards there; without: both.
  friend bool operator==(const Disconnect&, const Disconnect&) = default;
};

/// So many a second go on, the others are dropped.
struct Rate {
  double per_second = 100;
  friend bool operator==(const Rate&, const Rate&) = default;
};

/// A QoS 1 PUBLISH is sent again each `after` until it is acknowledged. The acknowledgements of the
/// copies stay with the relay.
struct Redeliver {
  Duration after = std::chrono::seconds(30);
  bool dup = false;
  bool new_packet_id = false;
  std::uint32_t times = 0;  ///< At most; 0: no end.
  friend bool operator==(const Redeliver&, const Redeliver&) = default;
};

using Action =
    std::variant<Drop, Hold, Delay, Reorder, Duplicate, Alter, Answer, Disconnect, Rate, Redeliver>;

struct Rule {
  std::string name;  ///< Unique in its list.
  Match match;
  Action action;
  friend bool operator==(const Rule&, const Rule&) = default;
};

}  // namespace holdfast::lab::fault
