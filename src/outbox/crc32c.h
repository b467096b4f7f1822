// CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor's instruction where it has one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace holdfast::outbox {

/// Checksum of `bytes`, continuing from `crc` (0 to begin): crc32c(crc32c(0, a), b) is that of ab.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;
/// The same without the instruction: what other processors run.
[[nodiscard]] std::uint32_t crc32c_by_table(std::uint32_t crc,
                                            std::span<const std::byte> bytes) noexcept;

}  // namespace holdfast::outbox
