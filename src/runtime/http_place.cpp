// See http_place.h.
#include "runtime/http_place.h"

#include <utility>

#include "runtime/config_keys.h"

namespace holdfast::runtime {
namespace {

constexpr std::string_view kUnix = "unix:";

}  // namespace

Result<HttpPlace> parse_http_place(std::string_view text) {
  HttpPlace place;
  if (!text.starts_with(kUnix)) {
    auto tcp = posix::parse_tcp_place(text);
    if (!tcp) return std::move(tcp).error();
    place.tcp = std::move(tcp).value();
    return place;
  }
  place.socket = text.substr(kUnix.size());
  if (!place.socket.is_absolute() || place.socket.native().size() > find_key("local.socket")->max) {
    return Error{Errc::invalid_argument,
                 "has no absolute path of at most 107 bytes; give such as "
                 "\"unix:/run/holdfast/page.sock\""};
  }
  return place;
}

Result<ListeningSocket> listen_http(std::string_view text) {
  auto place = parse_http_place(text);
  if (!place) return std::move(place).error();
  if (!place->socket.empty()) return listen_at(place->socket);
  auto tcp = posix::listen_tcp(place->tcp);
  if (!tcp) return std::move(tcp).error();
  ListeningSocket socket;
  socket.fd = std::move(tcp).value();
  return socket;
}

}  // namespace holdfast::runtime
