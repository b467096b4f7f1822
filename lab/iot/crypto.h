// The cryptography that the services need; whoever has a library implements it.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::lab::iot {

class Crypto {
 public:
  Crypto() = default;
  Crypto(const Crypto&) = delete;
  Crypto& operator=(const Crypto&) = delete;
  virtual ~Crypto() = default;

  /// 32 bytes each.
  [[nodiscard]] virtual std::string sha256(std::string_view bytes) const = 0;
  [[nodiscard]] virtual std::string hmac_sha256(std::string_view key,
                                                std::string_view bytes) const = 0;
  /// RSASSA-PKCS1-v1_5 with SHA-256. False, too, for a key that is none, is not RSA or is weaker
  /// than 2048 bits.
  [[nodiscard]] virtual bool verify_rsa_sha256(std::string_view public_key_pem,
                                               std::string_view bytes,
                                               std::string_view signature) const = 0;
};

}  // namespace holdfast::lab::iot
