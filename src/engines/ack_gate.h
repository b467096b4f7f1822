// PUBACKs of the library that wait until somebody has taken the messages.
//
// Purpose:  libraries acknowledge a message before, or just when, they hand it over. What ends
//           then, before the application has dealt with it, would be lost for good. Held back here,
//           the broker keeps the message and gives it again.
// Order:    PUBACKs leave in the order in which their messages came [MQTT-4.6.0-2].
// Again:    a message that comes while an earlier one of the same packet id waits is that one, sent
//           again: no id is free before its PUBACK [MQTT-2.2.1-4]. AWS IoT Core does so each half
//           minute, without DUP, and wants each copy acknowledged.
// Bounds:   kHeldMax messages; what comes above that is not held.
// Threads:  plain value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace holdfast::engines {

class AckGate {
 public:
  static constexpr std::size_t kHeldMax = 1024;

  enum class Came : std::uint8_t {
    held,    ///< Its PUBACK waits for taken().
    again,   ///< It is the same as one that waits.
    unheld,  ///< Its PUBACK leaves at once.
  };
  /// The library has given out a QoS 1 message. To be called before its PUBACK is seen.
  [[nodiscard]] Came came(std::uint16_t id);
  /// Nothing if no message of this id waits.
  void taken(std::uint16_t id);
  /// A whole PUBACK of the library.
  void hold(std::span<const std::byte> packet, std::uint16_t id);

  /// Some may leave.
  [[nodiscard]] bool ready() const noexcept { return !ready_.empty(); }
  /// Moves whole PUBACKs that may leave to the front of `room`; returns how many bytes.
  [[nodiscard]] std::size_t release(std::span<std::byte> room);

 private:
  struct Waiting {
    std::uint16_t id = 0;
    bool taken = false;
    std::size_t copies = 1;  ///< Each has a PUBACK.
    std::vector<std::vector<std::byte>> packets{};
  };
  void move_ready();

  std::deque<Waiting> waiting_;
  std::deque<std::vector<std::byte>> ready_;
};

}  // namespace holdfast::engines
