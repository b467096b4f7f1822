// HTTP requests and answers as values, and how their targets are written. Sans-I/O: a server
// elsewhere reads and writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::lab::iot {

using HttpFields = std::vector<std::pair<std::string, std::string>>;

struct HttpQuestion {
  std::string method;  ///< "GET"
  std::string target;  ///< "/topics/a?qos=1", as it came.
  HttpFields headers;
  std::string body;
  std::string principal;  ///< Certificate id of the client, or whose key signed; empty: neither.
  std::string access_key = {};  ///< Of the one that signed, when no certificate was shown.
};

struct HttpAnswer {
  int status = 200;
  HttpFields headers;
  std::string body;
};

/// A target taken apart; nothing in it is decoded.
struct Target {
  std::string path;
  HttpFields query;  ///< In order; without '=' the value is empty.
};
[[nodiscard]] Target parse_target(std::string_view target);

/// Percent-decoding of a path or a value. nullopt: a '%' without two hexadecimal digits.
[[nodiscard]] std::optional<std::string> decode_percent(std::string_view text);
/// Percent-encoding as SigV4 wants it: all but letters, digits and "-._~"; '/' where `keep_slash`.
[[nodiscard]] std::string encode_percent(std::string_view text, bool keep_slash = false);

/// The first value of this name, in any case of letters; nullptr when there is none.
[[nodiscard]] const std::string* header_of(const HttpFields& headers, std::string_view name);
[[nodiscard]] std::string lower_case(std::string_view text);

}  // namespace holdfast::lab::iot
