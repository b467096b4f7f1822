// The lab's own certificate authority, which stands for Amazon's: makes the endpoint's certificate
// and those of devices, and reads certificates.
//
// Purpose:  keys and certificates with OpenSSL, for services that know of neither.
// Files:    a directory with ca.pem, ca.key, server.pem and server.key, all PEM; keys have mode
// 0600. Threads:  one at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/result.h"
#include "lab/iot/issuer.h"

namespace holdfast::lab::net {

class Pki : public iot::CertificateIssuer, public iot::CertificateReader {
 public:
  /// Makes what is missing in `directory`, and a new certificate of the endpoint for `names` (host
  /// names and addresses, besides localhost). Errors name the file.
  [[nodiscard]] static Result<std::unique_ptr<Pki>> open(const std::filesystem::path& directory,
                                                         const std::vector<std::string>& names);
  ~Pki() override;

  [[nodiscard]] std::string ca_file() const;
  [[nodiscard]] std::string server_chain_file() const;
  [[nodiscard]] std::string server_key_file() const;
  /// A folder with certificates of the endpoint that a device must not trust, as TlsServers wants
  /// them: expired, wrong-name, unknown-ca; and oversized-chain, which is good but long.
  [[nodiscard]] std::string fault_folder() const;

  /// Keys: RSA of at least 2048 bits, or EC on P-256, P-384 or P-521.
  [[nodiscard]] Result<iot::IssuedCertificate> issue_from_csr(WallTime now,
                                                              std::string_view csr_pem) override;
  /// RSA-2048, as AWS IoT makes them.
  [[nodiscard]] Result<iot::IssuedCertificate> issue_with_new_key(WallTime now) override;
  [[nodiscard]] Result<iot::CertificateFacts> read(std::string_view pem) const override;

 private:
  struct State;
  explicit Pki(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::lab::net
