#include "lab/fault/object_reader.h"

#include <algorithm>
#include <charconv>

#include "lab/fault/values.h"

namespace holdfast::lab::fault {
namespace {

/// The longest part of a stranger's key that is shown.
constexpr std::size_t kKeyShown = 64;

std::optional<std::uint64_t> number_of(const Json& json) {
  if (json.is_number_unsigned()) return json.get<std::uint64_t>();
  if (json.is_number_integer()) {
    const auto number = json.get<std::int64_t>();
    if (number >= 0) return static_cast<std::uint64_t>(number);
    return std::nullopt;
  }
  const auto* text = json.get_ptr<const std::string*>();
  if (text == nullptr || text->size() < 3 || text->compare(0, 2, "0x") != 0) return std::nullopt;
  std::uint64_t number = 0;
  const char* const stop = text->data() + text->size();
  const auto [end, failure] = std::from_chars(text->data() + 2, stop, number, 16);
  if (failure != std::errc{} || end != stop) return std::nullopt;
  return number;
}

std::string range_words(std::uint64_t least, std::uint64_t most) {
  return "must be a whole number of " + std::to_string(least) + " to " + std::to_string(most);
}

}  // namespace

void Problem::at(std::string_view path, std::string_view words) {
  if (found_) return;
  found_ = true;
  path_ = path;
  words_ = words;
}

Error Problem::error() const {
  return {Errc::invalid_argument, path_.empty() ? words_ : path_ + ": " + words_};
}

ObjectReader::ObjectReader(const Json& json, std::string path, Problem& problem)
    : json_(json), path_(std::move(path)), problem_(problem) {
  if (!json_.is_object()) problem_.at(path_, "must be a table of keys");
}

bool ObjectReader::has(std::string_view key) const {
  return json_.is_object() && json_.find(std::string(key)) != json_.end();
}

const Json* ObjectReader::find(std::string_view key) {
  known_.push_back(key);
  return has(key) ? &*json_.find(std::string(key)) : nullptr;
}

std::string ObjectReader::path_of(std::string_view key) const {
  if (path_.empty() || key.empty()) return path_ + std::string(key);
  return path_ + "." + std::string(key);
}

void ObjectReader::read(std::string_view key, bool& into) {
  const Json* const value = find(key);
  if (value == nullptr) return;
  if (!value->is_boolean()) return wrong(key, "must be true or false");
  into = value->get<bool>();
}

void ObjectReader::read(std::string_view key, std::string& into) {
  const Json* const value = find(key);
  if (value == nullptr) return;
  if (!value->is_string()) return wrong(key, "must be a text");
  into = value->get<std::string>();
}

void ObjectReader::read(std::string_view key, Duration& into) {
  const Json* const value = find(key);
  if (value == nullptr) return;
  const auto* text = value->get_ptr<const std::string*>();
  const auto duration = parse_duration(text == nullptr ? "" : *text);
  if (!duration) return wrong(key, duration.error().message);
  into = *duration;
}

void ObjectReader::read_size(std::string_view key, std::uint64_t least, std::uint64_t most,
                             std::uint64_t& into) {
  const Json* const value = find(key);
  if (value == nullptr) return;
  std::optional<std::uint64_t> size = number_of(*value);
  if (const auto* text = value->get_ptr<const std::string*>(); text != nullptr) {
    const auto parsed = parse_size(*text);
    if (!parsed) return wrong(key, parsed.error().message);
    size = *parsed;
  }
  if (!size || *size < least || *size > most) {
    return wrong(key, "must be a size of " + size_text(least) + " to " + size_text(most));
  }
  into = *size;
}

void ObjectReader::read_number(std::string_view key, std::uint64_t least, std::uint64_t most,
                               std::uint64_t& into) {
  const Json* const value = find(key);
  if (value == nullptr) return;
  const auto number = number_of(*value);
  if (!number || *number < least || *number > most) return wrong(key, range_words(least, most));
  into = *number;
}

void ObjectReader::read_fraction(std::string_view key, double over, double most, double& into) {
  const Json* const value = find(key);
  if (value == nullptr) return;
  const double number = value->is_number() ? value->get<double>() : over;
  if (!(number > over && number <= most)) {
    return wrong(key, "must be a number over " + Json(over).dump() + " up to " + Json(most).dump());
  }
  into = number;
}

std::optional<std::size_t> ObjectReader::choice(std::string_view key,
                                                const std::vector<std::string_view>& allowed) {
  const Json* const value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* text = value->get_ptr<const std::string*>(); text != nullptr) {
    const auto found = std::find(allowed.begin(), allowed.end(), *text);
    if (found != allowed.end()) return static_cast<std::size_t>(found - allowed.begin());
  }
  std::string words = "must be one of";
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    words.append(i == 0 ? " \"" : ", \"").append(allowed[i]).append("\"");
  }
  wrong(key, words);
  return std::nullopt;
}

void ObjectReader::finish() {
  if (!json_.is_object()) return;
  for (const auto& [key, value] : json_.items()) {
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
      return wrong(key.substr(0, kKeyShown), "is not a known key here");
    }
  }
}

}  // namespace holdfast::lab::fault
