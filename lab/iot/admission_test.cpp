// Just-in-time registration and provisioning, on virtual time: what is registered, published and
// provisioned at a device's first connections, and whom the door lets in.
#include "lab/iot/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lab/iot/registry_fixture.h"

namespace holdfast::lab::iot {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Verdict = Admission::Verdict;

constexpr const char* kBody = R"({
  "Parameters": {"AWS::IoT::Certificate::CommonName": {"Type": "String"},
                 "AWS::IoT::Certificate::Id": {"Type": "String"}},
  "Resources": {
    "thing": {"Type": "AWS::IoT::Thing", "Properties": {
      "ThingName": {"Ref": "AWS::IoT::Certificate::CommonName"},
      "AttributePayload": {"version": "v1"}, "ThingTypeName": "pump", "ThingGroups": ["plant"]}},
    "certificate": {"Type": "AWS::IoT::Certificate", "Properties": {
      "CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "ACTIVE"}},
    "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument":
      "POLICY"}}}})";

constexpr const char* kPolicy =
    R"({\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",)"
    R"(\"Action\":\"iot:Connect\",\"Resource\":\"*\"}})";

std::string template_body() {
  std::string body = kBody;
  return body.replace(body.find("POLICY"), 6, kPolicy);
}

class LabAdmission : public RegistryFixture, public RegistryPeers {
 protected:
  LabAdmission() { registry_.set_peers(this); }
  void groups_changed(WallTime /*now*/, std::string_view /*thing*/, Answers& /*out*/) override {}
  [[nodiscard]] bool has_template(std::string_view name) const override {
    return provisioning_.has_just_in_time(name);
  }

  /// Registers the CA "ca1", which devices are registered by.
  void add_ca(const Json& more = Json::object()) {
    Json input = {{"caCertificate", "CA ca1 acme"},
                  {"certificateMode", "SNI_ONLY"},
                  {"setAsActive", true},
                  {"allowAutoRegistration", true}};
    input.update(more);
    must("RegisterCACertificate", input);
  }
  Verdict look(const std::string& pem = kPem) {
    return admission_.look(now_, {parsed_id(pem), pem, "localhost"});
  }
  /// What the door says of a connection; "in": it came in.
  std::string connect(const std::string& pem = kPem, const std::string& server_name = "localhost") {
    answers_ = {};
    return admission_.turn_away(now_, {parsed_id(pem), pem, server_name}, answers_).value_or("in");
  }
  static std::string parsed_id(const std::string& pem) { return pem.substr(5, 2); }
  CertificateStatus status() { return registry_.certificate("c1")->status; }
  void set_status(const std::string& name) {
    must("UpdateCertificate", {{"certificateId", "c1"}, {"newStatus", name}});
  }
  Json event() {
    EXPECT_EQ(answers_.all.size(), 1U);
    return answers_.all.empty() ? Json() : parsed(answers_.all[0].payload);
  }
  void add_template_needs() {
    must("CreateThingType", {{"thingTypeName", "pump"}});
    must("CreateThingGroup", {{"thingGroupName", "plant"}});
  }

  static constexpr const char* kPem = "CERT c1 pump-7 ca1";
  Provisioning provisioning_{{}, registry_, issuer_, nullptr, random_};
  Admission admission_{reader_, registry_, provisioning_};
};

TEST_F(LabAdmission, AnUnknownCertificateOfAnUnknownCaStaysOutside) {
  EXPECT_EQ(look(), Verdict::unknown);
  EXPECT_EQ(connect(), "the certificate is not ACTIVE");
  EXPECT_EQ(registry_.certificate("c1"), nullptr);
  EXPECT_TRUE(answers_.all.empty());
}

TEST_F(LabAdmission, TheFirstConnectionRegistersPublishesAndEnds) {
  add_ca();
  EXPECT_EQ(look(), Verdict::fine);
  EXPECT_EQ(registry_.certificate("c1"), nullptr) << "the handshake alone registers nothing";
  EXPECT_EQ(connect(), "registered just in time: PENDING_ACTIVATION");
  EXPECT_EQ(status(), CertificateStatus::pending_activation);
  EXPECT_TRUE(registry_.certificate("c1")->sni_only);
  EXPECT_EQ(answers_.all[0].topic, "$aws/events/certificates/registered/ca1");
  EXPECT_EQ(answers_.all[0].to, Answer::To::broker);
  EXPECT_EQ(dump(event()),
            R"({"certificateId":"c1","caCertificateId":"ca1","timestamp":1700000000000,)"
            R"("certificateStatus":"PENDING_ACTIVATION","awsAccountId":"123456789012",)"
            R"("certificateRegistrationTimestamp":"1700000000000"})");
}

