#include "transport/sha256.h"

#include <openssl/evp.h>

#include "base/check.h"

namespace holdfast::transport {

std::string sha256(std::string_view bytes) {
  std::string digest(kSha256Size, '\0');
  unsigned int size = 0;
  HF_CHECK(::EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()),
                        &size, ::EVP_sha256(), nullptr) == 1);
  HF_CHECK(size == kSha256Size);
  return digest;
}

struct Sha256::State {
  EVP_MD_CTX* context = ::EVP_MD_CTX_new();
  State() { HF_CHECK(context && ::EVP_DigestInit_ex(context, ::EVP_sha256(), nullptr) == 1); }
  ~State() { ::EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;

void Sha256::add(std::span<const std::byte> bytes) {
  HF_CHECK(::EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

std::string Sha256::finish() {
  std::string digest(kSha256Size, '\0');
  HF_CHECK(::EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(digest.data()),
                                nullptr) == 1);
  return digest;
}

}  // namespace holdfast::transport
