#include "lab/mqtt/wire.h"

#include "base/check.h"

namespace holdfast::lab::mqtt {

std::string_view Reader::take(std::size_t count) {
  if (failed_ || count > left_.size()) {
    failed_ = true;
    return {};
  }
  const std::string_view taken = left_.substr(0, count);
  left_.remove_prefix(count);
  return taken;
}

std::uint32_t Reader::number(std::size_t bytes) {
  std::uint32_t value = 0;
  for (const char c : take(bytes)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::uint32_t Reader::variable() {
  std::uint32_t value = 0;
  for (unsigned shift = 0; shift <= 21; shift += 7) {
    const std::uint32_t part = byte();
    value |= (part & 0x7FU) << shift;
    if ((part & 0x80U) == 0) return failed_ ? 0 : value;
  }
  failed_ = true;  // a fifth byte: malformed
  return 0;
}

void put_two(std::string& out, std::uint32_t number) {
  out.push_back(static_cast<char>(number >> 8 & 0xFFU));
  out.push_back(static_cast<char>(number & 0xFFU));
}

void put_four(std::string& out, std::uint32_t number) {
  put_two(out, number >> 16);
  put_two(out, number & 0xFFFFU);
}

void put_variable(std::string& out, std::uint32_t number) {
  do {
    const std::uint32_t part = number & 0x7FU;
    number >>= 7;
    out.push_back(static_cast<char>(number > 0 ? part | 0x80U : part));
  } while (number > 0);
}

void put_binary(std::string& out, std::string_view bytes) {
  HF_CHECK(bytes.size() <= 0xFFFF);
  put_two(out, static_cast<std::uint32_t>(bytes.size()));
  out.append(bytes);
}

}  // namespace holdfast::lab::mqtt
