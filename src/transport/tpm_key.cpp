// EC_KEY_METHOD is deprecated since OpenSSL 3.0, but a provider's key would take all other
// operations of a handshake along to its provider.
#define OPENSSL_SUPPRESS_DEPRECATED  // NOLINT(readability-identifier-naming): OpenSSL's name
#include "transport/tpm_key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "base/check.h"
#include "transport/pem.h"
#include "transport/token_pin.h"

namespace holdfast::transport {

namespace {

namespace fs = std::filesystem;

constexpr const char* kOfTpm = "?provider=tpm2";
constexpr std::size_t kPointMax = 256;      // an uncompressed point of any curve
constexpr std::size_t kSignatureMax = 256;  // DER, of any curve
constexpr int kSha256Bytes = 32;
constexpr int kSha384Bytes = 48;
// Response codes with the bits masked out that tell which handle, session or parameter is meant.
constexpr unsigned kNumberBits = 0xBF;
constexpr unsigned kAuthFail = 0x8E;
constexpr unsigned kHandle = 0x8B;
constexpr unsigned kBadAuth = 0xA2;
constexpr unsigned kLockout = 0x921;

struct FreeLibrary {
  void operator()(OSSL_LIB_CTX* library) const noexcept { ::OSSL_LIB_CTX_free(library); }
};
struct Unload {
  void operator()(OSSL_PROVIDER* provider) const noexcept { ::OSSL_PROVIDER_unload(provider); }
};
struct CloseStore {
  void operator()(OSSL_STORE_CTX* store) const noexcept { ::OSSL_STORE_close(store); }
};

/// The connection to the TPM, and a key there. Members go in reverse order.
struct TpmWorld {
  std::unique_ptr<OSSL_LIB_CTX, FreeLibrary> library{::OSSL_LIB_CTX_new()};
  std::unique_ptr<OSSL_PROVIDER, Unload> usual;
  std::unique_ptr<OSSL_PROVIDER, Unload> tpm;
  KeyPtr key;
};
using WorldPtr = std::shared_ptr<const TpmWorld>;

/// The first error of OpenSSL's queue, and what a TPM's response code in it means.
struct Trouble {
  int library = 0;
  unsigned response = 0;  ///< 0: the TPM has not spoken.
  std::string words;

  [[nodiscard]] bool is(unsigned number) const {
    return response == number || (response & kNumberBits) == number;
  }
};

/// The provider's errors have the response code and its words as data: "2446 tpm:session(1):…".
Trouble take_trouble() {
  Trouble trouble;
  const char* data = nullptr;
  int flags = 0;
  const unsigned long error = ::ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags);
  trouble.library = ERR_GET_LIB(error);
  if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0') {
    char* words = nullptr;
    trouble.response = static_cast<unsigned>(std::strtoul(data, &words, 10));
    trouble.words = *words == ' ' ? words + 1 : data;
  } else if (const char* reason = ::ERR_reason_error_string(error); reason != nullptr) {
    trouble.words = reason;
  }
  ::ERR_clear_error();
  return trouble;
}

// ---- an EC key of OpenSSL's own kind whose signatures come from the TPM
// --------------------------

int copy_world(CRYPTO_EX_DATA*, const CRYPTO_EX_DATA*, void** world, int, long, void*) {
  if (*world != nullptr) *world = new WorldPtr(*static_cast<WorldPtr*>(*world));
  return 1;
}
void drop_world(void*, void* world, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<WorldPtr*>(world);
}

int world_slot() {
  static const int slot = EC_KEY_get_ex_new_index(0, nullptr, nullptr, copy_world, drop_world);
  return slot;
}

const EVP_MD* digest_of(int bytes) {
  if (bytes == kSha256Bytes) return ::EVP_sha256();
  return bytes == kSha384Bytes ? ::EVP_sha384() : ::EVP_sha512();
}

int sign_in(const TpmWorld& world, const unsigned char* digest, int bytes, unsigned char* signature,
            unsigned* size) {
  EVP_PKEY_CTX* const context =
      ::EVP_PKEY_CTX_new_from_pkey(world.library.get(), world.key.get(), kOfTpm);
  if (context == nullptr) return 0;
  std::size_t length = kSignatureMax;
  const bool done =
      ::EVP_PKEY_sign_init(context) == 1 &&
      ::EVP_PKEY_CTX_set_signature_md(context, digest_of(bytes)) == 1 &&
      ::EVP_PKEY_sign(context, signature, &length, digest, static_cast<std::size_t>(bytes)) == 1;
  ::EVP_PKEY_CTX_free(context);
  *size = static_cast<unsigned>(length);
  return done ? 1 : 0;
}

