// What stands in certificates, for people: names, dates, and whether their signatures hold.
//
// Threads: any. Secrets: the key's kind is told, never what is in it.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "holdfast/config.h"
#include "holdfast/result.h"
#include "transport/openssl_ptr.h"

namespace holdfast::transport {

struct CertificateLook {
  std::string subject;  ///< RFC 2253 form, shortened; what is not ASCII is escaped.
  std::string issuer;
  WallTime not_before;
  WallTime not_after;
};

/// The epoch for a time that is missing or cannot be read.
[[nodiscard]] WallTime time_of(const ASN1_TIME* time);
/// RFC 2253 form of at most 120 bytes; control characters and everything beyond ASCII come out
/// escaped.
[[nodiscard]] std::string name_text(const X509_NAME* name);
[[nodiscard]] CertificateLook look_at(const X509* certificate);

/// How far signatures lead from our certificate towards a CA.
enum class ChainEnd : std::uint8_t {
  verified,        ///< To a certificate of tls.ca_file (or of the system's store).
  unknown_issuer,  ///< All hold, but who signed the last one is not at hand.
  broken,          ///< One does not hold.
};

struct CredentialLook {
  std::vector<CertificateLook> own;  ///< Ours first, then what stands behind it in the file.
  std::vector<CertificateLook> ca;   ///< Of tls.ca_file; of the system's store none are named.
  std::string key;                   ///< "EC, 256 bits"; empty: none.
  ChainEnd chain = ChainEnd::unknown_issuer;
  std::string chain_problem;  ///< OpenSSL's words where the chain is broken.
  bool out_of_order = false;  ///< A certificate of the file did not issue the one before it.
};

/// Reads CA, certificate and key as each attempt does. Errors: those of load_context()
/// (credentials.h).
[[nodiscard]] Result<CredentialLook> look_at_credentials(const TlsConfig& tls);

}  // namespace holdfast::transport
