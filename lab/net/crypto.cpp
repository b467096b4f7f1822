#include "lab/net/crypto.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <array>

#include "lab/net/openssl.h"

namespace holdfast::lab::net {
namespace {

constexpr int kWeakestRsaBits = 2048;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

using Digest = std::array<unsigned char, EVP_MAX_MD_SIZE>;

std::string text_of(const Digest& digest, unsigned size) {
  return {reinterpret_cast<const char*>(digest.data()), size};
}

}  // namespace

std::string OpenSslCrypto::sha256(std::string_view bytes) const {
  Digest digest{};
  unsigned size = 0;
  ::EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, ::EVP_sha256(), nullptr);
  return text_of(digest, size);
}

std::string OpenSslCrypto::hmac_sha256(std::string_view key, std::string_view bytes) const {
  Digest digest{};
  unsigned size = 0;
  ::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(bytes), bytes.size(),
         digest.data(), &size);
  return text_of(digest, size);
}

bool OpenSslCrypto::verify_rsa_sha256(std::string_view public_key_pem, std::string_view bytes,
                                      std::string_view signature) const {
  const OpenSslPtr<BIO> source = memory_of(public_key_pem);
  const OpenSslPtr<EVP_PKEY> key(
      source ? ::PEM_read_bio_PUBKEY(source.get(), nullptr, nullptr, nullptr) : nullptr);
  const OpenSslPtr<EVP_MD_CTX> context(::EVP_MD_CTX_new());
  const bool verified =
      key && context && ::EVP_PKEY_base_id(key.get()) == EVP_PKEY_RSA &&
      ::EVP_PKEY_bits(key.get()) >= kWeakestRsaBits &&
      ::EVP_DigestVerifyInit(context.get(), nullptr, ::EVP_sha256(), nullptr, key.get()) == 1 &&
      ::EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(bytes),
                         bytes.size()) == 1;
  ::ERR_clear_error();  // what failed here is no error of a connection
  return verified;
}

}  // namespace holdfast::lab::net
