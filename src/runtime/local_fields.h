// Reads one request of the local API out of its JSON object; an inner header of local_protocol.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/types.h"
#include "runtime/config_keys.h"

namespace holdfast::runtime {

using nlohmann::json;

/// Takes the fields of one request out of its object; remembers the first thing that is wrong.
class Fields {
 public:
  explicit Fields(const json& object) : object_(object) {}

  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] bool has(const char* name) const { return object_.contains(name); }

  void text(const char* name, std::string& into, bool required = false) {
    const json* value = find(name, required);
    if (value == nullptr) return;
    const auto* string = value->get_ptr<const std::string*>();
    if (string == nullptr) return wrong(name, "is not a string");
    into = *string;
  }

  /// The same, of at most so many bytes.
  void short_text(const char* name, std::size_t most, std::string& into) {
    std::string given;
    text(name, given);
    if (given.size() > most) return wrong(name, "has more than " + std::to_string(most) + " bytes");
    into = std::move(given);
  }

  void flag(const char* name, bool& into) {
    const json* value = find(name, false);
    if (value == nullptr) return;
    if (!value->is_boolean()) return wrong(name, "is not true or false");
    into = value->get<bool>();
  }

  /// A whole number within the range, or nothing.
  std::optional<std::uint64_t> number(const char* name, std::uint64_t min, std::uint64_t max,
                                      bool required = false) {
    const json* value = find(name, required);
    if (value == nullptr) return std::nullopt;
    const bool fits = value->is_number_unsigned() && value->get<std::uint64_t>() >= min &&
                      value->get<std::uint64_t>() <= max;
    if (fits) return value->get<std::uint64_t>();
    wrong(name, "is not a whole number, " + std::to_string(min) + " to " + std::to_string(max));
    return std::nullopt;
  }

  void qos(const char* name, Qos& into) {
    if (const auto given = number(name, 0, 1)) into = static_cast<Qos>(*given);
  }

  /// The index of the string in `names`, if the field is there.
  std::optional<std::size_t> choice(const char* name,
                                    std::initializer_list<std::string_view> names) {
    std::string given;
    if (!has(name)) return std::nullopt;
    text(name, given);
    const auto* const found = std::find(names.begin(), names.end(), given);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
    std::string all;
    for (const std::string_view one : names) all += (all.empty() ? "" : ", ") + std::string(one);
    wrong(name, in_quotes(given) + " is none of " + all);
    return std::nullopt;
  }

  /// {"name": "value", …} or, to keep order and repeated names, [["name", "value"], …].
  void pairs(const char* name, std::vector<std::pair<std::string, std::string>>& into) {
    const json* value = find(name, false);
    if (value == nullptr) return;
    if (value->is_object()) {
      for (const auto& [key, element] : value->items()) {
        const auto* string = element.get_ptr<const std::string*>();
        if (string == nullptr) return wrong(name, "has a value that is not a string");
        into.emplace_back(key, *string);
      }
      return;
    }
    if (!value->is_array()) return wrong(name, "is not an object of strings");
    for (const json& element : *value) {
      if (!element.is_array() || element.size() != 2 || !element[0].is_string() ||
          !element[1].is_string()) {
        return wrong(name, "has an element that is not a pair of strings");
      }
      into.emplace_back(element[0].get_ref<const std::string&>(),
                        element[1].get_ref<const std::string&>());
    }
  }

  /// Whole numbers above 0.
  void numbers(const char* name, std::size_t most, std::vector<std::uint64_t>& into) {
    const json* value = find(name, true);
    if (value == nullptr) return;
    const bool fits = value->is_array() && !value->empty() && value->size() <= most;
    const auto good = [](const json& one) {
      return one.is_number_unsigned() && one.get<std::uint64_t>() > 0;
    };
    if (fits && std::all_of(value->begin(), value->end(), good)) {
      into = value->get<std::vector<std::uint64_t>>();
    } else {
      wrong(name, "is not a list of 1 to " + std::to_string(most) + " whole numbers above 0");
    }
  }

  /// Unknown fields are errors: a misspelled "retian" must not pass in silence.
  void only(std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : object_.items()) {
      if (name == "op" || name == "id") continue;
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        return wrong(name, "is not a field of this op");
      }
    }
  }

  void wrong(std::string_view name, std::string_view what) {
    if (!error_.empty()) return;
    error_ = "field " + in_quotes(name) + ": " + std::string(what);
  }

 private:
  const json* find(const char* name, bool required) {
    const auto found = object_.find(name);
    if (found != object_.end()) return &*found;
    if (required) wrong(name, "is missing");
    return nullptr;
  }

  const json& object_;
  std::string error_;
};

}  // namespace holdfast::runtime
