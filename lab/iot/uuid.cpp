#include "lab/iot/uuid.h"

#include <cstdint>

namespace holdfast::lab::iot {

std::string make_uuid(env::Random& random) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::uint64_t half[2] = {random.next(), random.next()};
  half[0] = (half[0] & ~std::uint64_t{0xF000}) | 0x4000;                       // version
  half[1] = (half[1] & ~(std::uint64_t{3} << 62)) | (std::uint64_t{2} << 62);  // variant
  std::string text;
  for (int i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) text += '-';
    text += kDigits[(half[i / 16] >> (60 - 4 * (i % 16))) & 0xF];
  }
  return text;
}

}  // namespace holdfast::lab::iot
