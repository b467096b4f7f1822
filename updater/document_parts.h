// What the parsers of both kinds of documents share: members of JSON objects, and refusals.
//
// Threads:  pure functions.
// Errors:   one sentence that names the field.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "document.h"

namespace holdfast::updater {

inline constexpr std::size_t kTextMax = 4096;  // bytes
inline constexpr std::size_t kArgumentsMax = 64;

[[nodiscard]] Error refuse(const std::string& field, const std::string& what);

/// Also where the list has "*".
[[nodiscard]] bool is_listed(const std::vector<std::string>& list, std::string_view one);

/// A parameter that nobody has given stays as it is written in the template.
[[nodiscard]] bool is_absent(std::string_view text);

/// Text of a member; none: it is not there. `wrong` gets the reason if it is no text.
[[nodiscard]] std::optional<std::string> text_of(const nlohmann::json& object, const char* name,
                                                 std::string& wrong);

/// true, "true", false, "false"; none: it is not there. `wrong` gets the reason if it is another.
[[nodiscard]] std::optional<bool> flag_of(const nlohmann::json& object, const char* name,
                                          std::string& wrong);

[[nodiscard]] bool is_url(std::string_view url, bool allow_http);

/// A document of ours, which has the member "holdfast".
[[nodiscard]] Result<Job> parse_own_document(const nlohmann::json& document,
                                             const Settings& settings);

}  // namespace holdfast::updater
