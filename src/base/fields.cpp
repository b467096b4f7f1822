#include "base/fields.h"

#include <algorithm>

namespace holdfast {

std::string_view take_word(std::string_view& text) {
  const std::size_t blank = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, blank);
  text.remove_prefix(std::min(blank + 1, text.size()));
  return word;
}

std::optional<std::string_view> take_line(std::string_view& text, std::string_view name) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  if (!line.starts_with(name) || line.substr(name.size(), 1) != " ") return std::nullopt;
  text.remove_prefix(end + 1);
  return line.substr(name.size() + 1);
}

}  // namespace holdfast
