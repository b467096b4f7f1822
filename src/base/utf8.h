// Text as MQTT and TOML want it.
#pragma once

#include <string_view>

namespace holdfast {

/// Well-formed UTF-8 without NUL and without surrogates (MQTT 5.0 section 1.5.4).
[[nodiscard]] bool valid_utf8(std::string_view text) noexcept;

}  // namespace holdfast
