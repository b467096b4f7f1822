// CBOR (RFC 8949) from strangers, as JSON values: bounded like JSON.
#pragma once

#include <string>
#include <string_view>

#include "holdfast/result.h"
#include "lab/iot/json.h"

namespace holdfast::lab::iot {

/// The value of `bytes`, which has only what JSON has, too; and bytes, if `with_bytes`. Fails with
/// Errc::corrupt (no CBOR, or a value that JSON has not) or Errc::too_large (over a limit). Never
/// throws.
[[nodiscard]] Result<Json> parse_cbor(std::string_view bytes, const JsonLimits& limits = {},
                                      bool with_bytes = false);

/// `value` as CBOR.
[[nodiscard]] std::string to_cbor(const Json& value);

}  // namespace holdfast::lab::iot
