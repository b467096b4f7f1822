// JSON from strangers: bounded in size and depth before anything is built of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "holdfast/result.h"

namespace holdfast::lab::iot {

/// Members stay in the order in which they came, so that what is shown reads as it was written.
using Json = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t bytes = std::size_t{128} * 1024;  ///< As an MQTT payload.
  std::size_t depth = 32;                       ///< Objects and arrays within each other.
};

/// The value of `text`. Fails with Errc::corrupt (no JSON, or no UTF-8; the message names the byte)
/// or Errc::too_large (over a limit). Never throws; duplicate keys: the last one counts.
[[nodiscard]] Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

/// The member `key` of an object when it is a string; else nullptr.
[[nodiscard]] const std::string* string_in(const Json& object, std::string_view key);
/// The member `key` when it is a whole number, or a string of nothing but a whole number.
[[nodiscard]] std::optional<std::int64_t> number_in(const Json& object, std::string_view key);

/// `value` as text; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string dump(const Json& value);

}  // namespace holdfast::lab::iot
