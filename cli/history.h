// holdfast history: when the device was away from its broker, why, and what it cost.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "exit_codes.h"

namespace holdfast::cli {

struct HistoryOptions {
  std::string directory;  ///< Of the outbox. Empty: ask the agent.
  std::uint64_t limit = 20;
  bool json = false;  ///< The entries as they are, one a line.
};

[[nodiscard]] ExitCode run_history(const std::filesystem::path& socket,
                                   const HistoryOptions& options);

/// A table for people, oldest first; `entries` are those of the local API.
[[nodiscard]] std::string render_history(const nlohmann::json& entries);

}  // namespace holdfast::cli
