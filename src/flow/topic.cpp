// See topic.h. No copies of what is looked at; every loop takes one level or one code point.
#include "flow/topic.h"

#include <string>

#include "base/utf8.h"

namespace holdfast::flow {
namespace {

constexpr std::string_view kShare = "$share/";

Error invalid(std::string message) { return {Errc::invalid_argument, std::move(message)}; }

std::size_t levels_of(std::string_view text) {
  std::size_t levels = 1;
  for (const char c : text) levels += c == '/' ? 1 : 0;
  return levels;
}

Status check_common(std::string_view text, const TopicLimits& limits, std::string_view what) {
  const std::string name(what);
  if (text.empty()) return invalid(name + " is empty");
  if (text.size() > limits.bytes) {
    return invalid(name + " has " + std::to_string(text.size()) + " bytes; at most " +
                   std::to_string(limits.bytes) + " are allowed");
  }
  if (!valid_utf8(text)) return invalid(name + " is not well-formed UTF-8 without NUL");
  if (levels_of(text) > limits.levels) {
    return invalid(name + " has " + std::to_string(levels_of(text)) + " levels; at most " +
                   std::to_string(limits.levels) + " are allowed");
  }
  return {};
}

/// Cuts "$share/NAME/" off; leaves any other filter alone.
std::string_view without_share(std::string_view filter) {
  if (!filter.starts_with(kShare)) return filter;
  const std::size_t slash = filter.find('/', kShare.size());
  return slash == std::string_view::npos ? filter : filter.substr(slash + 1);
}

/// Takes the first level off `rest`; sets `last` when it was the last one.
std::string_view take_level(std::string_view& rest, bool& last) {
  const std::size_t slash = rest.find('/');
  last = slash == std::string_view::npos;
  const std::string_view level = rest.substr(0, slash);
  rest = last ? std::string_view() : rest.substr(slash + 1);
  return level;
}

/// A name, or all that a filter matches, belongs to the filter `wanted`.
bool fits(std::string_view wanted, std::string_view actual) {
  if (wanted.empty() || actual.empty()) return false;
  const bool wild = wanted[0] == '+' || wanted[0] == '#';
  if (actual[0] == '$' && wild) return false;
  for (;;) {
    bool wanted_ends = false;
    bool actual_ends = false;
    const std::string_view level = take_level(wanted, wanted_ends);
    if (level == "#") return true;
    const std::string_view have = take_level(actual, actual_ends);
    if (have == "#") return false;  // never in a name
    if (level != "+" && level != have) return false;
    if (wanted_ends) return actual_ends;
    if (actual_ends) return wanted == "#";  // the parent of "a/#" belongs to it
  }
}

}  // namespace

Status check_topic(std::string_view topic, const TopicLimits& limits) {
  Status common = check_common(topic, limits, "the topic");
  if (!common) return common;
  if (topic.find_first_of("+#") != std::string_view::npos) {
    return invalid("the topic contains a wildcard; '+' and '#' are for filters");
  }
  return {};
}

Status check_filter(std::string_view filter, const TopicLimits& limits) {
  const std::string_view plain = without_share(filter);
  if (filter.starts_with(kShare)) {
    const std::string_view name =
        filter.substr(kShare.size(), filter.find('/', kShare.size()) - kShare.size());
    if (plain == filter || name.empty() || !valid_utf8(name) ||
        name.find_first_of("+#") != std::string_view::npos) {
      return invalid("a shared filter reads $share/NAME/FILTER, NAME without '+' and '#'");
    }
    if (name.size() > limits.bytes) return invalid("the share name is too long");
  }
  Status common = check_common(plain, limits, "the topic filter");
  if (!common) return common;
  std::string_view rest = plain;
  for (bool last = false; !last;) {
    const std::string_view level = take_level(rest, last);
    if (level.size() > 1 && level.find_first_of("+#") != std::string_view::npos) {
      return invalid("a wildcard in a topic filter fills a whole level");
    }
    if (level == "#" && !last) return invalid("'#' is only allowed as a filter's last level");
  }
  return {};
}

bool matches(std::string_view filter, std::string_view topic) noexcept {
  return fits(without_share(filter), topic);
}

bool covers(std::string_view filter, std::string_view asked) noexcept {
  return fits(without_share(filter), without_share(asked));
}

}  // namespace holdfast::flow
