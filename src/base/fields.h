// Small files of text, a field a line or a word: what journals and records are made of.
//
// Threads: pure functions.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>
#include <system_error>

namespace holdfast {

/// The whole text as a whole decimal number; false, and the number is not to be used: it is none,
/// does not fit, or has zeros before it, with which it would not be written the same again.
template <std::integral Number>
[[nodiscard]] bool to_number(std::string_view text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const bool padded = text.starts_with("-0") || (text.starts_with('0') && text.size() > 1);
  return !text.empty() && !padded && error == std::errc() && stop == end;
}

/// What stands before the next blank, or the end; taken from the text, with the blank.
[[nodiscard]] std::string_view take_word(std::string_view& text);

/// The value of the line "name value", which is taken from the text; none: the next line is no
/// such.
[[nodiscard]] std::optional<std::string_view> take_line(std::string_view& text,
                                                        std::string_view name);

}  // namespace holdfast
