// holdfast network plan: which uplink traffic takes, and what it falls back to.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "exit_codes.h"
#include "runtime/network_files.h"

namespace holdfast::cli {

struct NetworkPlanOptions {
  std::string directory;  ///< Of keyfiles; empty: NetworkManager's own.
  std::string write;      ///< Write examples there instead. Empty: no.
  std::string ssid = "change-me";
  std::string apn = "internet";
  bool json = false;
};

[[nodiscard]] ExitCode run_network_plan(const NetworkPlanOptions& options);

/// For people.
[[nodiscard]] std::string render_plan(const health::Plan& plan);
/// For programs; docs/network.md has the fields.
[[nodiscard]] nlohmann::ordered_json plan_json(const std::string& directory,
                                               const health::Plan& plan);

}  // namespace holdfast::cli
