// See http.h.
#include "http.h"

namespace holdfast::updater {
namespace {

constexpr long kConnectSeconds = 30;
constexpr long kSilenceSeconds = 60;  // below a byte a second
constexpr long kRedirects = 3;

}  // namespace

Curl begin_http(const HttpOrder& order, HttpWords& said) {
  Curl curl(::curl_easy_init());
  if (!curl) return curl;
  CURL* const c = curl.get();
  const char* const protocols = order.allow_http ? "http,https" : "https";
  ::curl_easy_setopt(c, CURLOPT_URL, order.url.c_str());
  ::curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, protocols);
  ::curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
  ::curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
  ::curl_easy_setopt(c, CURLOPT_MAXREDIRS, kRedirects);
  ::curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  ::curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
  ::curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, kSilenceSeconds);
  ::curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
  ::curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(c, CURLOPT_USERAGENT, "holdfast");
  ::curl_easy_setopt(c, CURLOPT_ERRORBUFFER, said.data());
  if (!order.ca_file.empty()) {
    ::curl_easy_setopt(c, CURLOPT_CAINFO, order.ca_file.c_str());
    ::curl_easy_setopt(c, CURLOPT_CAPATH, nullptr);
  }
  return curl;
}

}  // namespace holdfast::updater