const TpmWorld& world_of(const EC_KEY* key) {
  return **static_cast<WorldPtr*>(::EC_KEY_get_ex_data(key, world_slot()));
}

ECDSA_SIG* sign_parts(const unsigned char* digest, int bytes, const BIGNUM*, const BIGNUM*,
                      EC_KEY* key) {
  std::array<unsigned char, kSignatureMax> signature{};
  unsigned size = 0;
  if (sign_in(world_of(key), digest, bytes, signature.data(), &size) != 1) return nullptr;
  const unsigned char* at = signature.data();
  return ::d2i_ECDSA_SIG(nullptr, &at, size);
}

int sign_whole(int, const unsigned char* digest, int bytes, unsigned char* signature,
               unsigned* size, const BIGNUM*, const BIGNUM*, EC_KEY* key) {
  std::array<unsigned char, kSignatureMax> made{};
  if (sign_in(world_of(key), digest, bytes, made.data(), size) != 1) return 0;
  if (*size > static_cast<unsigned>(::ECDSA_size(key))) return 0;
  std::memcpy(signature, made.data(), *size);
  return 1;
}

const EC_KEY_METHOD* method() {
  static const EC_KEY_METHOD* const only = [] {
    EC_KEY_METHOD* const made = ::EC_KEY_METHOD_new(::EC_KEY_OpenSSL());
    HF_CHECK(made != nullptr);
    ::EC_KEY_METHOD_set_sign(made, sign_whole, nullptr, sign_parts);
    return made;
  }();
  return only;
}

/// Null: it is no EC key.
KeyPtr key_of(const WorldPtr& world) {
  std::array<char, 64> group{};
  std::array<unsigned char, kPointMax> point{};
  std::size_t size = 0;
  EVP_PKEY* const in_tpm = world->key.get();
  if (::EVP_PKEY_get_utf8_string_param(in_tpm, OSSL_PKEY_PARAM_GROUP_NAME, group.data(),
                                       group.size(), nullptr) != 1 ||
      ::EVP_PKEY_get_octet_string_param(in_tpm, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(),
                                        &size) != 1) {
    return nullptr;
  }
  EC_KEY* const ec = ::EC_KEY_new_by_curve_name(::OBJ_txt2nid(group.data()));
  if (ec == nullptr) return nullptr;
  KeyPtr key(::EVP_PKEY_new());
  const bool made = ::EC_KEY_oct2key(ec, point.data(), size, nullptr) == 1 &&
                    ::EC_KEY_set_method(ec, method()) == 1 &&
                    ::EC_KEY_set_ex_data(ec, world_slot(), new WorldPtr(world)) == 1 && key &&
                    ::EVP_PKEY_assign_EC_KEY(key.get(), ec) == 1;
  if (made) return key;
  ::EC_KEY_free(ec);
  return nullptr;
}

// ---- opening it ---------------------------------------------------------------------------------

int give_pin(char* into, int room, int, void* pin) {
  const std::string& text = *static_cast<const std::string*>(pin);
  if (text.empty() || text.size() >= static_cast<std::size_t>(room)) return -1;
  std::memcpy(into, text.data(), text.size());
  return static_cast<int>(text.size());
}

KeyPtr open_key(OSSL_LIB_CTX* library, const TlsConfig& tls, const BioPtr& pem, const Secret& pin) {
  static UI_METHOD* const asking = ::UI_UTIL_wrap_read_pem_callback(give_pin, 0);
  void* const answer = const_cast<std::string*>(&pin.text());  // give_pin() only reads it
  const std::unique_ptr<OSSL_STORE_CTX, CloseStore> store(
      pem ? ::OSSL_STORE_attach(pem.get(), "file", library, kOfTpm, asking, answer, nullptr,
                                nullptr, nullptr)
          : ::OSSL_STORE_open_ex(tls.key_uri.c_str(), library, kOfTpm, asking, answer, nullptr,
                                 nullptr, nullptr));
  KeyPtr key;
  while (store && !key && ::OSSL_STORE_eof(store.get()) != 1) {
    OSSL_STORE_INFO* const item = ::OSSL_STORE_load(store.get());
    if (item == nullptr) break;
    key.reset(::OSSL_STORE_INFO_get1_PKEY(item));
    ::OSSL_STORE_INFO_free(item);
  }
  return key;
}

struct Refused {
  std::mutex mutex;
  Secret pin;  ///< The password that the TPM did not take.
};
Refused& refused() {
  static Refused only;
  return only;
}

