// Faults and rules as JSON, with their places; the keys are in docs/relay.md.
#pragma once

#include <cstddef>
#include <string>

#include "lab/fault/faults.h"
#include "lab/fault/object_reader.h"
#include "lab/fault/rule.h"

namespace holdfast::lab::fault {

/// As parse_faults(); what is wrong is in `problem`.
[[nodiscard]] Faults read_faults(const Json& json, const std::string& path, Problem& problem);

/// A rule without a name is left without; what is wrong is in `problem`.
[[nodiscard]] Rule parse_rule(const Json& json, const std::string& path, Problem& problem);
[[nodiscard]] Json to_json(const Rule& rule);

/// The key of an action: "drop", "redeliver".
[[nodiscard]] std::string_view name_of(const Action& action) noexcept;

}  // namespace holdfast::lab::fault
