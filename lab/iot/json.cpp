#include "lab/iot/json.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

namespace holdfast::lab::iot {
namespace {

/// The deepest nesting in `text`, brackets in strings not counted; found before anything is built.
std::size_t depth_of(std::string_view text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
    if ((c == '}' || c == ']') && depth > 0) --depth;
  }
  return deepest;
}

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    return Error{Errc::too_large, "JSON of " + std::to_string(text.size()) + " bytes; at most " +
                                      std::to_string(limits.bytes) + " are allowed"};
  }
  if (depth_of(text) > limits.depth) {
    return Error{Errc::too_large, "JSON nested deeper than " + std::to_string(limits.depth)};
  }
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& e) {
    return Error{Errc::corrupt, "no JSON at byte " + std::to_string(e.byte)};
  } catch (const Json::exception&) {
    return Error{Errc::corrupt, "JSON with a number that is too large"};
  }
}

const std::string* string_in(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(std::string(key));
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

std::optional<std::int64_t> number_in(const Json& object, std::string_view key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(std::string(key));
  if (found == object.end()) return std::nullopt;
  if (found->is_number_unsigned()) {
    const auto value = found->get<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<std::int64_t>(value);
  }
  if (found->is_number_integer()) return found->get<std::int64_t>();
  const auto* text = found->get_ptr<const std::string*>();
  if (text == nullptr) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (failure != std::errc{} || end != text->data() + text->size()) return std::nullopt;
  return value;
}

std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace holdfast::lab::iot
