// holdfast provision: from a claim to a certificate of one's own, and its successor.
#pragma once

#include <filesystem>
#include <optional>

#include "exit_codes.h"
#include "holdfast/types.h"

namespace holdfast::cli {

struct ProvisionOptions {
  std::filesystem::path config;  ///< The agent's configuration file.
  std::optional<std::filesystem::path>
      claim;  ///< In place of what it says: provisioning.claim_file.
  bool renew = false;
  std::optional<std::int32_t> days_left;  ///< Renews only if so many are left, or fewer.
  bool anew = false;
  bool wait = false;  ///< Also where only somebody else can help.
  bool json = false;
  Milliseconds timeout{600'000};
};

[[nodiscard]] ExitCode run_provision(const ProvisionOptions& options);

}  // namespace holdfast::cli
