// CRC-32C (Castagnoli, RFC 3720 appendix B.4), in software.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace holdfast::outbox {

/// Checksum of `bytes`, continuing from `crc` (0 to begin): crc32c(crc32c(0, a), b) is that of ab.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

}  // namespace holdfast::outbox
