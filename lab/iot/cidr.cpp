#include "lab/iot/cidr.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string>
#include <vector>

namespace holdfast::lab::iot {
namespace {

constexpr int kBitsBeforeV4 = 96;

/// A number of digits only, at most `largest`.
std::optional<unsigned> number(std::string_view text, int base, unsigned largest) {
  unsigned value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (failure != std::errc{} || end != text.data() + text.size() || value > largest) {
    return std::nullopt;
  }
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<std::vector<std::uint8_t>> v4_bytes(std::string_view text) {
  const auto parts = split(text, '.');
  if (parts.size() != 4) return std::nullopt;
  std::vector<std::uint8_t> bytes;
  for (const std::string_view part : parts) {
    const auto value = number(part, 10, 255);
    if (!value || part.size() > 3) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(*value));
  }
  return bytes;
}

/// One side of "::": groups of four digits, the last of which may be an IPv4 address.
std::optional<std::vector<std::uint8_t>> groups(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  if (text.empty()) return bytes;
  const auto parts = split(text, ':');
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i + 1 == parts.size() && parts[i].find('.') != std::string_view::npos) {
      const auto v4 = v4_bytes(parts[i]);
      if (!v4) return std::nullopt;
      bytes.insert(bytes.end(), v4->begin(), v4->end());
      continue;
    }
    const auto value = number(parts[i], 16, 0xFFFF);
    if (!value || parts[i].size() > 4) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(*value >> 8));
    bytes.push_back(static_cast<std::uint8_t>(*value & 0xFF));
  }
  return bytes;
}

std::optional<IpBlock> v6_address(std::string_view text) {
  const std::size_t gap = text.find("::");
  const auto head = groups(text.substr(0, gap));
  const auto tail =
      gap == std::string_view::npos ? groups(std::string_view{}) : groups(text.substr(gap + 2));
  if (!head || !tail) return std::nullopt;
  const std::size_t total = head->size() + tail->size();
  if (gap == std::string_view::npos ? total != 16 : total > 14) return std::nullopt;
  IpBlock block;
  std::copy(head->begin(), head->end(), block.bytes.begin());
  std::copy(tail->rbegin(), tail->rend(), block.bytes.rbegin());
  return block;
}

std::optional<IpBlock> v4_address(std::string_view text) {
  const auto bytes = v4_bytes(text);
  if (!bytes) return std::nullopt;
  IpBlock block;
  block.bytes[10] = block.bytes[11] = 0xFF;  // RFC 4291, section 2.5.5.2
  std::copy(bytes->begin(), bytes->end(), block.bytes.begin() + 12);
  return block;
}

}  // namespace

bool IpBlock::contains(const IpBlock& address) const noexcept {
  const auto whole = static_cast<std::size_t>(prefix / 8);
  if (!std::equal(bytes.begin(), bytes.begin() + whole, address.bytes.begin())) return false;
  const int rest = prefix % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xFF << (8 - rest));
  return (bytes[whole] & mask) == (address.bytes[whole] & mask);
}

std::optional<IpBlock> parse_ip(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view address = text.substr(0, slash);
  const bool v6 = address.find(':') != std::string_view::npos;
  auto block = v6 ? v6_address(address) : v4_address(address);
  if (!block || slash == std::string_view::npos) return block;
  const auto bits = number(text.substr(slash + 1), 10, v6 ? 128 : 32);
  if (!bits) return std::nullopt;
  block->prefix = static_cast<int>(*bits) + (v6 ? 0 : kBitsBeforeV4);
  return block;
}

}  // namespace holdfast::lab::iot
