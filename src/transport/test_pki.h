// A certificate authority for tests: makes CAs, certificates and keys as PEM files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "transport/openssl_ptr.h"

namespace holdfast::transport {

/// A directory that goes with its owner.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& content) const;

 private:
  std::filesystem::path path_;
};

struct Identity {
  X509Ptr certificate;
  KeyPtr key;
  [[nodiscard]] std::string certificate_pem() const;
  [[nodiscard]] std::string key_pem(const char* password = nullptr) const;
};

enum class KeyKind : std::uint8_t { ec, rsa };  ///< P-256, and 2048 bits.

struct CertificateWish {
  std::string common_name = "server";
  std::string alt_names = "DNS:localhost,IP:127.0.0.1";  ///< Empty: none.
  long valid_from_s = -3600;                             ///< Relative to now.
  long valid_for_s = 7200;
  KeyKind kind = KeyKind::ec;
};

/// A self-signed CA.
[[nodiscard]] Identity make_ca(const std::string& common_name);
[[nodiscard]] Identity issue(const Identity& ca, const CertificateWish& wish);

}  // namespace holdfast::transport
