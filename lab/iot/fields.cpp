#include "lab/iot/fields.h"

#include <algorithm>
#include <utility>

namespace holdfast::lab::iot {
namespace {

const Json& nothing() {
  static const Json value;
  return value;
}
const Json& empty_object() {
  static const Json value = Json::object();
  return value;
}

}  // namespace

Fields::Fields(const Json& value, std::string& complaint, std::string path)
    : value_(value.is_object() ? value : empty_object()),
      complaint_(complaint),
      path_(std::move(path)) {
  if (value.is_object() || !complaint_.empty()) return;
  complaint_ = path_.empty() ? "input" : path_.substr(0, path_.size() - 1);
  complaint_ += " must be an object";
}

void Fields::complain(std::string_view key, std::string_view what) {
  if (complaint_.empty()) complaint_ = path_ + std::string(key) + ' ' + std::string(what);
}

const Json* Fields::find(std::string_view key) {
  read_.emplace_back(key);
  const auto found = value_.find(std::string(key));
  return found == value_.end() ? nullptr : &*found;
}

bool Fields::has(std::string_view key) const { return value_.contains(std::string(key)); }

std::string Fields::text(std::string_view key) {
  const Json* found = find(key);
  if (found != nullptr && found->is_string()) return found->get<std::string>();
  complain(key, found == nullptr ? "is missing" : "must be a string");
  return {};
}

std::string Fields::text_or(std::string_view key, std::string fallback) {
  return has(key) ? text(key) : std::move(fallback);
}

std::optional<std::int64_t> Fields::number_if(std::string_view key) {
  if (find(key) == nullptr) return std::nullopt;
  const auto value = number_in(value_, key);
  if (!value) complain(key, "must be a whole number");
  return value;
}

std::int64_t Fields::number(std::string_view key) {
  const auto value = number_if(key);
  if (!value) complain(key, "is missing");
  return value.value_or(0);
}

bool Fields::flag(std::string_view key) {
  const Json* found = find(key);
  if (found != nullptr && found->is_boolean()) return found->get<bool>();
  complain(key, found == nullptr ? "is missing" : "must be true or false");
  return false;
}

bool Fields::flag_or(std::string_view key, bool fallback) {
  return has(key) ? flag(key) : fallback;
}

Fields Fields::object(std::string_view key) {
  const Json* found = find(key);
  if (found == nullptr) complain(key, "is missing");
  return {found == nullptr ? empty_object() : *found, complaint_, path_ + std::string(key) + '.'};
}

const Json& Fields::any(std::string_view key) {
  const Json* found = find(key);
  return found == nullptr ? nothing() : *found;
}

std::vector<std::string> Fields::texts(std::string_view key) {
  const Json* found = find(key);
  std::vector<std::string> all;
  if (found == nullptr || !found->is_array()) {
    complain(key, found == nullptr ? "is missing" : "must be a list");
    return all;
  }
  for (const Json& one : *found) {
    if (one.is_string()) {
      all.push_back(one.get<std::string>());
    } else {
      complain(key, "must be a list of strings");
    }
  }
  return all;
}

std::vector<std::string> Fields::names() const {
  std::vector<std::string> all;
  for (const auto& [name, value] : value_.items()) all.push_back(name);
  return all;
}

void Fields::no_others() {
  for (const auto& [name, value] : value_.items()) {
    if (std::find(read_.begin(), read_.end(), name) == read_.end()) {
      complain(name, "is no member here");
    }
  }
}

Status state_status(const std::string& complaint) {
  if (complaint.empty()) return {};
  return Error{Errc::corrupt, complaint};
}

}  // namespace holdfast::lab::iot
