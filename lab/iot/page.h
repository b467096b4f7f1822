// Pages of lists, as the operations of the AWS API return them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lab/iot/fields.h"
#include "lab/iot/json.h"

namespace holdfast::lab::iot {

inline constexpr std::int64_t kLargestPage = 250;

/// The items that maxResults and nextToken of `input` ask for, as member `key`, and the next
/// nextToken when more follow. Complains of both.
[[nodiscard]] Json page_of(Fields& input, std::string_view key, std::vector<Json> items);

}  // namespace holdfast::lab::iot
