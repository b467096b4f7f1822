// holdfast identity: the credential slots, and putting another credential into them.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "exit_codes.h"
#include "holdfast/types.h"

namespace holdfast::cli {

struct IdentityOptions {
  std::filesystem::path directory;  ///< Of the slots. Empty: ask the agent.
  std::filesystem::path certificate;
  std::filesystem::path key;
  bool json = false;
  bool wait = false;              ///< For the outcome of the trial.
  Milliseconds timeout{300'000};  ///< ... at most so long.
};

[[nodiscard]] ExitCode run_identity_list(const std::filesystem::path& socket,
                                         const IdentityOptions& options);
[[nodiscard]] ExitCode run_identity_install(const std::filesystem::path& socket,
                                            const IdentityOptions& options);
[[nodiscard]] ExitCode run_identity_rollback(const std::filesystem::path& socket,
                                             const IdentityOptions& options);

/// What `holdfast status` says of it; nothing where there is no certificate.
[[nodiscard]] std::string render_identity_short(const nlohmann::json& identity);
/// A block for each slot.
[[nodiscard]] std::string render_identity(const nlohmann::json& identity);

}  // namespace holdfast::cli
