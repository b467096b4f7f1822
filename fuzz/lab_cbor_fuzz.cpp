// Any bytes as CBOR: what is taken is no deeper than allowed, and comes back the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "lab/iot/cbor.h"
#include "lab/iot/shadow_json.h"

using namespace holdfast::lab::iot;  // NOLINT: a fuzz target's only file

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr JsonLimits kLimits{4096, 4};
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto value = parse_cbor(bytes, kLimits);
  if (!value) {
    HF_CHECK(!value.error().message.empty());
    return 0;
  }
  HF_CHECK(levels(*value) <= kLimits.depth);
  const auto again = parse_cbor(to_cbor(*value));
  HF_CHECK(again.ok());
  HF_CHECK(dump(*again) == dump(*value));
  return 0;
}
