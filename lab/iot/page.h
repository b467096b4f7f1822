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

/// What an operation calls the size of a page, where it begins, and where the next one does.
struct PageWords {
  std::string_view size = "maxResults";
  std::string_view from = "nextToken";
  std::string_view next = "nextToken";
};

/// The items that `input` asks for, as member `key`, and where the next page begins when more
/// follow. Complains of both.
[[nodiscard]] Json page_of(Fields& input, std::string_view key, std::vector<Json> items,
                           const PageWords& words = {});

}  // namespace holdfast::lab::iot
