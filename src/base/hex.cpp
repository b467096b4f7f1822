#include "base/hex.h"

#include <charconv>
#include <cstdint>
#include <system_error>

namespace holdfast {

std::string text_to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string digits;
  digits.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    digits += kDigits[byte >> 4U];
    digits += kDigits[byte & 15U];
  }
  return digits;
}

std::optional<std::string> text_from_hex(std::string_view digits) {
  constexpr int kBase = 16;
  if (digits.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  for (; !digits.empty(); digits.remove_prefix(2)) {
    std::uint8_t byte = 0;
    const char* const stop = digits.data() + 2;
    const auto [end, failure] = std::from_chars(digits.data(), stop, byte, kBase);
    if (failure != std::errc{} || end != stop) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace holdfast
