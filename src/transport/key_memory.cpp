#include "transport/key_memory.h"

#include <openssl/crypto.h>

#include "transport/tls_errors.h"

namespace holdfast::transport {

Status lock_key_memory() {
  constexpr std::size_t kSmallestPart = 32;
  const int made = ::CRYPTO_secure_malloc_init(kKeyMemory, kSmallestPart);
  if (made == 1) return {};
  if (made == 0) {
    return Error{Errc::internal, "no memory can be set aside for private keys: " + openssl_words(),
                 0};
  }
  return Error{
      Errc::permission,
      "the memory for private keys cannot be locked, so they may be swapped out; raise the "
      "limit (ulimit -l, LimitMEMLOCK=) to 64 KiB",
      0};
}

}  // namespace holdfast::transport
