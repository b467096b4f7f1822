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

}  // namespace holdfast::transport
