// The structs that handlers of holdfast.h are given: the library's values, seen by C.
//
// Threads:   plain values. Lifetime: a view refers to what it was made of.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "holdfast.h"
#include "holdfast/device.h"

namespace holdfast::capi {

[[nodiscard]] holdfast_receipt view_of(const Receipt& receipt) noexcept;
[[nodiscard]] holdfast_connection view_of(const ConnectionState& state) noexcept;

struct InboundView {
  explicit InboundView(const InboundMessage& message);
  std::vector<holdfast_property> properties;
  holdfast_inbound c;
};

struct LogView {
  explicit LogView(const LogLine& line);
  std::vector<std::string> values;
  std::vector<holdfast_property> fields;
  holdfast_log_line c;
};

/// Fills a struct of the caller's, as much of it as its program knows. False: `size` is not set.
template <class Struct>
[[nodiscard]] bool fill(Struct* to, Struct from) noexcept {
  if (to->size < sizeof(from.size)) return false;
  const std::size_t size = std::min(to->size, sizeof(Struct));
  from.size = to->size;
  std::memcpy(to, &from, size);
  return true;
}

}  // namespace holdfast::capi
