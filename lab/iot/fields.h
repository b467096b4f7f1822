// Reads JSON objects member by member: input of operations, and state from disk.
//
// The first complaint sticks, names the member by its path, and is asked for once at the end;
// until then what is missing reads as empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/result.h"
#include "lab/iot/json.h"

namespace holdfast::lab::iot {

class Fields {
 public:
  /// Both must outlive it, and all read from it. `path` is put before the names of members.
  Fields(const Json& value, std::string& complaint, std::string path = "");

  [[nodiscard]] bool has(std::string_view key) const;
  std::string text(std::string_view key);
  std::string text_or(std::string_view key, std::string fallback);
  std::int64_t number(std::string_view key);
  std::optional<std::int64_t> number_if(std::string_view key);
  bool flag(std::string_view key);
  bool flag_or(std::string_view key, bool fallback);
  Fields object(std::string_view key);
  /// The value itself, whatever it is; null when missing.
  const Json& any(std::string_view key);
  std::vector<std::string> texts(std::string_view key);

  /// All members, as `visit(name, Fields of it)`; each must be an object.
  template <class Visit>
  void each(Visit&& visit) {
    for (const auto& [name, value] : value_.items()) visit(name, object(name));
  }
  /// The names of all members, to be read one by one.
  [[nodiscard]] std::vector<std::string> names() const;
  /// All items of the list `key`, as `visit(Fields of it)`; each must be an object.
  template <class Visit>
  void each_item(std::string_view key, Visit&& visit) {
    const Json& list = any(key);
    if (!list.is_array()) return complain(key, "must be a list");
    for (std::size_t i = 0; i < list.size(); ++i) {
      visit(Fields(list[i], complaint_, path_ + std::string(key) + '[' + std::to_string(i) + "]."));
    }
  }

  /// Complains of members that nobody asked for.
  void no_others();
  /// Complains of `key`: "KEY WHAT".
  void complain(std::string_view key, std::string_view what);

 private:
  const Json* find(std::string_view key);

  const Json& value_;
  std::string& complaint_;
  std::string path_;
  std::vector<std::string> read_;
};

/// A complaint about saved state, if there is one.
[[nodiscard]] Status state_status(const std::string& complaint);

}  // namespace holdfast::lab::iot
