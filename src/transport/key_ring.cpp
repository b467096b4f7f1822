#include "transport/key_ring.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <array>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "posix/system.h"
#include "transport/credentials.h"

namespace holdfast::transport {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeySize = 32;
constexpr std::string_view kSalt = "holdfast outbox 1";

/// Bytes that are wiped when they are no longer needed.
class SecretBytes {
 public:
  explicit SecretBytes(std::vector<unsigned char> its_bytes) : bytes(std::move(its_bytes)) {}
  explicit SecretBytes(std::size_t size) : bytes(size) {}
  SecretBytes(SecretBytes&&) = default;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  SecretBytes& operator=(SecretBytes&&) = delete;
  ~SecretBytes() { ::OPENSSL_cleanse(bytes.data(), bytes.size()); }

  std::vector<unsigned char> bytes;
};

// OpenSSL's parameters are not const, but it only reads these.
OSSL_PARAM octets(const char* name, std::span<const unsigned char> value) {
  return ::OSSL_PARAM_construct_octet_string(name, const_cast<unsigned char*>(value.data()),
                                             value.size());
}

std::span<const unsigned char> bytes_of(std::string_view text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

/// HKDF with SHA-256 (RFC 5869). It fails only when OpenSSL lacks it or memory is gone.
void hkdf(std::span<const unsigned char> secret, std::span<const unsigned char> info,
          std::span<unsigned char> out) {
  EVP_KDF* const kdf = ::EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_HKDF, nullptr);
  HF_CHECK(kdf != nullptr);
  EVP_KDF_CTX* const context = ::EVP_KDF_CTX_new(kdf);
  ::EVP_KDF_free(kdf);
  HF_CHECK(context != nullptr);
  std::array<char, 7> digest{"SHA256"};
  const std::array<OSSL_PARAM, 5> params{
      ::OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      octets(OSSL_KDF_PARAM_KEY, secret), octets(OSSL_KDF_PARAM_SALT, bytes_of(kSalt)),
      octets(OSSL_KDF_PARAM_INFO, info), ::OSSL_PARAM_construct_end()};
  const int derived = ::EVP_KDF_derive(context, out.data(), out.size(), params.data());
  ::EVP_KDF_CTX_free(context);
  HF_CHECK(derived == 1);
}

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept { ::EVP_CIPHER_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

unsigned char* raw(std::span<std::byte> bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}
const unsigned char* raw(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

class AesGcm final : public env::Sealer {
 public:
  explicit AesGcm(const SecretBytes& key) : context_(::EVP_CIPHER_CTX_new()) {
    HF_CHECK(context_ != nullptr);
    HF_CHECK(::EVP_CipherInit_ex(context_.get(), ::EVP_aes_256_gcm(), nullptr, key.bytes.data(),
                                 nullptr, 1) == 1);
  }

  void seal(env::Nonce nonce, std::span<const std::byte> clear, std::span<std::byte> text,
            std::span<std::byte, env::kSealTagSize> tag) override {
    HF_CHECK(run(true, nonce, clear, text));
    int ignored = 0;
    HF_CHECK(::EVP_CipherFinal_ex(context_.get(), raw(text), &ignored) == 1);
    HF_CHECK(::EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG,
                                   static_cast<int>(tag.size()), tag.data()) == 1);
  }

  bool open(env::Nonce nonce, std::span<const std::byte> clear, std::span<std::byte> text,
            std::span<const std::byte, env::kSealTagSize> tag) override {
    HF_CHECK(run(false, nonce, clear, text));
    std::array<std::byte, env::kSealTagSize> expected{};
    std::copy(tag.begin(), tag.end(), expected.begin());
    HF_CHECK(::EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG,
                                   static_cast<int>(expected.size()), expected.data()) == 1);
    int ignored = 0;
    return ::EVP_CipherFinal_ex(context_.get(), raw(text), &ignored) == 1;
  }

 private:
  [[nodiscard]] bool run(bool encrypt, env::Nonce nonce, std::span<const std::byte> clear,
                         std::span<std::byte> text) {
    int ignored = 0;
    return ::EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, raw(nonce),
                               encrypt ? 1 : 0) == 1 &&
           ::EVP_CipherUpdate(context_.get(), nullptr, &ignored, raw(clear),
                              static_cast<int>(clear.size())) == 1 &&
           ::EVP_CipherUpdate(context_.get(), raw(text), &ignored, raw(text),
                              static_cast<int>(text.size())) == 1;
  }

