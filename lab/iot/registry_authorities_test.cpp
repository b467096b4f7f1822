// CA certificates: the proof of the key, the two modes, what they sign, and their state on disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lab/iot/registry_fixture.h"

namespace holdfast::lab::iot {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kTemplate = R"({"Resources":{"certificate":{
    "Type":"AWS::IoT::Certificate",
    "Properties":{"CertificateId":{"Ref":"AWS::IoT::Certificate::Id"}}}}})";

class Templates final : public RegistryPeers {
 public:
  void groups_changed(WallTime /*now*/, std::string_view /*thing*/, Answers& /*out*/) override {}
  [[nodiscard]] bool has_template(std::string_view name) const override { return name == "jitp"; }
};

class LabAuthorities : public RegistryFixture {
 protected:
  LabAuthorities() { registry_.set_peers(&templates_); }

  std::string code() {
    return parsed(call("GetRegistrationCode", Json::object()))["registrationCode"];
  }
  /// The input that registers "CA ca1 acme", with its key proven.
  Json proven() {
    return {{"caCertificate", "CA ca1 acme"},
            {"verificationCertificate", "CERT proof " + code() + " ca1"},
            {"setAsActive", true}};
  }
  std::string with(const std::string& member, const Json& value) {
    Json input = proven();
    input[member] = value;
    return call("RegisterCACertificate", input);
  }
  Json shown() { return parsed(call("DescribeCACertificate", Json{{"certificateId", "ca1"}})); }

  Templates templates_;
};

TEST_F(LabAuthorities, AreRegisteredWithProofOfTheirKey) {
  EXPECT_EQ(code().size(), 64U);
  EXPECT_EQ(code(), code());
  EXPECT_EQ(call("RegisterCACertificate", proven()),
            R"({"certificateArn":"arn:aws:iot:eu-central-1:123456789012:cacert/ca1",)"
            R"("certificateId":"ca1"})");
  const Json description = shown()["certificateDescription"];
  EXPECT_EQ(description["status"], "ACTIVE");
  EXPECT_EQ(description["autoRegistrationStatus"], "DISABLE");
  EXPECT_EQ(description["certificateMode"], "DEFAULT");
  EXPECT_EQ(description["certificatePem"], "CA ca1 acme");
  EXPECT_THAT(call("RegisterCACertificate", proven()),
              StartsWith("ResourceAlreadyExistsException 409"));
  EXPECT_THAT(call("ListCACertificates", Json::object()), HasSubstr(R"("certificateId":"ca1")"));
}

TEST_F(LabAuthorities, WithoutProofTheyAreRefused) {
  EXPECT_EQ(with("verificationCertificate", "CERT proof other ca1"),
            "RegistrationCodeValidationException 400: The common name of the verification "
            "certificate is not the registration code");
  EXPECT_EQ(with("verificationCertificate", "CERT proof " + code() + " ca2"),
            "CertificateValidationException 400: The verification certificate is not signed by the "
            "CA certificate");
  EXPECT_EQ(with("verificationCertificate", ""),
            "InvalidRequestException 400: verificationCertificate must not be empty in the mode "
            "DEFAULT");
  EXPECT_EQ(with("caCertificate", "CERT c1 device"),
            "CertificateValidationException 400: caCertificate is not the certificate of a CA");
  EXPECT_THAT(with("caCertificate", "junk"), StartsWith("CertificateValidationException 400"));
  now_ = {2'000'000'000'000};
  EXPECT_EQ(call("RegisterCACertificate", proven()),
            "CertificateValidationException 400: caCertificate is not valid now");
}

TEST_F(LabAuthorities, InTheModeSniOnlyThereIsNoProofAndCertificatesHaveThatModeToo) {
  EXPECT_EQ(with("certificateMode", "SNI_ONLY"),
            "InvalidRequestException 400: verificationCertificate must be empty in the mode "
            "SNI_ONLY");
  EXPECT_THAT(with("certificateMode", "OTHER"), HasSubstr("certificateMode must be"));
  must("RegisterCACertificate",
       {{"caCertificate", "CA ca1 acme"}, {"certificateMode", "SNI_ONLY"}, {"setAsActive", true}});
  EXPECT_EQ(shown()["certificateDescription"]["certificateMode"], "SNI_ONLY");
  must("RegisterCertificate", {{"certificatePem", "CERT c1 device ca1"}});
  const Json device = parsed(call("DescribeCertificate", Json{{"certificateId", "c1"}}));
  EXPECT_EQ(device["certificateDescription"]["certificateMode"], "SNI_ONLY");
  EXPECT_EQ(device["certificateDescription"]["caCertificateId"], "ca1");
  EXPECT_EQ(device["certificateDescription"]["status"], "INACTIVE");
}

TEST_F(LabAuthorities, TenMayHaveTheSameSubject) {
  const auto register_one = [&](const std::string& id, const std::string& subject) {
    return call("RegisterCACertificate", Json{{"caCertificate", "CA " + id + " " + subject},
                                              {"certificateMode", "SNI_ONLY"}});
  };
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(register_one("ca" + std::to_string(i), "acme"), StartsWith("{"));
  }
  EXPECT_EQ(register_one("more", "acme"),
            "LimitExceededException 410: There are 10 CA certificates with the subject CN=acme");
  EXPECT_THAT(register_one("more", "other"), StartsWith("{"));
}

