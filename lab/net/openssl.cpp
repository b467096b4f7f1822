#include "lab/net/openssl.h"

#include <arpa/inet.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <climits>

#include "base/hex.h"

namespace holdfast::lab::net {

std::string openssl_words() {
  const unsigned long error = ::ERR_get_error();
  ::ERR_clear_error();
  const char* words = ::ERR_reason_error_string(error);
  return words == nullptr ? "unknown TLS error" : words;
}

OpenSslPtr<BIO> memory_of(std::string_view text) {
  if (text.size() > INT_MAX) return nullptr;
  return OpenSslPtr<BIO>(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string_view content_of(BIO& memory) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(&memory, &text);
  return {text, static_cast<std::size_t>(std::max(size, 0L))};
}

std::string one_line(const X509_NAME* name) {
  const OpenSslPtr<BIO> memory(::BIO_new(::BIO_s_mem()));
  if (memory == nullptr) return {};
  ::X509_NAME_print_ex(memory.get(), name, 0, XN_FLAG_RFC2253);
  return std::string(content_of(*memory));
}

std::string fingerprint_of(const X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (::X509_digest(&certificate, ::EVP_sha256(), digest.data(), &size) != 1) return {};
  return text_to_hex({static_cast<const char*>(static_cast<const void*>(digest.data())), size});
}

bool is_address(const std::string& host) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET, host.c_str(), &parsed) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

}  // namespace holdfast::lab::net
