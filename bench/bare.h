// The rival: libmosquitto alone, from memory, as fast as it goes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast::bench {

/// What both sides are asked to do.
struct Load {
  std::uint16_t port = 0;
  std::size_t messages = 0;
  std::size_t payload = 256;
  std::uint16_t window = 100;
};

/// What it took.
struct Cost {
  double seconds = 0;      ///< From connected to the last PUBACK.
  double cpu_seconds = 0;  ///< User and system time of this process meanwhile.
};

/// QoS 1, MQTT 5, our own epoll loop on this thread, the next message sent from the callback of a
/// PUBACK: the fastest way to use the library. Exits the process on failure.
[[nodiscard]] Cost run_bare(const Load& load);

/// User and system seconds of this process so far.
[[nodiscard]] double cpu_now();

/// Seconds on a steady clock.
[[nodiscard]] double time_now();

}  // namespace holdfast::bench
