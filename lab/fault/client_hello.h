// What a device offers in its TLS ClientHello (RFC 5246, RFC 8446), read from the raw bytes.
//
// Purpose:  for the record of the relay and for Device Advisor's check of cipher suites.
// Bounds:   kHelloMax bytes; garbage is an error, never a crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/result.h"

namespace holdfast::lab::fault {

struct ClientHello {
  std::uint16_t legacy_version = 0;
  std::vector<std::uint16_t> versions;  ///< supported_versions; without it, legacy_version alone.
  std::vector<std::uint16_t> suites;
  std::string server_name;  ///< SNI; empty: none.
  std::vector<std::string> alpn;
  std::vector<std::uint16_t> groups;
  std::vector<std::uint16_t> signature_algorithms;
  bool session_ticket = false;       ///< The extension is there.
  bool session_ticket_sent = false;  ///< With a ticket in it.
  bool pre_shared_key = false;
  std::size_t max_fragment_length = 0;  ///< Asked for, in bytes; 0: not.
};

/// What AWS IoT Core thinks of a suite. signalling: no suite, but a signal (SCSV, GREASE).
enum class SuiteStanding : std::uint8_t { recommended, supported, unsupported, signalling };
[[nodiscard]] SuiteStanding standing(std::uint16_t suite) noexcept;
/// The IANA name; "0x1234" for one that is not known here.
[[nodiscard]] std::string suite_name(std::uint16_t suite);

/// Reads the hello at the front of what a client sent; nullopt: more bytes are needed. Fails with
/// Errc::corrupt when no ClientHello can come of these bytes.
[[nodiscard]] Result<std::optional<ClientHello>> parse_client_hello(std::string_view bytes);

[[nodiscard]] nlohmann::ordered_json to_json(const ClientHello& hello);

inline constexpr std::size_t kHelloMax = std::size_t{64} * 1024;

}  // namespace holdfast::lab::fault
