// [metrics] of the configuration: where the page is, and what is wrong with these keys.
//
// Threads:  pure functions, but check_metrics_module(), which loads the module to see whether it
// can.
#pragma once

#include <vector>

#include "holdfast/config.h"
#include "runtime/config_file.h"

namespace holdfast::runtime {

/// AWS takes reports no faster.
inline constexpr Seconds kDefenderEvery{300};
/// More often would be a page's work.
inline constexpr Seconds kReportEvery{10};

/// Adds what is wrong.
void check_metrics(const Config& config, std::vector<ConfigProblem>& problems);
/// The same of what the page needs on this machine.
void check_metrics_module(const Config& config, std::vector<ConfigProblem>& problems);

}  // namespace holdfast::runtime
