// What an HTTP server answers instead of what was asked for, in words for a log.
#pragma once

#include <string>

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>

namespace holdfast::transport {

/// "403 Forbidden": printable characters only, and not more than a line of them.
[[nodiscard]] std::string status_words(const boost::beast::http::response_header<>& answer);

}  // namespace holdfast::transport