TEST_F(LabAdmission, WhileItIsPendingEachConnectionPublishesAgainAndThenItComesIn) {
  add_ca();
  connect();
  now_.ms += 5000;
  EXPECT_EQ(look(), Verdict::fine);
  EXPECT_EQ(connect(), "registered just in time: PENDING_ACTIVATION");
  EXPECT_EQ(event()["timestamp"], 1'700'000'005'000);
  EXPECT_EQ(event()["certificateRegistrationTimestamp"], "1700000000000");
  set_status("ACTIVE");
  EXPECT_EQ(look(), Verdict::fine);
  EXPECT_EQ(connect(), "in");
  EXPECT_TRUE(answers_.all.empty());
  set_status("REVOKED");
  EXPECT_EQ(look(), Verdict::inactive);
  EXPECT_EQ(connect(), "the certificate is not ACTIVE");
}

TEST_F(LabAdmission, ACaThatIsInactiveOrDoesNotAllowItRegistersNobody) {
  add_ca({{"allowAutoRegistration", false}});
  EXPECT_EQ(look(), Verdict::unknown);
  const auto update = [&](const char* member, const char* value) {
    must("UpdateCACertificate", {{"certificateId", "ca1"}, {member, value}});
  };
  update("newAutoRegistrationStatus", "ENABLE");
  EXPECT_EQ(look(), Verdict::fine);
  update("newStatus", "INACTIVE");
  EXPECT_EQ(look(), Verdict::unknown);
  EXPECT_EQ(look("CERT c1 pump-7"), Verdict::unknown);
}

TEST_F(LabAdmission, AnExpiredCertificateIsNotRegistered) {
  add_ca();
  now_ = {2'000'000'000'000};
  EXPECT_EQ(look(), Verdict::expired);
}

TEST_F(LabAdmission, WithoutSniOnlyTheModeDefaultComesIn) {
  add_ca();
  EXPECT_THAT(connect(kPem, ""), HasSubstr("without SNI"));
  EXPECT_EQ(registry_.certificate("c1"), nullptr);
  connect();
  set_status("ACTIVE");
  EXPECT_THAT(connect(kPem, ""), HasSubstr("without SNI"));
  must("CreateKeysAndCertificate", {{"setAsActive", true}});
  EXPECT_EQ(admission_.turn_away(now_, {"made1", "CERT made1 AWS", ""}, answers_), std::nullopt);
}

TEST_F(LabAdmission, ATemplateOfTheCaProvisionsAtOnceButTheFirstConnectionEndsAllTheSame) {
  add_template_needs();
  add_ca({{"registrationConfig", {{"templateBody", template_body()}, {"roleArn", "r"}}}});
  EXPECT_EQ(connect(), "provisioned just in time");
  EXPECT_EQ(event()["certificateStatus"], "PENDING_ACTIVATION");
  EXPECT_EQ(status(), CertificateStatus::active);
  EXPECT_EQ(registry_.thing_of("c1", "pump-7"), "pump-7");
  EXPECT_EQ(registry_.thing("pump-7")->type, "pump");
  EXPECT_EQ(registry_.thing("pump-7")->attributes.at("version"), "v1");
  EXPECT_THAT(*registry_.things_in("plant"), ElementsAre("pump-7"));
  EXPECT_TRUE(registry_.allows({1, "pump-7", "c1"}, "iot:Connect", "client/pump-7", {}).allowed());
  EXPECT_EQ(connect(), "in");
  EXPECT_EQ(connect("CERT c2 pump-8 ca1"), "provisioned just in time") << "with the same policy";
  EXPECT_EQ(parsed(call("ListPolicies", Json::object()))["policies"].size(), 1U);
}

TEST_F(LabAdmission, ATemplateCanBeNamedAndIsTriedAgainUntilItWorks) {
  const auto make = [&](const char* type) {
    const ApiResult made = provisioning_.call(now_, "CreateProvisioningTemplate",
                                              {{"templateName", type},
                                               {"templateBody", template_body()},
                                               {"enabled", true},
                                               {"type", type}},
                                              answers_);
    EXPECT_TRUE(std::holds_alternative<Json>(made));
  };
  make("JITP");
  make("FLEET_PROVISIONING");
  EXPECT_THAT(call("RegisterCACertificate",
                   Json{{"caCertificate", "CA ca1 acme"},
                        {"certificateMode", "SNI_ONLY"},
                        {"registrationConfig", {{"templateName", "FLEET_PROVISIONING"}}}}),
              HasSubstr("ResourceNotFoundException 404"));
  add_ca({{"registrationConfig", {{"templateName", "JITP"}}}});
  EXPECT_EQ(connect(), "not provisioned just in time: Thing type pump not found");
  EXPECT_EQ(status(), CertificateStatus::pending_activation);
  add_template_needs();
  EXPECT_EQ(connect(), "provisioned just in time");
  EXPECT_EQ(connect(), "in");
}

TEST_F(LabAdmission, ACertificateWithoutAFieldThatTheTemplateDeclaresIsNotProvisioned) {
  add_template_needs();
  Json body = parsed(template_body());
  body["Parameters"]["AWS::IoT::Certificate::Country"] = {{"Type", "String"}};
  add_ca({{"registrationConfig", {{"templateBody", dump(body)}}}});
  EXPECT_EQ(connect(),
            "not provisioned just in time: the certificate has no AWS::IoT::Certificate::Country");
  EXPECT_EQ(registry_.thing("pump-7"), nullptr);
}

}  // namespace
}  // namespace holdfast::lab::iot
