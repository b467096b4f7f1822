// A message once Holdfast has accepted it: what outbox, flow and engines pass along.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
  std::int64_t accepted_wall_ms = 0;            ///< Wall clock when accepted; a stamp only.
  std::optional<std::uint32_t> expiry_seconds;  ///< Counted from acceptance.
  std::string topic;
  Bytes payload;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> user_properties;

  /// Bytes of RAM it stands for in every budget.
  [[nodiscard]] std::size_t cost() const noexcept {
    std::size_t sum = sizeof(StoredMessage) + topic.size() + payload.size() + content_type.size();
    for (const auto& [name, value] : user_properties) sum += name.size() + value.size();
    return sum;
  }
};

using MessagePtr = std::shared_ptr<const StoredMessage>;

}  // namespace holdfast
