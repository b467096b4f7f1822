// Follows MQTT packet boundaries in a byte stream without keeping the packets.
//
// Purpose:  libraries take any length from the wire and allocate it, hide what came (libmosquitto
//           2.0.11: the codes of UNSUBACK, the words of DISCONNECT), overlook what must not come
//           (AWS's CRT: a second CONNACK), and offer no ping. Seeing the boundaries of both
//           directions, the bridge refuses what is not MQTT or too large, keeps the few small
//           packets whose content we need, and knows where a PINGREQ may be put.
// Threads:  plain value.
// Source:   MQTT 5.0 section 2.1 (fixed header; the same in 3.1.1 section 2.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace holdfast::engines {

/// The upper half of a packet's first byte (MQTT 5.0 section 2.1.2).
enum class PacketType : std::uint8_t {
  connect = 1,
  connack = 2,
  publish = 3,
  puback = 4,
  subscribe = 8,
  suback = 9,
  unsubscribe = 10,
  unsuback = 11,
  pingreq = 12,
  pingresp = 13,
  disconnect = 14,
  auth = 15,
};

class Framing {
 public:
  /// Bodies kept for reading; longer ones are cut here.
  static constexpr std::size_t kBodyKept = 4096;

  enum class Step : std::uint8_t {
    more,       ///< All bytes taken; a packet is under way, or none has begun.
    header,     ///< Type and length of a packet are known now; its body follows.
    packet,     ///< A packet is complete.
    malformed,  ///< The length field has more than four bytes.
  };

  /// Takes bytes from the front until something is to be told; call it until it says `more`.
  Step next(std::span<const std::byte>& bytes);

  /// Of the packet under way or, after `packet`, of the complete one.
  [[nodiscard]] PacketType type() const noexcept { return static_cast<PacketType>(first_ >> 4); }
  [[nodiscard]] std::uint8_t first_byte() const noexcept { return first_; }
  /// A PUBLISH with QoS 1 (MQTT 5.0 section 3.3.1.2).
  [[nodiscard]] bool wants_puback() const noexcept { return (first_ & 0xF6) == 0x32; }
  [[nodiscard]] std::uint32_t length() const noexcept { return length_; }
  /// The body's beginning, for CONNACK, SUBACK, UNSUBACK and DISCONNECT only.
  [[nodiscard]] std::span<const std::uint8_t> body() const noexcept { return body_; }
  /// No packet is under way.
  [[nodiscard]] bool at_boundary() const noexcept { return state_ == State::first; }

 private:
  // first:  waits for a packet's first byte; then length.
  // length: waits for the rest of the length field, one byte at a time; then body or first.
  // body:   waits for `missing_` bytes; then first.
  enum class State : std::uint8_t { first, length, body };

  Step take_length(std::uint8_t byte);
  Step take_body(std::span<const std::byte>& bytes);
  [[nodiscard]] bool keeps_body() const noexcept;

  State state_ = State::first;
  std::uint8_t first_ = 0;
  unsigned length_bytes_ = 0;
  std::uint32_t length_ = 0;
  std::uint32_t missing_ = 0;
  std::vector<std::uint8_t> body_;
};

/// The content of a DISCONNECT from the server.
struct ServerDisconnect {
  std::uint8_t reason_code = 0;
  std::string reason;  ///< Its reason string, as sent; not yet fit for a log.
};
[[nodiscard]] ServerDisconnect parse_disconnect(std::span<const std::uint8_t> body);

/// Packet id and reason codes of an MQTT 5 UNSUBACK; nothing if it is malformed.
struct UnsubackCodes {
  int packet_id = 0;
  std::vector<std::uint8_t> codes;
};
[[nodiscard]] std::optional<UnsubackCodes> parse_unsuback(std::span<const std::uint8_t> body);

}  // namespace holdfast::engines
