// [metrics] of the configuration: where the page is, and what is wrong with these keys.
//
// Threads:  pure functions, but check_metrics_module(), which loads the module to see whether it
// can.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "holdfast/config.h"
#include "holdfast/result.h"
#include "posix/tcp_listener.h"
#include "runtime/config_file.h"

namespace holdfast::runtime {

/// AWS takes reports no faster.
inline constexpr Seconds kDefenderEvery{300};
/// More often would be a page's work.
inline constexpr Seconds kReportEvery{10};

struct MetricsPlace {
  std::filesystem::path socket;  ///< Empty: `tcp`.
  posix::TcpPlace tcp;
};
/// metrics.listen: "unix:/PATH", or an address with its port. Errors say what to give.
[[nodiscard]] Result<MetricsPlace> parse_metrics_place(std::string_view text);

/// Adds what is wrong.
void check_metrics(const Config& config, std::vector<ConfigProblem>& problems);
/// The same of what the page needs on this machine.
void check_metrics_module(const Config& config, std::vector<ConfigProblem>& problems);

}  // namespace holdfast::runtime
