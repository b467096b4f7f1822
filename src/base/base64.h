// Base64 (RFC 4648 section 4).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "holdfast/types.h"

namespace holdfast {

[[nodiscard]] std::string to_base64(std::span<const std::byte> bytes);
/// Strict: padded, no blanks, no bits left over. Empty on anything else.
[[nodiscard]] std::optional<Bytes> from_base64(std::string_view text);

/// The same for bytes that are kept in a string.
[[nodiscard]] std::string text_to_base64(std::string_view bytes);
[[nodiscard]] std::optional<std::string> text_from_base64(std::string_view text);

}  // namespace holdfast
