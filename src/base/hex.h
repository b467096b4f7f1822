// Hexadecimal digits of bytes that are kept in a string.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

/// Lower-case, two digits for each byte.
[[nodiscard]] std::string text_to_hex(std::string_view bytes);
/// Takes digits of both cases. Empty on anything else, an odd number of digits included.
[[nodiscard]] std::optional<std::string> text_from_hex(std::string_view digits);

}  // namespace holdfast
