#include "base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace holdfast {
namespace {

/// Length of the code point at the front of `text`, 0 if it is malformed or forbidden.
std::size_t code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return first == 0 ? 0 : 1;
  std::size_t length = 0;
  std::uint32_t value = 0;
  if ((first & 0xE0) == 0xC0) {
    length = 2;
    value = first & 0x1FU;
  } else if ((first & 0xF0) == 0xE0) {
    length = 3;
    value = first & 0x0FU;
  } else if ((first & 0xF8) == 0xF0) {
    length = 4;
    value = first & 0x07U;
  }
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    value = (value << 6) | (byte(i) & 0x3FU);
  }
  // Too long a form, a surrogate, or beyond Unicode.
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10FFFF) return 0;
  return value >= 0xD800 && value <= 0xDFFF ? 0 : length;
}

}  // namespace

bool valid_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t length = code_point(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace holdfast
