// The quotas of AWS IoT Core that one connection meets (AWS General Reference, "AWS IoT Core
// endpoints and quotas"; Developer Guide, "MQTT"). What the documents leave open is a switch:
// switches.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace holdfast::lab::iot::quotas {

inline constexpr std::size_t kClientId = 128;             // bytes
inline constexpr std::size_t kTopic = 256;                // bytes
inline constexpr std::size_t kSlashes = 7;                // in a topic
inline constexpr std::size_t kPayload = 128 * 1024;       // bytes
inline constexpr std::size_t kPacket = 146 * 1024;        // bytes after the fixed header
inline constexpr std::size_t kContentType = 256;          // bytes
inline constexpr std::size_t kCorrelation = 8 * 1024;     // bytes
inline constexpr std::size_t kUserProperties = 8 * 1024;  // bytes of names and values
inline constexpr std::size_t kFiltersAtOnce = 8;          // in a SUBSCRIBE
inline constexpr std::size_t kSubscriptions = 50;         // of a connection
inline constexpr std::size_t kShareName = 128;            // bytes
inline constexpr std::uint16_t kTopicAliases = 8;         // in each direction
inline constexpr std::uint16_t kInFlight = 100;           // unacknowledged, in each direction
inline constexpr std::size_t kPublishesPerSecond = 100;   // both directions together
inline constexpr std::size_t kBytesPerSecond = 512 * 1024;
inline constexpr std::uint16_t kKeepAliveLeast = 30;  // seconds
inline constexpr std::uint16_t kKeepAliveMost = 1200;
inline constexpr std::uint32_t kMessageExpiryMost = 604'800;          // seconds
inline constexpr Duration kConnectSpacing = std::chrono::seconds(1);  // of one client id
inline constexpr Duration kRetainSpacing = std::chrono::seconds(1);   // of one topic

static_assert(kPacket > kPayload + kUserProperties + kCorrelation + kContentType + kTopic);
static_assert(kKeepAliveLeast < kKeepAliveMost);

}  // namespace holdfast::lab::iot::quotas