TEST_F(LabAuthorities, RegisterCertificatesOfDevicesWhileActive) {
  const Json device = {{"certificatePem", "CERT c1 device ca1"}, {"status", "ACTIVE"}};
  EXPECT_EQ(call("RegisterCertificate", device),
            "CertificateValidationException 400: No registered CA certificate signed the "
            "certificate");
  must("RegisterCACertificate", proven());
  must("UpdateCACertificate", {{"certificateId", "ca1"}, {"newStatus", "INACTIVE"}});
  EXPECT_EQ(call("RegisterCertificate", device),
            "CertificateStateException 406: CA certificate ca1 is not ACTIVE");
  must("UpdateCACertificate", {{"certificateId", "ca1"}, {"newStatus", "ACTIVE"}});
  must("RegisterCertificate", device);
  EXPECT_THAT(call("RegisterCertificate", device),
              StartsWith("ResourceAlreadyExistsException 409"));
  EXPECT_EQ(registry_.certificate("c1")->status, CertificateStatus::active);
  EXPECT_THAT(call("ListCertificatesByCA", Json{{"caCertificateId", "ca1"}}),
              HasSubstr(R"("certificateId":"c1")"));
  EXPECT_THAT(call("RegisterCertificate", Json{{"certificatePem", "CERT c2 device ca1"},
                                               {"caCertificatePem", "CA ca2 other"}}),
              StartsWith("CertificateValidationException 400"));
}

TEST_F(LabAuthorities, HaveARegistrationConfigWithATemplateOrTheNameOfOne) {
  EXPECT_EQ(with("registrationConfig", Json::object()),
            "InvalidRequestException 400: registrationConfig must have templateBody or "
            "templateName");
  EXPECT_THAT(
      with("registrationConfig", {{"templateBody", "{}"}}),
      StartsWith("InvalidRequestException 400: registrationConfig.templateBody is refused"));
  EXPECT_EQ(with("registrationConfig", {{"templateName", "none"}}),
            "ResourceNotFoundException 404: Provisioning template none of the type JITP not found");
  EXPECT_THAT(with("registrationConfig", {{"templateBody", kTemplate}, {"roleArn", "r"}}),
              StartsWith("{"));
  EXPECT_EQ(shown()["registrationConfig"]["roleArn"], "r");
  must("UpdateCACertificate", {{"certificateId", "ca1"},
                               {"newAutoRegistrationStatus", "ENABLE"},
                               {"registrationConfig", {{"templateName", "jitp"}}}});
  EXPECT_EQ(dump(shown()["registrationConfig"]), R"({"templateName":"jitp"})");
  EXPECT_EQ(shown()["certificateDescription"]["autoRegistrationStatus"], "ENABLE");
  EXPECT_THAT(call("ListCACertificates", Json{{"templateName", "jitp"}}), HasSubstr("ca1"));
  EXPECT_EQ(call("ListCACertificates", Json{{"templateName", "x"}}), R"({"certificates":[]})");
  must("UpdateCACertificate", {{"certificateId", "ca1"}, {"removeAutoRegistration", true}});
  EXPECT_FALSE(shown().contains("registrationConfig"));
  EXPECT_EQ(shown()["certificateDescription"]["autoRegistrationStatus"], "DISABLE");
  EXPECT_THAT(call("UpdateCACertificate", Json{{"certificateId", "ca1"}, {"newStatus", "ON"}}),
              HasSubstr("newStatus must be ACTIVE or INACTIVE"));
}

TEST_F(LabAuthorities, AreDeletedWhenInactiveAndTheirDevicesStay) {
  must("RegisterCACertificate", proven());
  must("RegisterCertificate", {{"certificatePem", "CERT c1 device ca1"}, {"setAsActive", true}});
  const Json which = {{"certificateId", "ca1"}};
  EXPECT_EQ(call("DeleteCACertificate", which),
            "CertificateStateException 406: CA certificate must be deactivated (not ACTIVE) before "
            "deletion");
  must("UpdateCACertificate", {{"certificateId", "ca1"}, {"newStatus", "INACTIVE"}});
  must("DeleteCACertificate", which);
  EXPECT_EQ(call("DeleteCACertificate", which),
            "ResourceNotFoundException 404: CA certificate ca1 not found");
  EXPECT_EQ(registry_.certificate("c1")->status, CertificateStatus::active);
}

TEST_F(LabAuthorities, StateComesBackAsItWasAndAWrongOneIsRefused) {
  Json input = proven();
  input["registrationConfig"] = {{"templateBody", kTemplate}};
  must("RegisterCACertificate", input);
  must("RegisterCertificate", {{"certificatePem", "CERT c1 device ca1"}});
  const Json good = registry_.save();
  Registry again({}, reader_, issuer_, random_);
  const Status loaded = again.load(good);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(again.save(), good);
  EXPECT_EQ(again.authority_of("CERT c2 device ca1"), "ca1");
  const auto complaint = [&](const char* at, const Json& value) {
    Json broken = good;
    broken[Json::json_pointer(at)] = value;
    const Status status = again.load(broken);
    return status ? std::string("none") : status.error().message;
  };
  EXPECT_EQ(complaint("/authorities/ca1/pem", "junk"), "authorities.ca1.pem is no certificate");
  EXPECT_EQ(complaint("/authorities/ca1/pem", "CA ca2 x"),
            "authorities.ca1.pem is another certificate");
  EXPECT_EQ(complaint("/authorities/ca1/active", 1),
            "authorities.ca1.active must be true or false");
  EXPECT_EQ(complaint("/authorities/ca1/registration", 1),
            "authorities.ca1.registration must be an object or null");
  EXPECT_EQ(complaint("/registration_code", 1), "registration_code must be a string");
}

}  // namespace
}  // namespace holdfast::lab::iot
