// The arithmetic of shadow documents: merging, stamping, and what differs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lab/iot/json.h"

namespace holdfast::lab::iot {

/// Merges `patch` into `state`: null takes a key away, objects are merged, all else replaces.
/// `metadata` gets the time (in seconds) of what changed. REQUIRES: all are objects, and `metadata`
/// mirrors `state`.
void merge(Json& state, Json& metadata, const Json& patch, std::int64_t seconds);

/// The metadata of `value`: its shape, with {"timestamp": seconds} for each leaf. What is null in
/// an object has none.
[[nodiscard]] Json stamps(const Json& value, std::int64_t seconds);

/// Whether `metadata` could be the metadata of `state`.
[[nodiscard]] bool mirrors(const Json& state, const Json& metadata);

struct ShadowDelta {
  Json state = Json::object();
  Json metadata = Json::object();
};
/// What of `desired` is missing in `reported` or differs, with its metadata.
[[nodiscard]] ShadowDelta delta_of(const Json& desired, const Json& metadata, const Json& reported);

/// Objects and arrays within each other, `value` included.
[[nodiscard]] std::size_t levels(const Json& value);

/// Whether an array anywhere in `value` has a null in it, however deep.
[[nodiscard]] bool has_null_in_array(const Json& value, bool within_array = false);

}  // namespace holdfast::lab::iot
