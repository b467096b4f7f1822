// Names of holdfast/log.h.
#include <algorithm>
#include <iterator>

#include "holdfast/log.h"

namespace holdfast {
namespace {

constexpr std::string_view kLevels[] = {"error", "warning", "info", "debug"};
static_assert(std::size(kLevels) == kLogLevels);

constexpr std::string_view kAreas[] = {
    "agent",    "connection",   "engine",    "flow",      "outbox",
    "identity", "provisioning", "local-api", "callbacks", "health",
};
static_assert(std::size(kAreas) == kLogAreas);

template <class Enum, std::size_t N>
std::optional<Enum> named(const std::string_view (&names)[N], std::string_view name) noexcept {
  const auto* const found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) return std::nullopt;
  return static_cast<Enum>(found - std::begin(names));
}

}  // namespace

std::string_view to_string(LogLevel level) noexcept {
  const auto index = static_cast<std::size_t>(level);
  return index < kLogLevels ? kLevels[index] : "unknown";
}

std::string_view to_string(LogArea area) noexcept {
  const auto index = static_cast<std::size_t>(area);
  return index < kLogAreas ? kAreas[index] : "unknown";
}

std::optional<LogLevel> log_level_of(std::string_view name) noexcept {
  return named<LogLevel>(kLevels, name);
}

std::optional<LogArea> log_area_of(std::string_view name) noexcept {
  return named<LogArea>(kAreas, name);
}

}  // namespace holdfast
