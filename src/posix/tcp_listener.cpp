// See tcp_listener.h.
#include "posix/tcp_listener.h"

#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <charconv>

#include "posix/os_error.h"

namespace holdfast::posix {
namespace {

constexpr int kAcceptQueue = 64;

Error not_a_place(std::string_view what) {
  return {Errc::invalid_argument,
          std::string(what) + "; give such as \"127.0.0.1:9464\" or \"[::1]:9464\""};
}

}  // namespace

Result<TcpPlace> parse_tcp_place(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return not_a_place("has no port");
  std::string_view address = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  TcpPlace place;
  const auto [end, failure] =
      std::from_chars(digits.data(), digits.data() + digits.size(), place.port);
  if (digits.empty() || failure != std::errc{} || end != digits.data() + digits.size() ||
      place.port == 0) {
    return not_a_place("has no port from 1 to 65535");
  }
  const bool brackets = address.starts_with('[') && address.ends_with(']');
  if (brackets) address = address.substr(1, address.size() - 2);
  boost::system::error_code wrong;
  const auto parsed = boost::asio::ip::make_address(std::string(address), wrong);
  if (wrong || parsed.is_v6() != brackets) return not_a_place("has no numeric address");
  place.address = parsed.to_string();
  place.loopback = parsed.is_loopback();
  return place;
}

Result<UniqueFd> listen_tcp(const TcpPlace& place) {
  const boost::asio::ip::tcp::endpoint endpoint(boost::asio::ip::make_address(place.address),
                                                place.port);
  const auto failed = [&] {
    return make_os_error(
        errno, "cannot listen on " + place.address + ", port " + std::to_string(place.port));
  };
  UniqueFd fd(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                       IPPROTO_TCP));
  if (!fd) return failed();
  const int yes = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      ::bind(fd.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0 ||
      ::listen(fd.get(), kAcceptQueue) != 0) {
    return failed();
  }
  return fd;
}

}  // namespace holdfast::posix
