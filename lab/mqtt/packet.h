// MQTT control packets as values, and their bytes (MQTT 3.1.1 and MQTT 5.0, OASIS).
//
// Purpose:  what the lab's fault relay and local IoT Core read, change and write. Independent of
//           the library under test on purpose: what judges a device must not share its mistakes.
// Bytes:    std::string holds any bytes. A frame is one whole control packet with its fixed
//           header.
// Errors:   Errc::corrupt is a malformed packet (reason code 0x81), Errc::protocol a protocol error
//           (0x82), Errc::too_large a packet over the caller's limit (0x95). Nothing throws.
// Threads:  plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "holdfast/result.h"

namespace holdfast::lab::mqtt {

enum class Version : std::uint8_t { v311 = 4, v5 = 5 };

/// Section 2.1.2: the upper half of a frame's first byte.
enum class Type : std::uint8_t {
  connect = 1,
  connack,
  publish,
  puback,
  pubrec,
  pubrel,
  pubcomp,
  subscribe,
  suback,
  unsubscribe,
  unsuback,
  pingreq,
  pingresp,
  disconnect,
  auth,
};
/// As the specification writes it: "CONNECT", "PUBACK".
[[nodiscard]] std::string_view to_string(Type type) noexcept;
/// The reverse, in any case of letters.
[[nodiscard]] std::optional<Type> type_named(std::string_view name) noexcept;

/// Section 2.2.2.2. Names as in the specification.
enum class PropertyId : std::uint8_t {
  payload_format_indicator = 0x01,
  message_expiry_interval = 0x02,
  content_type = 0x03,
  response_topic = 0x08,
  correlation_data = 0x09,
  subscription_identifier = 0x0B,
  session_expiry_interval = 0x11,
  assigned_client_identifier = 0x12,
  server_keep_alive = 0x13,
  authentication_method = 0x15,
  authentication_data = 0x16,
  request_problem_information = 0x17,
  will_delay_interval = 0x18,
  request_response_information = 0x19,
  response_information = 0x1A,
  server_reference = 0x1C,
  reason_string = 0x1F,
  receive_maximum = 0x21,
  topic_alias_maximum = 0x22,
  topic_alias = 0x23,
  maximum_qos = 0x24,
  retain_available = 0x25,
  user_property = 0x26,
  maximum_packet_size = 0x27,
  wildcard_subscription_available = 0x28,
  subscription_identifier_available = 0x29,
  shared_subscription_available = 0x2A,
};
/// "receive_maximum", as above.
[[nodiscard]] std::string_view to_string(PropertyId id) noexcept;
[[nodiscard]] std::optional<PropertyId> property_named(std::string_view name) noexcept;
/// Whether its value is a number (byte, two or four byte integer, or variable byte integer).
[[nodiscard]] bool is_number(PropertyId id) noexcept;

struct Property {
  PropertyId id{};
  std::uint32_t number = 0;  ///< Where is_number(id).
  std::string text;          ///< Of strings and binary data; the name of a user property.
  std::string value;         ///< The value of a user property.
  friend bool operator==(const Property&, const Property&) = default;
};

/// In the order of the wire. Always empty in MQTT 3.1.1.
class Properties {
 public:
  [[nodiscard]] std::optional<std::uint32_t> number(PropertyId id) const noexcept;
  [[nodiscard]] const std::string* text(PropertyId id) const noexcept;
  [[nodiscard]] bool has(PropertyId id) const noexcept;
  /// Replaces the first of this id, or appends.
  void set(PropertyId id, std::uint32_t number);
  void set(PropertyId id, std::string text);
  void add_user(std::string name, std::string value);
  void erase(PropertyId id);

