// Base64 (RFC 4648, section 4): how JSON carries bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace holdfast::lab::iot {

[[nodiscard]] std::string to_base64(std::string_view bytes);
/// nullopt: not Base64. Padding must be there, and bits that carry nothing must be zero.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace holdfast::lab::iot
