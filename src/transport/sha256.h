// SHA-256 (FIPS 180-4) of what is small and at hand.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace holdfast::transport {

constexpr std::size_t kSha256Size = 32;

/// kSha256Size bytes, not their hexadecimal form.
[[nodiscard]] std::string sha256(std::string_view bytes);

}  // namespace holdfast::transport