  ContextPtr context_;
};

/// What a key file is derived to: the secret of which segments' keys are made, and its name.
struct RingKey {
  SecretBytes secret{kKeySize};
  env::KeyId id = 0;
};

class Ring final : public env::KeyRing {
 public:
  Ring(std::vector<RingKey> keys, bool seals) : keys_(std::move(keys)), seals_(seals) {}

  [[nodiscard]] env::KeyId current() const override {
    return seals_ && !keys_.empty() ? keys_.front().id : 0;
  }
  [[nodiscard]] bool has(env::KeyId key) const override { return find(key) != nullptr; }
  [[nodiscard]] std::unique_ptr<env::Sealer> derive(env::KeyId key,
                                                    std::span<const std::byte> context) override {
    const RingKey* found = find(key);
    if (found == nullptr) return nullptr;
    SecretBytes derived(kKeySize);
    hkdf(found->secret.bytes, {raw(context), context.size()}, derived.bytes);
    return std::make_unique<AesGcm>(derived);
  }

 private:
  [[nodiscard]] const RingKey* find(env::KeyId id) const {
    for (const RingKey& key : keys_) {
      if (key.id == id) return &key;
    }
    return nullptr;
  }

  std::vector<RingKey> keys_;
  bool seals_;
};

Result<SecretBytes> secret_of(const fs::path& file) {
  auto text = posix::read_file(file, kKeyFileMax);
  if (!text) return std::move(text).error();
  if (text->find("-----BEGIN") == std::string::npos) {
    SecretBytes bytes({text->begin(), text->end()});
    ::OPENSSL_cleanse(text->data(), text->size());
    if (bytes.bytes.size() < kKeySize) {
      return Error{Errc::invalid_argument,
                   file.string() + " has " + std::to_string(bytes.bytes.size()) +
                       " bytes; give a PEM private key or at least 32 random bytes",
                   0};
    }
    return bytes;
  }
  auto key = parse_private_key(Secret(std::move(text).value()), file);
  if (!key) return std::move(key).error();
  // The same key gives the same bytes, however its file is laid out.
  const int length = ::i2d_PrivateKey(key->get(), nullptr);
  HF_CHECK(length > 0);
  SecretBytes bytes(static_cast<std::size_t>(length));
  unsigned char* at = bytes.bytes.data();
  HF_CHECK(::i2d_PrivateKey(key->get(), &at) == length);
  return bytes;
}

Result<RingKey> load(const fs::path& file) {
  const auto secret = secret_of(file);
  if (!secret) return secret.error();
  RingKey key;
  hkdf(secret->bytes, bytes_of("secret"), key.secret.bytes);
  std::array<unsigned char, sizeof(env::KeyId)> id{};
  hkdf(secret->bytes, bytes_of("name"), id);
  for (std::size_t i = 0; i < id.size(); ++i) key.id |= env::KeyId{id[i]} << (8 * i);
  key.id = key.id == 0 || key.id == ~env::KeyId{0} ? 1 : key.id;  // these two have a meaning
  return key;
}

}  // namespace

Result<std::unique_ptr<env::KeyRing>> load_key_ring(const KeyFiles& files, bool seal) {
  std::vector<RingKey> keys;
  for (const fs::path& file : {files.current, files.previous}) {
    if (file.empty()) continue;
    auto key = load(file);
    if (!key) return std::move(key).error();
    keys.push_back(std::move(key).value());
  }
  HF_CHECK(!seal || !files.current.empty());
  return std::unique_ptr<env::KeyRing>(std::make_unique<Ring>(std::move(keys), seal));
}

}  // namespace holdfast::transport
