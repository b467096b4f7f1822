// Where a page is served: an address with its port, or a Unix socket.
//
// Errors:   parse_http_place() says what to give; listen_http() as listen_at() and listen_tcp().
#pragma once

#include <filesystem>
#include <string_view>

#include "holdfast/result.h"
#include "posix/tcp_listener.h"
#include "runtime/local_socket.h"

namespace holdfast::runtime {

struct HttpPlace {
  std::filesystem::path socket;  ///< Empty: `tcp`.
  posix::TcpPlace tcp;
};
/// "unix:/PATH", or an address with its port.
[[nodiscard]] Result<HttpPlace> parse_http_place(std::string_view text);

/// Of TCP the result has no file.
[[nodiscard]] Result<ListeningSocket> listen_http(std::string_view place);

}  // namespace holdfast::runtime
