// [[endpoint]]: what each may have of its own, and what is wrong with one.
//
// Purpose:  an endpoint's keys are those of the sections that it stands for, by the same table:
//           "host" is connection.host, "tls.cert_file" is tls.cert_file, for this endpoint.
// Threads:  pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/config.h"
#include "runtime/config_file.h"
#include "runtime/config_keys.h"

namespace holdfast::runtime {

/// The names that [[endpoint]] knows, "name" first.
[[nodiscard]] std::span<const std::string_view> endpoint_keys() noexcept;

/// The key of a Config that it sets; null if there is none of that name.
[[nodiscard]] const ConfigKey* endpoint_key(std::string_view name) noexcept;

/// What an endpoint begins with: everything of the first one. Where it has a host of its own, what
/// belongs to a host or its Region is empty.
[[nodiscard]] Config endpoint_base(const Config& config, bool own_host);

/// Where there are several: each in a line, as `holdfast check-config` shows them.
[[nodiscard]] std::vector<std::string> endpoint_lines(const Config& config);

/// What is wrong with the others, each by its own key ("endpoint.1.host", counting the [[endpoint]]
/// tables): what `check` finds in the configuration as that endpoint has it, and has not found in
/// the first one's. `found`: that.
[[nodiscard]] std::vector<ConfigProblem> check_each_endpoint(
    const Config& config, std::vector<ConfigProblem> (*check)(const Config&),
    const std::vector<ConfigProblem>& found);

/// Names, their number, prefixes, and places that are the same.
void check_endpoints(const Config& config, std::vector<ConfigProblem>& problems);

}  // namespace holdfast::runtime
