// TOML as JSON, with the line of each key.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "holdfast/result.h"
#include "lab/fault/faults.h"

namespace holdfast::lab::fault {

struct TomlText {
  Json json;
  std::map<std::string, std::size_t, std::less<>> lines;  ///< Of "steps[1].faults.up".

  /// Of the key, or of the nearest one around it; 1 when there is none.
  [[nodiscard]] std::size_t line_of(std::string_view path) const;

  static constexpr std::size_t kMaxDepth = 32;
  /// Each dot can nest a table, and toml++ takes them apart by recursion.
  static constexpr std::size_t kMaxDots = 4096;
};

/// Errc::invalid_config with the line of what is no TOML. Dates and times are refused.
[[nodiscard]] Result<TomlText> parse_toml(std::string_view text);

}  // namespace holdfast::lab::fault
