// Names of log levels, as the configuration spells them.
#pragma once

#include <optional>
#include <string_view>

#include "holdfast/device.h"

namespace holdfast::runtime {

[[nodiscard]] inline std::optional<LogLevel> parse_log_level(std::string_view name) noexcept {
  if (name == "error") return LogLevel::error;
  if (name == "warning") return LogLevel::warning;
  if (name == "info") return LogLevel::info;
  if (name == "debug") return LogLevel::debug;
  return std::nullopt;
}

}  // namespace holdfast::runtime
