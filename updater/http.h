// What each transfer over HTTPS has: bounded, only by the protocols that the owner allows.
//
// Threads:  one; the transfers block.
// Source:   libcurl.
#pragma once

#include <curl/curl.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>

namespace holdfast::updater {

struct CurlFree {
  void operator()(CURL* handle) const noexcept { ::curl_easy_cleanup(handle); }
};
using Curl = std::unique_ptr<CURL, CurlFree>;

struct HttpOrder {
  std::string url;                ///< Holds a secret, perhaps.
  std::filesystem::path ca_file;  ///< Empty: the system's.
  bool allow_http = false;
};
using HttpWords = std::array<char, CURL_ERROR_SIZE>;

/// `said` gets what goes wrong, and must outlive the transfer, as `order` must. None: libcurl
/// cannot be used.
[[nodiscard]] Curl begin_http(const HttpOrder& order, HttpWords& said);

}  // namespace holdfast::updater