  std::vector<Property> all;
  friend bool operator==(const Properties&, const Properties&) = default;
};

struct Will {
  std::string topic;
  std::string payload;
  std::uint8_t qos = 0;
  bool retain = false;
  Properties properties;
  friend bool operator==(const Will&, const Will&) = default;
};

struct Connect {
  Version version = Version::v5;
  bool clean_start = true;  ///< "Clean Session" in 3.1.1.
  std::uint16_t keep_alive = 0;
  std::string client_id;
  std::optional<Will> will;
  std::optional<std::string> username;
  std::optional<std::string> password;
  Properties properties;
  friend bool operator==(const Connect&, const Connect&) = default;
};

struct Connack {
  bool session_present = false;
  std::uint8_t code = 0;  ///< Return code in 3.1.1, reason code in 5.
  Properties properties;
  friend bool operator==(const Connack&, const Connack&) = default;
};

struct Publish {
  std::string topic;  ///< Empty only in 5, with a topic alias.
  std::string payload;
  std::uint8_t qos = 0;
  bool retain = false;
  bool dup = false;
  std::uint16_t packet_id = 0;  ///< 0 exactly when qos is 0.
  Properties properties;
  friend bool operator==(const Publish&, const Publish&) = default;
};

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
struct Ack {
  Type type = Type::puback;
  std::uint16_t packet_id = 0;
  std::uint8_t reason = 0;
  Properties properties;
  friend bool operator==(const Ack&, const Ack&) = default;
};

struct Subscription {
  std::string filter;
  std::uint8_t options = 0;  ///< QoS in the lower two bits; section 3.8.3.1.
  friend bool operator==(const Subscription&, const Subscription&) = default;
};

struct Subscribe {
  std::uint16_t packet_id = 0;
  std::vector<Subscription> subscriptions;
  Properties properties;
  friend bool operator==(const Subscribe&, const Subscribe&) = default;
};

struct Unsubscribe {
  std::uint16_t packet_id = 0;
  std::vector<std::string> filters;
  Properties properties;
  friend bool operator==(const Unsubscribe&, const Unsubscribe&) = default;
};

/// SUBACK or UNSUBACK. An UNSUBACK of 3.1.1 has no codes.
struct Suback {
  Type type = Type::suback;
  std::uint16_t packet_id = 0;
  std::vector<std::uint8_t> codes;
  Properties properties;
  friend bool operator==(const Suback&, const Suback&) = default;
};

/// PINGREQ or PINGRESP.
struct Ping {
  Type type = Type::pingreq;
  friend bool operator==(const Ping&, const Ping&) = default;
};

/// DISCONNECT; AUTH when `type` says so (MQTT 5 only).
struct Disconnect {
  Type type = Type::disconnect;
  std::uint8_t reason = 0;
  Properties properties;
  friend bool operator==(const Disconnect&, const Disconnect&) = default;
};

using Packet =
    std::variant<Connect, Connack, Publish, Ack, Subscribe, Unsubscribe, Suback, Ping, Disconnect>;

[[nodiscard]] Type type_of(const Packet& packet) noexcept;

/// Reads one frame. `version` is that of the connection; a CONNECT says its own and ignores it.
[[nodiscard]] Result<Packet> decode(Version version, std::string_view frame);

/// The frame of a packet. A CONNECT is written in its own version. Properties are left out
/// in 3.1.1. REQUIRES: strings of at most 65,535 bytes. What decode() accepts, encode() writes back
/// to a frame of the same meaning.
[[nodiscard]] std::string encode(Version version, const Packet& packet);

/// Cuts a stream of bytes into frames.
class Framer {
 public:
  /// `largest`: the longest frame that is taken, in bytes.
  explicit Framer(std::size_t largest = kLargest) : largest_(largest) {}

  void feed(std::string_view bytes) { held_.append(bytes); }
  /// The next whole frame; nullopt until more bytes come; an error when what came can never be one.
  /// The view is valid until the next call of anything here.
  [[nodiscard]] Result<std::optional<std::string_view>> next();
  /// Bytes that are no whole frame yet.
  [[nodiscard]] std::string_view rest() const noexcept {
    return std::string_view(held_).substr(begin_);
  }

  /// What MQTT can express: 268,435,455 bytes of remaining length and five before it.
  static constexpr std::size_t kLargest = 268'435'460;

 private:
  std::size_t largest_;
  std::string held_;
  std::size_t begin_ = 0;
};

}  // namespace holdfast::lab::mqtt
