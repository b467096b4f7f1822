// Wall-clock times as ISO 8601 and HTTP write them, in UTC. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace holdfast {

/// "2018-01-18T09:18:06Z"; parts of a second are dropped.
[[nodiscard]] std::string iso_time(WallTime time);

/// "Thu, 18 Jan 2018 09:18:06 GMT" (RFC 9110 section 5.6.7); parts of a second are dropped.
[[nodiscard]] std::string http_date(WallTime time);

/// Reads "2018-01-18T09:18:06Z", this form only.
[[nodiscard]] std::optional<WallTime> parse_iso_time(std::string_view text);
/// Reads what http_date() writes; older forms are not sent any more.
[[nodiscard]] std::optional<WallTime> parse_http_date(std::string_view text);

}  // namespace holdfast
