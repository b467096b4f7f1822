// What a device says about itself: lines as values, which get their form where they leave.
//
// Purpose:  a LogHandler (holdfast/device.h) is given each line as it is meant: how severe, of
//           which part, with the verdict and the numbers beside the sentence.
// Threads:  plain values and pure functions.
// Secrets:  no line holds a password, token, private key or payload.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "holdfast/types.h"

namespace holdfast {

/// The most severe first, so that "at most as severe as" is `>=`.
enum class LogLevel : std::uint8_t {
  error,    ///< Something does not work, and somebody must do something.
  warning,  ///< Something is wrong; the device goes on and tries again.
  info,     ///< A change of state.
  debug,    ///< Each step on the way.
};
inline constexpr std::size_t kLogLevels = 4;

/// The part of a device that a line is about. Levels can be set for each.
enum class LogArea : std::uint8_t {
  agent,         ///< The program: start, stop, signals, its own log.
  connection,    ///< Up, down, and why; attempts.
  engine,        ///< What the MQTT library does not take.
  flow,          ///< Messages and subscriptions that the broker refuses; topics set aside.
  outbox,        ///< The store, its disk, and what was found in it.
  identity,      ///< Certificates: which is used, how a change ended, when one expires.
  provisioning,  ///< The first certificate, and its successors.
  local_api,     ///< Clients of the socket.
  callbacks,     ///< The application's handlers.
  health,        ///< What is stuck; outages.
};
inline constexpr std::size_t kLogAreas = 10;

/// "error", "warning", "info", "debug".
[[nodiscard]] std::string_view to_string(LogLevel level) noexcept;
/// "agent", … "local-api", …: as the configuration spells them.
[[nodiscard]] std::string_view to_string(LogArea area) noexcept;
/// The other way round. Empty: no such name.
[[nodiscard]] std::optional<LogLevel> log_level_of(std::string_view name) noexcept;
[[nodiscard]] std::optional<LogArea> log_area_of(std::string_view name) noexcept;

/// A value beside the sentence.
struct LogField {
  std::string_view name;  ///< Lower case with underscores; lives as long as the program.
  std::variant<std::int64_t, std::string> value;

  friend bool operator==(const LogField&, const LogField&) = default;
};
using LogFields = std::vector<LogField>;

/// One line. The text is a whole sentence but for level and area; it may hold anything that came
/// from outside, so whoever writes it on must make it fit (no line end, valid UTF-8).
struct LogLine {
  LogLevel level = LogLevel::info;
  LogArea area = LogArea::agent;
  std::string text = {};
  std::optional<Verdict> verdict = {};  ///< The one that is told, if one is.
  LogFields fields = {};                ///< A handful.
  bool asked = false;  ///< Somebody asked for this line, so it is no repeat of an earlier one.

  friend bool operator==(const LogLine&, const LogLine&) = default;
};

/// Takes each line that is severe enough for its area.
using LogHandler = std::function<void(const LogLine&)>;

/// How a device that writes its own log does it.
enum class LogFormat : std::uint8_t {
  automatic,  ///< `journal` when standard error is journald's stream, else `text`.
  text,       ///< "STAMP LEVEL AREA: TEXT".
  json,       ///< One JSON object a line.
  journal,    ///< journald's fields; `text` when journald is not there.
};

/// Levels and counts of a device's log.
struct LogState {
  std::array<LogLevel, kLogAreas> levels{};  ///< By LogArea.
  std::uint64_t written = 0;                 ///< Lines handed on.
  std::uint64_t repeats = 0;                 ///< Held back as repeats; their number was written.
  std::uint64_t over_ceiling = 0;            ///< Left out over Config::Log::lines_per_hour.
  std::uint64_t not_taken = 0;               ///< Standard error, or journald, did not take them.
  std::uint64_t file_lost = 0;               ///< The log file did not take them.
};

}  // namespace holdfast
