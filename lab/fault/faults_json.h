// Faults and rules as JSON, with their places; the keys are in docs/relay.md.
#pragma once

#include <array>
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

/// How people write an end: of "kick", and of the action "disconnect".
inline constexpr std::array<Named<mqtt::Ending>, 3> kEndings{
    {{"close", mqtt::Ending::after_sending},
     {"reset", mqtt::Ending::reset},
     {"silence", mqtt::Ending::silence}}};

/// The key of an action: "drop", "redeliver".
[[nodiscard]] std::string_view name_of(const Action& action) noexcept;

}  // namespace holdfast::lab::fault
