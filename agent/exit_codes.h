// How holdfastd ends; the same table is in docs/holdfastd.8.md.
#pragma once

#include "holdfast/result.h"

namespace holdfast::agent {

enum ExitCode : int {
  kStopped = 0,        // ended in order after SIGTERM or SIGINT; or --check found nothing
  kFailed = 1,         // anything else, such as an outbox directory that cannot be used
  kConfiguration = 2,  // command line or configuration file
  kInUse = 4,          // another process has the outbox or the local socket
  kSignalBase = 128,   // plus the number of the second signal, when the first took too long
};

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
