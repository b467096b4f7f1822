// The cryptography of the services, by OpenSSL.
#pragma once

#include "lab/iot/crypto.h"

namespace holdfast::lab::net {

class OpenSslCrypto final : public iot::Crypto {
 public:
  [[nodiscard]] std::string sha256(std::string_view bytes) const override;
  [[nodiscard]] std::string hmac_sha256(std::string_view key,
                                        std::string_view bytes) const override;
  [[nodiscard]] bool verify_rsa_sha256(std::string_view public_key_pem, std::string_view bytes,
                                       std::string_view signature) const override;
};

}  // namespace holdfast::lab::net
