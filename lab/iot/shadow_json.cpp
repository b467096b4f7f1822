#include "lab/iot/shadow_json.h"

#include <algorithm>
#include <string>
#include <utility>

namespace holdfast::lab::iot {
namespace {

/// Equal, whatever the order of members.
bool same(const Json& a, const Json& b) {
  if (a.is_object() && b.is_object()) {
    if (a.size() != b.size()) return false;
    return std::all_of(a.items().begin(), a.items().end(), [&](const auto& item) {
      const auto found = b.find(item.key());
      return found != b.end() && same(item.value(), *found);
    });
  }
  if (a.is_array() && b.is_array()) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
  }
  return a == b;
}

}  // namespace

Json stamps(const Json& value, std::int64_t seconds) {
  if (value.is_object()) {
    Json result = Json::object();
    for (const auto& [key, member] : value.items()) {
      if (!member.is_null()) result[key] = stamps(member, seconds);
    }
    return result;
  }
  if (value.is_array()) {
    Json result = Json::array();
    for (const Json& item : value) result.push_back(stamps(item, seconds));
    return result;
  }
  return {{"timestamp", seconds}};
}

void merge(Json& state, Json& metadata, const Json& patch, std::int64_t seconds) {
  for (const auto& [key, value] : patch.items()) {
    if (value.is_null()) {
      state.erase(key);
      metadata.erase(key);
    } else if (value.is_object()) {
      if (!state.contains(key) || !state[key].is_object()) {
        state[key] = Json::object();
        metadata[key] = Json::object();
      }
      merge(state[key], metadata[key], value, seconds);
    } else {
      state[key] = value;
      metadata[key] = stamps(value, seconds);
    }
  }
}

bool mirrors(const Json& state, const Json& metadata) {
  if (state.is_object()) {
    if (!metadata.is_object() || metadata.size() != state.size()) return false;
    return std::all_of(state.items().begin(), state.items().end(), [&](const auto& item) {
      const auto found = metadata.find(item.key());
      return found != metadata.end() && mirrors(item.value(), *found);
    });
  }
  if (state.is_array()) {
    return metadata.is_array() &&
           std::equal(state.begin(), state.end(), metadata.begin(), metadata.end(), mirrors);
  }
  return metadata.size() == 1 && number_in(metadata, "timestamp");
}

ShadowDelta delta_of(const Json& desired, const Json& metadata, const Json& reported) {
  ShadowDelta delta;
  for (const auto& [key, value] : desired.items()) {
    const auto found = reported.find(key);
    if (found != reported.end() && value.is_object() && found->is_object()) {
      ShadowDelta inner = delta_of(value, metadata[key], *found);
      if (inner.state.empty()) continue;
      delta.state[key] = std::move(inner.state);
      delta.metadata[key] = std::move(inner.metadata);
    } else if (found == reported.end() || !same(value, *found)) {
      delta.state[key] = value;
      delta.metadata[key] = metadata[key];
    }
  }
  return delta;
}

std::size_t levels(const Json& value) {
  if (!value.is_structured()) return 0;
  std::size_t deepest = 0;
  for (const Json& member : value) deepest = std::max(deepest, levels(member));
  return deepest + 1;
}

bool has_null_in_array(const Json& value, bool within_array) {
  if (value.is_null()) return within_array;
  if (!value.is_structured()) return false;
  return std::any_of(value.begin(), value.end(), [&](const Json& member) {
    return has_null_in_array(member, within_array || value.is_array());
  });
}

}  // namespace holdfast::lab::iot
