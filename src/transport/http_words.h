// Words of HTTP: what is asked for, and what a server answers instead, for a log.
#pragma once

#include <cstdint>
#include <string>

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>

namespace holdfast::transport {

/// "403 Forbidden": printable characters only, and not more than a line of them.
[[nodiscard]] std::string status_words(const boost::beast::http::response_header<>& answer);

/// The Host header: the port stands in it where it is not the scheme's own (RFC 9110 section 7.2).
[[nodiscard]] std::string host_header(const std::string& host, std::uint16_t port, bool tls);

}  // namespace holdfast::transport
