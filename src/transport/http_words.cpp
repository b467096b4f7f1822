#include "transport/http_words.h"

#include <algorithm>

namespace holdfast::transport {

std::string status_words(const boost::beast::http::response_header<>& answer) {
  constexpr std::size_t kEnough = 60;
  std::string words = std::to_string(answer.result_int());
  const auto reason = answer.reason();
  if (!reason.empty()) words += ' ';
  for (const char c : reason.substr(0, kEnough)) words += c >= ' ' && c <= '~' ? c : '?';
  return words;
}

std::string host_header(const std::string& host, std::uint16_t port, bool tls) {
  const std::string name = host.find(':') == std::string::npos ? host : '[' + host + ']';
  const bool usual = port == (tls ? 443 : 80);
  return usual ? name : name + ':' + std::to_string(port);
}

}  // namespace holdfast::transport