class Loading {
 public:
  Loading(const TlsConfig& tls, std::string name) : tls_(tls), name_(std::move(name)) {}

  Result<KeyPtr> load(const Secret* pem) {
    Result<Secret> pin = read_pin(tls_);
    if (!pin) return std::move(pin).error();
    const std::lock_guard lock(refused().mutex);
    if (!pin->text().empty() && pin->text() == refused().pin.text()) {
      return unusable(Errc::permission, "the TPM has refused the password in " +
                                            tls_.pin_file.string() +
                                            ", which is not tried again so that the TPM is not "
                                            "locked; put the right one there");
    }
    ::ERR_clear_error();
    auto world = std::make_shared<TpmWorld>();
    world->usual.reset(::OSSL_PROVIDER_load(world->library.get(), "default"));
    world->tpm.reset(::OSSL_PROVIDER_load(world->library.get(), "tpm2"));
    if (!world->usual || !world->tpm) return no_provider(take_trouble());
    ::ERR_clear_error();
    world->key = open_key(world->library.get(), tls_, pem ? view_of(*pem) : nullptr, *pin);
    if (!world->key) return no_key(take_trouble(), pem != nullptr);
    KeyPtr key = key_of(world);
    if (!key) {
      return unusable(Errc::unsupported,
                      "it is no EC key, and others of a TPM cannot be used; make one of P-256");
    }
    if (Status signs = try_it(*world, *pin); !signs) return std::move(signs).error();
    return key;
  }

 private:
  [[nodiscard]] Error unusable(Errc code, const std::string& problem) const {
    return Error{code, "key " + name_ + ": " + problem, 0};
  }

  [[nodiscard]] Error no_provider(const Trouble& trouble) const {
    if (trouble.response == 0) {
      return unusable(Errc::unsupported, "OpenSSL's provider tpm2 cannot be used (" +
                                             trouble.words + "); install tpm2-openssl");
    }
    return unusable(Errc::not_found,
                    "no TPM answers (" + trouble.words +
                        "); is there a /dev/tpmrm0 that this user may open (group tss), or does "
                        "TPM2OPENSSL_TCTI name another way to it?");
  }

  /// OpenSSL's store hides why a file's key could not be opened.
  [[nodiscard]] Error no_key(const Trouble& trouble, bool in_file) const {
    if (!in_file && trouble.is(kHandle)) {
      return unusable(Errc::not_found,
                      "the TPM has no key at this handle; `tpm2_getcap handles-persistent` lists "
                      "those that it has");
    }
    if (!in_file) return unusable(Errc::io, "the TPM does not give it (" + trouble.words + ")");
    return unusable(Errc::corrupt,
                    std::string("it is damaged, or of another TPM, or of this one before it was "
                                "cleared") +
                        (tls_.pin_file.empty() ? ", or needs its password (tls.pin_file)" : ""));
  }

  /// A wrong password comes out when the key is used; better now than in a handshake.
  Status try_it(const TpmWorld& world, const Secret& pin) const {
    const std::array<unsigned char, kSha256Bytes> digest{};
    std::array<unsigned char, kSignatureMax> signature{};
    unsigned size = 0;
    ::ERR_clear_error();
    if (sign_in(world, digest.data(), kSha256Bytes, signature.data(), &size) == 1) return {};
    const Trouble trouble = take_trouble();
    if (trouble.is(kAuthFail) || trouble.is(kBadAuth)) {
      refused().pin = pin.copy();
      return unusable(Errc::permission,
                      tls_.pin_file.empty()
                          ? std::string("it has a password; put that into a file and name it in "
                                        "tls.pin_file")
                          : "the TPM refuses the password in " + tls_.pin_file.string());
    }
    if (trouble.response == kLockout) {
      return unusable(Errc::permission,
                      "the TPM is locked after too many wrong passwords; wait until it lets go, "
                      "or `tpm2_dictionarylockout --clear-lockout`");
    }
    return unusable(Errc::io, "the TPM cannot sign with it (" + trouble.words + ")");
  }

  const TlsConfig& tls_;
  const std::string name_;
};

}  // namespace

bool is_tpm_key(const Secret& pem) {
  return pem.text().find("-----BEGIN TSS2 PRIVATE KEY-----") != std::string::npos;
}

Result<KeyPtr> load_tpm_key(const TlsConfig& tls, const Secret* pem, const fs::path& file) {
  return Loading(tls, pem != nullptr ? file.string() : tls.key_uri).load(pem);
}

}  // namespace holdfast::transport
