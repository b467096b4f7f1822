// Text as a payload, and back.
#pragma once

#include <string>
#include <string_view>

#include "holdfast/types.h"

inline holdfast::Bytes bytes_of(std::string_view text) {
  const auto* const begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

inline std::string text_of(const holdfast::Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
