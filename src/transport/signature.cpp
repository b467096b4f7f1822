#include "transport/signature.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>

#include "transport/openssl_ptr.h"

namespace holdfast::transport {
namespace {

struct ContextFree {
  void operator()(EVP_MD_CTX* context) const noexcept { ::EVP_MD_CTX_free(context); }
};

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

Result<bool> verify_ed25519(std::string_view pem, std::string_view text,
                            std::string_view signature) {
  const BioPtr memory(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const KeyPtr key(memory ? ::PEM_read_bio_PUBKEY(memory.get(), nullptr, nullptr, nullptr)
                          : nullptr);
  ::ERR_clear_error();
  if (!key || ::EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519) {
    return Error{Errc::corrupt, "is no Ed25519 public key in PEM", 0};
  }
  const std::unique_ptr<EVP_MD_CTX, ContextFree> context(::EVP_MD_CTX_new());
  const bool good =
      context && ::EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      ::EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(text),
                         text.size()) == 1;
  ::ERR_clear_error();
  return good;
}

Result<std::string> sign_ed25519(std::string_view pem, std::string_view text) {
  const BioPtr memory(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const auto no_password = [](char*, int, int, void*) { return 0; };
  const KeyPtr key(memory ? ::PEM_read_bio_PrivateKey(memory.get(), nullptr, no_password, nullptr)
                          : nullptr);
  const std::unique_ptr<EVP_MD_CTX, ContextFree> context(::EVP_MD_CTX_new());
  std::string signature(64, '\0');
  std::size_t size = signature.size();
  const bool good =
      key && ::EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_ED25519 && context &&
      ::EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      ::EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                       bytes_of(text), text.size()) == 1;
  ::ERR_clear_error();
  if (!good) return Error{Errc::corrupt, "is no Ed25519 private key in PEM, without password", 0};
  return signature;
}

}  // namespace holdfast::transport
