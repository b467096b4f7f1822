// Certificates for tests: "CERT id common-name" in place of PEM.
#pragma once

#include <sstream>
#include <string>
#include <string_view>

#include "lab/iot/issuer.h"

namespace holdfast::lab::iot {

class FakeReader final : public CertificateReader {
 public:
  [[nodiscard]] Result<CertificateFacts> read(std::string_view pem) const override {
    std::istringstream words{std::string(pem)};
    std::string kind;
    CertificateFacts facts;
    std::string common_name;
    if (!(words >> kind >> facts.id >> common_name) || kind != "CERT") {
      return Error{Errc::invalid_argument, "no certificate in it"};
    }
    facts.not_before = {1'000'000'000'000};
    facts.not_after = {2'000'000'000'000};
    facts.fields = {{"Subject.CommonName", common_name}};
    return facts;
  }
};

class FakeIssuer final : public CertificateIssuer {
 public:
  [[nodiscard]] Result<IssuedCertificate> issue_from_csr(WallTime /*now*/,
                                                         std::string_view csr_pem) override {
    if (!csr_pem.starts_with("CSR ")) return Error{Errc::invalid_argument, "no request in it"};
    return IssuedCertificate{next(std::string(csr_pem.substr(4))), {}, {}};
  }
  [[nodiscard]] Result<IssuedCertificate> issue_with_new_key(WallTime /*now*/) override {
    return IssuedCertificate{next("AWS"), "PUBLIC", "PRIVATE"};
  }

 private:
  std::string next(const std::string& common_name) {
    return "CERT made" + std::to_string(++made_) + ' ' + common_name;
  }
  int made_ = 0;
};

}  // namespace holdfast::lab::iot
