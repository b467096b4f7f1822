// Certificates for tests, in place of PEM: "CERT id common-name", with a third word "CERT id
// common-name ca-id" when a CA signed it, and "CA id common-name" for that CA.
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
    if (!(words >> kind >> facts.id >> common_name) || (kind != "CERT" && kind != "CA")) {
      return Error{Errc::invalid_argument, "no certificate in it"};
    }
    facts.subject = "CN=" + common_name;
    facts.is_ca = kind == "CA";
    facts.not_before = {1'000'000'000'000};
    facts.not_after = {2'000'000'000'000};
    facts.fields = {{"Subject.CommonName", common_name}};
    return facts;
  }
  [[nodiscard]] bool is_signed_by(std::string_view pem, std::string_view ca_pem) const override {
    std::istringstream words{std::string(pem)};
    std::string kind;
    std::string id;
    std::string common_name;
    std::string signer;
    const auto ca = read(ca_pem);
    return words >> kind >> id >> common_name >> signer && ca && ca->id == signer;
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
