// Any bytes as the beginning of a TLS connection: a ClientHello, none, or more are needed; and what
// is decided of a part stays so when more comes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "lab/fault/client_hello.h"

using namespace holdfast::lab::fault;  // NOLINT: a fuzz target's only file

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = parse_client_hello(bytes);
  if (whole.ok() && whole->has_value()) {
    HF_CHECK(!to_json(**whole).dump().empty());
    HF_CHECK(!(*whole)->versions.empty());
  }
  const auto half = parse_client_hello(bytes.substr(0, size / 2));
  if (!half.ok()) HF_CHECK(!whole.ok());
  if (half.ok() && half->has_value()) HF_CHECK(whole.ok() && whole->has_value());
  return 0;
}
