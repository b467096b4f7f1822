// CBOR from strangers (RFC 8949): bounded in depth before anything is built of it.
#pragma once

#include <string>
#include <string_view>

#include "holdfast/result.h"
#include "lab/iot/json.h"

namespace holdfast::lab::iot {

/// The value of `bytes`, which has only what JSON has, too. Fails with Errc::corrupt (no CBOR, or a
/// value that JSON has not) or Errc::too_large (over a limit). Never throws.
[[nodiscard]] Result<Json> parse_cbor(std::string_view bytes, const JsonLimits& limits = {});

/// `value` as CBOR.
[[nodiscard]] std::string to_cbor(const Json& value);

}  // namespace holdfast::lab::iot
