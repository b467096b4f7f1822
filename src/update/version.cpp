#include "update/version.h"

#include <algorithm>
#include <cstddef>

namespace holdfast::update {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The digits, or what is between them, at the beginning; taken from the text.
std::string_view piece(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is_digit(text[size]) == is_digit(text.front())) ++size;
  const std::string_view one = text.substr(0, size);
  text.remove_prefix(size);
  return one;
}

int compare_numbers(std::string_view one, std::string_view other) {
  one.remove_prefix(std::min(one.find_first_not_of('0'), one.size()));
  other.remove_prefix(std::min(other.find_first_not_of('0'), other.size()));
  if (one.size() != other.size()) return one.size() < other.size() ? -1 : 1;
  return one.compare(other);
}

int compare_pieces(std::string_view one, std::string_view other) {
  while (!one.empty() && !other.empty()) {
    const bool numbers = is_digit(one.front()) && is_digit(other.front());
    const std::string_view first = piece(one);
    const std::string_view second = piece(other);
    const int order = numbers ? compare_numbers(first, second) : first.compare(second);
    if (order != 0) return order < 0 ? -1 : 1;
  }
  return one.empty() && other.empty() ? 0 : one.empty() ? -1 : 1;
}

/// Of Debian's: '~' is before the end of the text, then letters, then all else.
int weight(std::string_view text, std::size_t at) {
  if (at >= text.size() || is_digit(text[at])) return 0;
  const char c = text[at];
  if (c == '~') return -1;
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return letter ? c : c + 256;
}

/// Without digits up to a number, the number, and so on.
int compare_debian_parts(std::string_view one, std::string_view other) {
  while (!one.empty() || !other.empty()) {
    std::size_t at = 0;
    for (;; ++at) {
      const int first = weight(one, at);
      const int second = weight(other, at);
      if (first != second) return first < second ? -1 : 1;
      if (first == 0) break;
    }
    one.remove_prefix(at);
    other.remove_prefix(at);
    const auto number = [](std::string_view& text) {
      return text.empty() ? std::string_view{} : piece(text);
    };
    const std::string_view first = number(one);
    const int order = compare_numbers(first, number(other));
    if (order != 0) return order < 0 ? -1 : 1;
  }
  return 0;
}

}  // namespace

int compare_versions(std::string_view one, std::string_view other) {
  one = one.substr(0, one.find('+'));
  other = other.substr(0, other.find('+'));
  const std::size_t cut_one = std::min(one.find('-'), one.size());
  const std::size_t cut_other = std::min(other.find('-'), other.size());
  const int order = compare_pieces(one.substr(0, cut_one), other.substr(0, cut_other));
  if (order != 0) return order;
  // Of the same number the one with something behind a '-' is before.
  const std::string_view rest = one.substr(cut_one);
  const std::string_view other_rest = other.substr(cut_other);
  if (rest.empty() != other_rest.empty()) return rest.empty() ? 1 : -1;
  return compare_pieces(rest, other_rest);
}

int compare_debian_versions(std::string_view one, std::string_view other) {
  const auto epoch_of = [](std::string_view& text) -> std::string_view {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return {};
    const std::string_view epoch = text.substr(0, colon);
    text.remove_prefix(colon + 1);
    return epoch;
  };
  const std::string_view epoch = epoch_of(one);
  if (const int order = compare_numbers(epoch, epoch_of(other)); order != 0) {
    return order < 0 ? -1 : 1;
  }
  const std::size_t cut_one = std::min(one.rfind('-'), one.size());
  const std::size_t cut_other = std::min(other.rfind('-'), other.size());
  const int order = compare_debian_parts(one.substr(0, cut_one), other.substr(0, cut_other));
  if (order != 0) return order;
  const auto revision = [](std::string_view text, std::size_t cut) {
    return text.substr(std::min(cut + 1, text.size()));
  };
  return compare_debian_parts(revision(one, cut_one), revision(other, cut_other));
}

}  // namespace holdfast::update
