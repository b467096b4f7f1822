// OpenSSL's errors as verdicts.
#pragma once

#include <string>

#include "base/time.h"
#include "env/engine.h"

namespace holdfast::transport {

/// The words of the oldest error in OpenSSL's queue, such as "certificate verify failed"; empties
/// the queue.
[[nodiscard]] std::string openssl_words();

/// When this program was built. A clock that shows an earlier time is wrong.
[[nodiscard]] WallTime build_time() noexcept;

/// What is known about a TLS failure when it happens.
struct TlsTrouble {
  unsigned long error = 0;    ///< From OpenSSL's queue, 0 if none.
  long verify_result = 0;     ///< X509_V_…
  std::string certificate;    ///< Subject and issuer of the certificate that failed to verify.
  std::string expected_name;  ///< What the server's certificate should be for.
  bool client_asked = false;  ///< The server has asked for our certificate.
  bool handshaking = true;
  bool ended = false;  ///< The peer closed without a word.
  int os_error = 0;
  WallTime now;  ///< This device's clock.
};
[[nodiscard]] env::Failure tls_failure(const TlsTrouble& trouble);

}  // namespace holdfast::transport
