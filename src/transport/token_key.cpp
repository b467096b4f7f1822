// Engines are deprecated since OpenSSL 3.0, but Debian 12 has no provider for PKCS#11.
#define OPENSSL_SUPPRESS_DEPRECATED  // NOLINT(readability-identifier-naming): OpenSSL's name
#include "transport/token_key.h"

#include <openssl/crypto.h>
#include <openssl/engine.h>
#include <openssl/err.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "transport/tls_errors.h"
#include "transport/token_pin.h"

namespace holdfast::transport {

namespace {

// libp11 hands PKCS#11's return values on as reasons (section 2.1.3 of PKCS #11 v2.40).
constexpr int kPinIncorrect = 0xA0;
constexpr int kPinInvalid = 0xA1;
constexpr int kPinLengthRange = 0xA2;
constexpr int kPinLocked = 0xA4;

Error unusable(Errc code, const TlsConfig& tls, std::string_view problem) {
  return Error{code, "key " + tls.key_uri + ": " + std::string(problem), 0};
}

/// The engine, initialized on first use with the token's library; that of a running process cannot
/// be changed.
class Tokens {
 public:
  /// Null, with OpenSSL's errors in its queue, if there is none.
  ENGINE* engine(const std::filesystem::path& module) {
    if (engine_ != nullptr) return engine_;
    ENGINE* const found = ::ENGINE_by_id("pkcs11");
    if (found == nullptr) return nullptr;
    ::ENGINE_ctrl_cmd_string(found, "QUIET", nullptr, 1);
    const bool ready = (module.empty() ||
                        ::ENGINE_ctrl_cmd_string(found, "MODULE_PATH", module.c_str(), 0) == 1) &&
                       ::ENGINE_init(found) == 1;
    if (ready) {
      engine_ = found;
      module_ = module;
    }
    ::ENGINE_free(found);  // ENGINE_init() has taken a reference of its own.
    return engine_;
  }
  [[nodiscard]] const std::filesystem::path& module() const { return module_; }

  std::mutex mutex;
  Secret refused;  ///< The PIN that the token did not take.

 private:
  ENGINE* engine_ = nullptr;
  std::filesystem::path module_;
};

// Never destroyed: OpenSSL unloads its engines by itself when the process ends.
Tokens& tokens() {
  static Tokens* const only = new Tokens;
  return *only;
}

bool pin_was_wrong() {
  while (const unsigned long error = ::ERR_get_error()) {
    switch (ERR_GET_REASON(error)) {
      case kPinIncorrect:
      case kPinInvalid:
      case kPinLengthRange:
      case kPinLocked:
        return true;
      default:
        break;
    }
  }
  return false;
}

}  // namespace

Result<KeyPtr> load_token_key(const TlsConfig& tls) {
  Result<Secret> read = read_pin(tls);
  if (!read) return std::move(read).error();
  const std::string& pin = read->text();
  Tokens& all = tokens();
  const std::lock_guard lock(all.mutex);
  ::ERR_clear_error();
  ENGINE* const engine = all.engine(tls.pkcs11_module);
  if (engine == nullptr) {
    return unusable(Errc::unsupported, tls,
                    "OpenSSL's engine pkcs11 cannot be used (" + openssl_words() +
                        "); install libengine-pkcs11-openssl and check tls.pkcs11_module");
  }
  if (all.module() != tls.pkcs11_module) {
    return unusable(Errc::unsupported, tls, "another tls.pkcs11_module needs a restart");
  }
  if (!pin.empty() && pin == all.refused.text()) {
    return unusable(Errc::permission, tls,
                    "the token has refused the PIN in " + tls.pin_file.string() +
                        ", which is not tried again so that the token is not locked; put the "
                        "right one there");
  }
  if (!pin.empty()) ::ENGINE_ctrl_cmd_string(engine, "PIN", pin.c_str(), 0);
  KeyPtr key(::ENGINE_load_private_key(engine, tls.key_uri.c_str(), nullptr, nullptr));
  if (key) return key;
  if (pin_was_wrong()) {
    all.refused = read->copy();
    return unusable(Errc::permission, tls, "the token refuses the PIN in " + tls.pin_file.string());
  }
  return unusable(Errc::not_found, tls,
                  "no token has it, or its PIN is needed (tls.pin_file); is the token there?");
}

}  // namespace holdfast::transport
