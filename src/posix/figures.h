// What this process and this machine have used so far, as the kernel counts it.
//
// Threads:  any; reads /proc, which does not wait for a disk.
// Errors:   what cannot be read is 0, or not there.
// Sources:  proc(5).
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"

namespace holdfast::posix {

struct ProcessFigures {
  Duration cpu{};  ///< User and system, all threads.
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_files = 0;
  std::uint64_t max_files = 0;  ///< The soft limit.
};
[[nodiscard]] ProcessFigures process_figures();

/// How long this process has run, suspend included.
[[nodiscard]] Duration process_age(BootTime now);

/// Of all interfaces but the loopback, since the machine started.
struct NetworkFigures {
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t established = 0;  ///< TCP connections now, of all processes.
};
/// Nothing where /proc/net is not to be seen.
[[nodiscard]] std::optional<NetworkFigures> network_figures();

}  // namespace holdfast::posix
