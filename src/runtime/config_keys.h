// The table of configuration keys: name, kind, range, and where in a Config it lives.
//
// Purpose:  reading, checking and overriding work on one table, so that a key is added in one line
//           and docs/configuration.md has one thing to agree with.
// Threads:  constant data and pure functions.
// Errors:   sentences without the key's name: "is 0; give a whole number, 1 to 65535".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "holdfast/config.h"
#include "holdfast/result.h"

namespace holdfast::runtime {

enum class KeyKind : std::uint8_t {
  text,        ///< A string; the range is its length in bytes.
  path,        ///< A file or directory; the range is its length in bytes.
  boolean,     ///< true or false.
  count,       ///< A whole number.
  duration,    ///< "250ms", "30s", "5m", "2h"; the range is in milliseconds.
  seconds,     ///< A duration of whole seconds; the range is in milliseconds.
  size,        ///< "512B", "128KiB", "64MiB", "1GiB"; the range is in bytes.
  qos,         ///< 0 or 1.
  version,     ///< "5" or "3.1.1".
  names,       ///< An array of strings; the range is their number.
  pairs,       ///< An array of "name=value" texts; the range is their number.
  when_full,   ///< "reject", "drop_oldest" or "drop_newest".
  on_fault,    ///< "reject" or "memory".
  transport,   ///< "mqtt" or "websocket".
  engine,      ///< "mosquitto" or "aws_crt".
  log_level,   ///< "error", "warning", "info" or "debug".
  log_format,  ///< "auto", "text", "json" or "journal".
  metrics,     ///< "defender" or "json".
  use,         ///< "auto", "off" or "on".
  metered,     ///< "send" or "hold".
};

/// The value of any key: durations in milliseconds, sizes in bytes.
using KeyValue = std::variant<bool, std::uint64_t, std::string, std::vector<std::string>>;

/// What a key's value may be.
struct KeySpec {
  std::string_view name;  ///< "section.key", as in the file; of a NamedKey "key" alone.
  KeyKind kind;
  std::uint64_t min;
  std::uint64_t max;
};

struct ConfigKey : KeySpec {
  /// The value must be of the kind's type and within the range.
  void (*set)(Config& config, const KeyValue& value);
  /// Empty when the part of the Config that holds it is absent (no will, no birth message).
  std::optional<KeyValue> (*get)(const Config& config);
};

/// A key of sections whose name has a part that is free, such as [lane.NAME].
template <class Rules>
struct NamedKey : KeySpec {
  void (*set)(Rules& rules, const KeyValue& value);
  KeyValue (*get)(const Rules& rules);
};
using LaneKey = NamedKey<LaneRules>;
using ClientKey = NamedKey<ClientRules>;
using HeartbeatKey = NamedKey<HeartbeatRules>;
[[nodiscard]] std::span<const LaneKey> lane_keys() noexcept;
[[nodiscard]] std::span<const ClientKey> client_keys() noexcept;
[[nodiscard]] std::span<const HeartbeatKey> heartbeat_keys() noexcept;

[[nodiscard]] std::span<const ConfigKey> config_keys() noexcept;
[[nodiscard]] const ConfigKey* find_key(std::string_view name) noexcept;
/// True for "connection" and "connection.will".
[[nodiscard]] bool is_section(std::string_view name) noexcept;

/// Reads a value as it stands between quotes in the file, or in an environment variable.
[[nodiscard]] Result<KeyValue> parse_value(const KeySpec& key, std::string_view text);
/// Empty when in range, else the sentence.
[[nodiscard]] std::string check_range(const KeySpec& key, const KeyValue& value);
/// What to give: "a whole number, 1 to 65535".
[[nodiscard]] std::string expectation(const KeySpec& key);

/// "250ms", "90s", "2h": the largest unit that is exact.
[[nodiscard]] std::string format_duration(std::uint64_t milliseconds);
[[nodiscard]] std::string format_size(std::uint64_t bytes);
/// Milliseconds; a number and one of ms, s, m, h. Empty on anything else, also on overflow.
[[nodiscard]] std::optional<std::uint64_t> parse_duration(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;

/// Text of unknown origin, fit for a line of output: quoted, shortened, control bytes replaced.
[[nodiscard]] std::string in_quotes(std::string_view text);
/// The known key or section that was probably meant, or empty.
[[nodiscard]] std::string_view nearest_name(std::string_view name);

/// Values that a broker's rules ask for, before any key is applied. False: no such profile.
[[nodiscard]] bool apply_profile(std::string_view profile, Config& config);

}  // namespace holdfast::runtime
