// A listening TCP socket on a numeric address.
//
// Threads:  any; no state.
// Errors:   invalid_argument names what is wrong with the text; in_use, permission and io come from
//           the system, with the address.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "holdfast/result.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

struct TcpPlace {
  std::string address;  ///< Numeric, without brackets.
  std::uint16_t port = 0;
  bool loopback = false;  ///< No other machine reaches it.
};
/// "127.0.0.1:9464" or "[::1]:9464". Names are refused: what they stand for may change.
[[nodiscard]] Result<TcpPlace> parse_tcp_place(std::string_view text);

/// Non-blocking, close-on-exec. A port whose last owner has just died is taken over.
[[nodiscard]] Result<UniqueFd> listen_tcp(const TcpPlace& place);

}  // namespace holdfast::posix
