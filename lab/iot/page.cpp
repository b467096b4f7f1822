#include "lab/iot/page.h"

#include <algorithm>
#include <utility>

namespace holdfast::lab::iot {

Json page_of(Fields& input, std::string_view key, std::vector<Json> items, const PageWords& words) {
  std::int64_t most = input.number_if(words.size).value_or(kLargestPage);
  std::int64_t first = input.number_if(words.from).value_or(0);
  const auto count = static_cast<std::int64_t>(items.size());
  if (most < 1 || most > kLargestPage) input.complain(words.size, "must be 1 to 250");
  if (first < 0 || first > count) input.complain(words.from, "is none of ours");
  first = std::clamp<std::int64_t>(first, 0, count);
  most = std::clamp<std::int64_t>(most, 1, kLargestPage);
  const std::int64_t last = std::min(count, first + most);
  Json list = Json::array();
  for (std::int64_t i = first; i < last; ++i) {
    list.push_back(std::move(items[static_cast<std::size_t>(i)]));
  }
  Json result = Json::object();
  result[std::string(key)] = std::move(list);
  if (last < count) result[std::string(words.next)] = std::to_string(last);
  return result;
}

}  // namespace holdfast::lab::iot
