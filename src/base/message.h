// A message once Holdfast has accepted it: what outbox, flow and engines pass along.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "holdfast/types.h"

namespace holdfast {

/// Index into the configured lanes; 0 goes first.
using LaneIndex = std::uint8_t;

/// Memory messages have ids with this bit set; durable ones never have it.
inline constexpr MessageId kVolatileBit = MessageId{1} << 63;

/// Ids of durable messages stay below this; the core numbers its own requests from here on.
inline constexpr MessageId kDurableIdEnd = MessageId{1} << 62;

[[nodiscard]] constexpr bool is_volatile(MessageId id) noexcept { return (id & kVolatileBit) != 0; }

/// An accepted message. Immutable once made, so it may be shared between threads.
struct StoredMessage {
  MessageId id = 0;  ///< 0 until the outbox (or flow, for memory messages) has given one.
  LaneIndex lane = 0;
  Qos qos = Qos::at_least_once;
  bool retain = false;
  MessageId alias = 0;  ///< The id it was accepted under while it was in RAM; 0: the same.
  bool spill = false;   ///< In RAM for now, to be moved to disk (Durability::spill).
  std::int64_t accepted_wall_ms = 0;            ///< Wall clock when accepted; a stamp only.
  std::optional<std::uint32_t> expiry_seconds;  ///< Counted from acceptance.
  BootTime expires = kNever;  ///< When that is over, as far as clocks can be trusted.
  BootTime give_up = kNever;  ///< When it is not worth sending any more: that, or its lane's age.
  std::string key;            ///< Conflation key; empty: the topic.
  std::string topic;
  Bytes payload;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> user_properties;
  std::string response_topic;
  Bytes correlation_data;

  /// The id that the application knows it by.
  [[nodiscard]] MessageId known_id() const noexcept { return alias != 0 ? alias : id; }

  /// Bytes of RAM it stands for in every budget.
  [[nodiscard]] std::size_t cost() const noexcept {
    std::size_t sum = sizeof(StoredMessage) + topic.size() + payload.size() + content_type.size() +
                      key.size() + response_topic.size() + correlation_data.size();
    for (const auto& [name, value] : user_properties) sum += name.size() + value.size();
    return sum;
  }
};

using MessagePtr = std::shared_ptr<const StoredMessage>;

}  // namespace holdfast
