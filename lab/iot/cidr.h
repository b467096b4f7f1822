// IP addresses and blocks of them ("192.0.2.0/24", "2001:db8::/32"), as policies compare them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast::lab::iot {

/// A block of addresses; a single address is a block of one. IPv4 is held in its IPv6 form.
struct IpBlock {
  std::array<std::uint8_t, 16> bytes{};
  int prefix = 128;  ///< Bits that count.

  [[nodiscard]] bool contains(const IpBlock& address) const noexcept;
};

/// An address or a block, IPv4 or IPv6; nullopt: neither.
[[nodiscard]] std::optional<IpBlock> parse_ip(std::string_view text);

}  // namespace holdfast::lab::iot
