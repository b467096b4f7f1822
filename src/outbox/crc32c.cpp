#include "outbox/crc32c.h"

#include <array>

#include "outbox/bytes.h"

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

std::uint32_t by_table(std::uint32_t crc, const std::byte* p, std::size_t left) noexcept {
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
  return crc;
}

// x86 processors since 2008 have an instruction for exactly this polynomial; which one runs is
// decided when the program starts. On ARM it is decided when it is compiled (-march=armv8-a+crc):
// asking the processor would need the operating system, which this room must not name.
#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::uint32_t crc,
                                                               const std::byte* p,
                                                               std::size_t left) noexcept {
  for (; left >= 8; left -= 8, p += 8) {
    crc = static_cast<std::uint32_t>(__builtin_ia32_crc32di(crc, load_le<std::uint64_t>(p)));
  }
  for (; left > 0; --left, ++p) crc = __builtin_ia32_crc32qi(crc, static_cast<std::uint8_t>(*p));
  return crc;
}
bool has_instruction() noexcept { return __builtin_cpu_supports("sse4.2") != 0; }
#elif defined(__ARM_FEATURE_CRC32) && defined(__aarch64__)
std::uint32_t by_instruction(std::uint32_t crc, const std::byte* p, std::size_t left) noexcept {
#if defined(__clang__)
  for (; left >= 8; left -= 8, p += 8) {
    crc = __builtin_arm_crc32cd(crc, load_le<std::uint64_t>(p));
  }
  for (; left > 0; --left, ++p) crc = __builtin_arm_crc32cb(crc, byte_at(p));
#else
  for (; left >= 8; left -= 8, p += 8) {
    crc = __builtin_aarch64_crc32cx(crc, load_le<std::uint64_t>(p));
  }
  for (; left > 0; --left, ++p) {
    crc = __builtin_aarch64_crc32cb(crc, static_cast<std::uint8_t>(*p));
  }
#endif
  return crc;
}
bool has_instruction() noexcept { return true; }
#else
std::uint32_t by_instruction(std::uint32_t crc, const std::byte* p, std::size_t left) noexcept {
  return by_table(crc, p, left);
}
bool has_instruction() noexcept { return false; }
#endif

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  static const bool fast = has_instruction();
  return ~(fast ? by_instruction(~crc, bytes.data(), bytes.size())
                : by_table(~crc, bytes.data(), bytes.size()));
}

std::uint32_t crc32c_by_table(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
  return ~by_table(~crc, bytes.data(), bytes.size());
}

}  // namespace holdfast::outbox
