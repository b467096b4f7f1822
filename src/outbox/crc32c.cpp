#include "outbox/crc32c.h"

#include <array>

namespace holdfast::outbox {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // reflected

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

// Eight tables take eight bytes a step; one table would make the checksum the slowest part.
constexpr Table make_table() {
  Table table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[0][i] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t i = 0; i < 256; ++i) {
      const std::uint32_t crc = table[k - 1][i];
      table[k][i] = (crc >> 8) ^ table[0][crc & 0xFF];
    }
  }
  return table;
}

constexpr Table kTable = make_table();

constexpr std::uint32_t byte_at(const std::byte* p) { return static_cast<std::uint32_t>(*p); }

std::uint32_t load32(const std::byte* p) {
  return byte_at(p) | byte_at(p + 1) << 8 | byte_at(p + 2) << 16 | byte_at(p + 3) << 24;
}

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  crc = ~crc;
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  while (left >= 8) {
    const std::uint32_t low = crc ^ load32(p);
    const std::uint32_t high = load32(p + 4);
    crc = kTable[7][low & 0xFF] ^ kTable[6][(low >> 8) & 0xFF] ^ kTable[5][(low >> 16) & 0xFF] ^
          kTable[4][low >> 24] ^ kTable[3][high & 0xFF] ^ kTable[2][(high >> 8) & 0xFF] ^
          kTable[1][(high >> 16) & 0xFF] ^ kTable[0][high >> 24];
    p += 8;
    left -= 8;
  }
  for (; left > 0; --left, ++p) crc = (crc >> 8) ^ kTable[0][(crc ^ byte_at(p)) & 0xFF];
  return ~crc;
}

}  // namespace holdfast::outbox
