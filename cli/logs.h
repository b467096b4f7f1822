// holdfast logs and holdfast log-level: the agent's last log lines, and what it logs.
//
// Errors:  as in commands.h.
// Threads: one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "exit_codes.h"

namespace holdfast::cli {

struct LogsOptions {
  std::size_t count = 0;  ///< 0: all there are.
  bool json = false;      ///< An object a line.
  bool send = false;      ///< Publish them instead.
  std::string topic;      ///< Where to; empty: the configured one.
};

[[nodiscard]] ExitCode run_logs(const std::filesystem::path& socket, const LogsOptions& options);

/// `first` is an area, or else a level for all areas; `level` may be empty: then it is only shown.
[[nodiscard]] ExitCode run_log_level(const std::filesystem::path& socket, const std::string& first,
                                     const std::string& level);

}  // namespace holdfast::cli
