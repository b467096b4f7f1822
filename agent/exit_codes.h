// How holdfastd ends; the same table is in docs/holdfastd.8.md.
#pragma once

#include "holdfast/result.h"

namespace holdfast::agent {

using ExitCode = int;

/// Ended in order after SIGTERM or SIGINT; or --check found nothing.
inline constexpr ExitCode kStopped = 0;
/// Anything else, such as an outbox directory that cannot be used.
inline constexpr ExitCode kFailed = 1;
/// Command line or configuration file.
inline constexpr ExitCode kConfiguration = 2;
/// Another process has the outbox or the local socket.
inline constexpr ExitCode kInUse = 4;
/// Plus the number of the second signal, when the first took too long.
inline constexpr ExitCode kSignalBase = 128;

[[nodiscard]] inline ExitCode exit_code_of(Errc code) noexcept {
  switch (code) {
    case Errc::invalid_config:
    case Errc::invalid_argument:
      return kConfiguration;
    case Errc::in_use:
      return kInUse;
    default:
      return kFailed;
  }
}

}  // namespace holdfast::agent
