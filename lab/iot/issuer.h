// What the services need to know and to have done about X.509 certificates. They stay free of any
// cryptographic library; whoever has one implements these two.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "holdfast/result.h"

namespace holdfast::lab::iot {

/// A field of a certificate: name and value. The name is what follows "iot:Certificate." in the
/// policy variables of AWS IoT: "Subject.CommonName", "Issuer.Organization", "SerialNumber",
/// "Subject.AlternativeName.DNSName".
using CertificateField = std::pair<std::string, std::string>;

/// What is in a certificate.
struct CertificateFacts {
  std::string id;  ///< SHA-256 of its DER form, 64 lower-case hexadecimal digits.
  WallTime not_before;
  WallTime not_after;
  std::vector<CertificateField> fields;  ///< In its order; a name may come several times.
  std::string subject;                   ///< Its name as one text, to compare.
  bool is_ca = false;                    ///< It says that it may sign others.
};

/// Reads certificates.
class CertificateReader {
 public:
  CertificateReader() = default;
  CertificateReader(const CertificateReader&) = delete;
  CertificateReader& operator=(const CertificateReader&) = delete;
  virtual ~CertificateReader() = default;

  /// The first certificate in `pem`. Fails with Errc::invalid_argument when there is none; the
  /// message says what is wrong.
  [[nodiscard]] virtual Result<CertificateFacts> read(std::string_view pem) const = 0;
  /// Whether the first certificate in `pem` was issued by the one in `ca_pem`: by name and by
  /// signature. False, too, when one of them is none.
  [[nodiscard]] virtual bool is_signed_by(std::string_view pem, std::string_view ca_pem) const = 0;
};

/// A new certificate. The keys are empty where the device made its own.
struct IssuedCertificate {
  std::string certificate_pem;
  std::string public_key_pem;
  std::string private_key_pem;
};

/// Makes certificates, as AWS IoT does with its own CA.
class CertificateIssuer {
 public:
  CertificateIssuer() = default;
  CertificateIssuer(const CertificateIssuer&) = delete;
  CertificateIssuer& operator=(const CertificateIssuer&) = delete;
  virtual ~CertificateIssuer() = default;

  /// For the key and subject of a certificate signing request. Fails with Errc::invalid_argument
  /// when the request makes no sense, is not signed by its key, or has a key that is too weak.
  [[nodiscard]] virtual Result<IssuedCertificate> issue_from_csr(WallTime now,
                                                                 std::string_view csr_pem) = 0;
  /// For a new key pair, which is returned and kept nowhere.
  [[nodiscard]] virtual Result<IssuedCertificate> issue_with_new_key(WallTime now) = 0;
};

}  // namespace holdfast::lab::iot
