#include "update/token.h"

#include <cstdint>

#include "base/hex.h"

namespace holdfast::update {

std::string make_token(env::Random& random) {
  std::string bytes(8, '\0');
  std::uint64_t bits = random.next();
  for (char& byte : bytes) {
    byte = static_cast<char>(bits & 0xFFU);
    bits >>= 8U;
  }
  return "holdfast-" + text_to_hex(bytes);
}

}  // namespace holdfast::update
