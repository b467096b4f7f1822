#include "transport/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "base/calendar.h"
#include "base/check.h"
#include "base/hex.h"
#include "transport/http_words.h"
#include "transport/sha256.h"

namespace holdfast::transport {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kService = "iotdevicegateway";

bool unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::string hmac(std::string_view key, std::string_view text) {
  std::string digest(kSha256Size, '\0');
  unsigned int size = 0;
  HF_CHECK(::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()),
                  reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                  reinterpret_cast<unsigned char*>(digest.data()), &size) != nullptr);
  HF_CHECK(size == kSha256Size);
  return digest;
}

/// RFC 3986 section 2.1, everything but unreserved characters.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (unreserved(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
  }
  return out;
}

/// "20261127T081530Z"
std::string stamp_of(WallTime time) {
  std::string stamp = iso_time(time);
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  return stamp;
}

}  // namespace

bool plain_path(std::string_view path) {
  return path.starts_with('/') &&
         std::all_of(path.begin(), path.end(), [](char c) { return c == '/' || unreserved(c); });
}

std::string region_of(std::string_view host) {
  for (const std::string_view before : {".iot.", ".iot-fips."}) {
    const std::size_t at = host.find(before);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = host.substr(at + before.size());
    const std::string_view region = rest.substr(0, rest.find('.'));
    const std::string_view domain = rest.substr(region.size());
    if (domain == ".amazonaws.com" || domain == ".amazonaws.com.cn") return std::string(region);
  }
  return {};
}

std::string sign_upgrade(const AwsKeys& keys, const UnsignedUpgrade& what, WallTime now) {
  HF_CHECK(plain_path(what.path));
  const std::string stamp = stamp_of(now);
  const std::string day = stamp.substr(0, 8);
  const std::string scope = day + '/' + what.region + '/' + std::string(kService) + "/aws4_request";
  // In the order of the names, as the signature has them.
  std::string query = "X-Amz-Algorithm=" + std::string(kAlgorithm) +
                      "&X-Amz-Credential=" + percent_encoded(keys.id + '/' + scope) +
                      "&X-Amz-Date=" + stamp + "&X-Amz-SignedHeaders=host";
  const std::string canonical = "GET\n" + what.path + '\n' + query +
                                "\nhost:" + host_header(what.host, what.port, what.tls) +
                                "\n\nhost\n" + text_to_hex(sha256(""));
  const std::string to_sign =
      std::string(kAlgorithm) + '\n' + stamp + '\n' + scope + '\n' + text_to_hex(sha256(canonical));
  std::string key = hmac("AWS4" + keys.secret, day);
  for (const std::string_view part :
       {std::string_view(what.region), kService, std::string_view("aws4_request")}) {
    key = hmac(key, part);
  }
  query += "&X-Amz-Signature=" + text_to_hex(hmac(key, to_sign));
  if (!keys.session_token.empty()) {
    query += "&X-Amz-Security-Token=" + percent_encoded(keys.session_token);
  }
  return what.path + '?' + query;
}

}  // namespace holdfast::transport
