// Our side of the comparison: durable messages through a Device.
#pragma once

#include <cstdint>

#include "bench/bare.h"
#include "holdfast/config.h"

namespace holdfast::bench {

/// How our side is loaded.
enum class Mode : std::uint8_t {
  drain,  ///< A backlog on disk, then the broker appears; timed from connected to delivered.
  live,   ///< Connected; publish as fast as it is taken; timed from the first publish.
  one,    ///< Connected; one message at a time, each waited for: the latency of being durable.
};

/// A configuration without TLS, quotas or pacing, with its outbox in a directory of the caller.
[[nodiscard]] Config plain_config(std::uint16_t port, const std::filesystem::path& directory);

/// Runs one repeat with an outbox and a broker of its own; load.port is used for that broker, which
/// must not be running. Exits the process when not everything is delivered within `patience`.
[[nodiscard]] Cost run_ours(const Load& load, Mode mode, Seconds patience);

}  // namespace holdfast::bench
