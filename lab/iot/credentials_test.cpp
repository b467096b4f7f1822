// The credential provider and role aliases: who gets keys, and what all others are told.
#include "lab/iot/credentials.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "lab/iot/fake_certificates.h"
#include "lab/iot/registry_access.h"
#include "sim/seeded_random.h"

namespace holdfast::lab::iot {
namespace {

constexpr WallTime kNow{1'700'000'000'000};
constexpr const char* kRole = "arn:aws:iam::123456789012:role/fleet";

class LabCredentials : public ::testing::Test {
 protected:
  LabCredentials() {
    call(registry_, "RegisterCertificateWithoutCA",
         {{"certificatePem", "CERT c1 pump"}, {"status", "ACTIVE"}});
    call(registry_, "CreateThingType", {{"thingTypeName", "big"}});
    call(registry_, "CreateThing", {{"thingName", "pump"}, {"thingTypeName", "big"}});
    call(registry_, "CreateThing", {{"thingName", "other"}});
    call(registry_, "AttachThingPrincipal", {{"thingName", "pump"}, {"principal", cert_}});
    let("arn:aws:iot:eu-central-1:123456789012:rolealias/fleet");
    call(registry_, "AttachPolicy", {{"policyName", "p"}, {"target", cert_}});
    call(aliases_, "CreateRoleAlias",
         {{"roleAlias", "fleet"}, {"roleArn", kRole}, {"credentialDurationSeconds", 900}});
    call(iam_, "CreateRole",
         {{"RoleName", "fleet"},
          {"AssumeRolePolicyDocument",
           R"({"Statement":{"Effect":"Allow","Action":"sts:AssumeRole",)"
           R"("Principal":{"Service":"credentials.iot.amazonaws.com"}}})"}});
  }
  static std::string call(Service& service, const std::string& operation, const Json& input) {
    EXPECT_TRUE(service.has_operation(operation));
    Answers out;
    const auto result = service.call(kNow, operation, input, out);
    const auto* error = std::get_if<ApiError>(&result);
    return error != nullptr ? error->type + ": " + error->message : dump(std::get<Json>(result));
  }
  std::string on_alias(const std::string& operation, const Json& input) {
    return call(aliases_, operation, input);
  }
  void let(const std::string& resource) {
    const Json document = {{"Version", "2012-10-17"},
                           {"Statement",
                            {{"Effect", "Allow"},
                             {"Action", "iot:AssumeRoleWithCertificate"},
                             {"Resource", resource}}}};
    call(registry_, "CreatePolicy", {{"policyName", "p"}, {"policyDocument", dump(document)}});
  }
  HttpAnswer ask(const std::string& target, const std::string& thing = "",
                 const std::string& principal = "c1") {
    HttpQuestion question{"GET", target, {}, {}, principal};
    if (!thing.empty()) question.headers = {{"X-Amzn-IoT-ThingName", thing}};
    return provider_.answer(BootTime(std::chrono::hours(1)), kNow, question);
  }
  std::string said(const std::string& target, const std::string& thing = "",
                   const std::string& principal = "c1") {
    const HttpAnswer answer = ask(target, thing, principal);
    if (answer.status == 200) return "200";
    return std::to_string(answer.status) + ' ' + *header_of(answer.headers, "x-amzn-ErrorType") +
           ' ' + answer.body;
  }

  std::string cert_ = "arn:aws:iot:eu-central-1:123456789012:cert/c1";
  sim::SeededRandom random_{1};
  FakeReader reader_;
  FakeIssuer issuer_;
  Registry registry_{{"eu-central-1", {}}, reader_, issuer_, random_};
  RegistryAccess access_{registry_, nullptr};
  RoleAliases aliases_{"eu-central-1", "123456789012"};
  Iam iam_{"eu-central-1", "123456789012", random_};
  Switches switches_;
  CredentialProvider provider_{{registry_, access_, aliases_, iam_, switches_}};
};

TEST_F(LabCredentials, ADeviceGetsKeysThatIamKnows) {
  const HttpAnswer answer = ask("/role-aliases/fleet/credentials", "pump");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const Json keys = (*parse_json(answer.body))["credentials"];
  EXPECT_EQ(keys.size(), 4U);
  EXPECT_EQ(keys["expiration"], "2023-11-14T22:28:20Z");
  const auto known = iam_.access_key(keys["accessKeyId"].get<std::string>());
  ASSERT_TRUE(known);
  EXPECT_EQ(keys["secretAccessKey"], known->secret);
  EXPECT_EQ(keys["sessionToken"], known->session_token);
  EXPECT_EQ(iam_.save()["keys"][known->id]["thingType"], "big");
  EXPECT_EQ(said("/role-aliases/fleet/credentials"), "200");  // the name is optional
  switches_.assumed_seconds = 20;
  EXPECT_EQ((*parse_json(ask("/role-aliases/fleet/credentials").body))["credentials"]["expiration"],
            "2023-11-14T22:13:40Z");
}

TEST_F(LabCredentials, RefusalsComeInTheOrderOfTheService) {
  const std::string denied = "403 AccessDeniedException ";
  EXPECT_EQ(said("/role-aliases/fleet/credentials", "other"),
            denied + R"({"message":"Invalid thing name passed"})");
  EXPECT_EQ(said("/role-aliases/fleet/credentials", "nobody"),
            denied + R"({"message":"Invalid thing name passed"})");
  EXPECT_EQ(said("/role-aliases/other/credentials", "pump"),
            denied + R"({"message":"Access Denied"})");
  EXPECT_EQ(said("/role-aliases/fleet/credentials", "pump", ""),
            denied + R"({"message":"Certificate is invalid on this endpoint"})");
  call(registry_, "DetachPolicy", {{"policyName", "p"}, {"target", cert_}});
  EXPECT_EQ(said("/role-aliases/fleet/credentials", "pump"),
            denied + R"({"message":"Access Denied"})");
  call(registry_, "AttachPolicy", {{"policyName", "p"}, {"target", cert_}});
  call(aliases_, "UpdateRoleAlias", {{"roleAlias", "fleet"}, {"credentialDurationSeconds", 7200}});
  EXPECT_EQ(said("/role-aliases/fleet/credentials"),
            "400 InvalidRequestException {\"message\":\"The requested CredentialDurationSeconds "
            "exceeds the MaxSessionDuration set for the role\"}");
  call(iam_, "DeleteRole", {{"RoleName", "fleet"}});
  EXPECT_EQ(said("/role-aliases/fleet/credentials"),
            "400 InvalidRequestException {\"message\":\"Unable to assume the role, or the role to "
            "assume does not exist\"}");
  call(aliases_, "DeleteRoleAlias", {{"roleAlias", "fleet"}});
  EXPECT_EQ(said("/role-aliases/fleet/credentials"),
            R"(404 ResourceNotFoundException {"message":"Role alias does not exist"})");
}

TEST_F(LabCredentials, OtherPathsAndMethodsAreNone) {
  EXPECT_TRUE(CredentialProvider::claims("/role-aliases/x"));
  EXPECT_FALSE(CredentialProvider::claims("/topics/role-aliases"));
  EXPECT_EQ(ask("/role-aliases/fleet").status, 404);
  EXPECT_EQ(ask("/role-aliases/credentials").status, 404);
  EXPECT_EQ(ask("/role-aliases/%zz/credentials").status, 404);
  EXPECT_EQ(
      provider_.answer({}, kNow, {"POST", "/role-aliases/fleet/credentials", {}, {}, "c1"}).status,
      405);
}

TEST_F(LabCredentials, AFleetThatAsksAtOnceIsThrottled) {
  switches_.assume_role_per_second = 3;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(said("/role-aliases/fleet/credentials"), "200");
  EXPECT_EQ(said("/role-aliases/fleet/credentials"),
            R"(429 ThrottlingException {"message":"Rate exceeded"})");
}

TEST_F(LabCredentials, TheOperationsOfRoleAliases) {
  const std::string reference =
      R"({"roleAlias":"b","roleAliasArn":"arn:aws:iot:eu-central-1:123456789012:rolealias/b"})";
  EXPECT_EQ(on_alias("CreateRoleAlias", {{"roleAlias", "b"}, {"roleArn", kRole}}), reference);
  EXPECT_EQ(on_alias("CreateRoleAlias", {{"roleAlias", "b"}, {"roleArn", kRole}}),
            "ResourceAlreadyExistsException: there is a role alias b");
  EXPECT_EQ(
      on_alias("UpdateRoleAlias", {{"roleAlias", "b"}, {"roleArn", std::string(kRole) + "2"}}),
      reference);
  const Json described = *parse_json(on_alias("DescribeRoleAlias", {{"roleAlias", "b"}}));
  EXPECT_EQ(described["roleAliasDescription"]["roleArn"], std::string(kRole) + "2");
  EXPECT_EQ(described["roleAliasDescription"]["credentialDurationSeconds"], 3600);
  EXPECT_EQ(on_alias("ListRoleAliases", {{"ascendingOrder", false}}),
            R"({"roleAliases":["fleet","b"]})");
  EXPECT_EQ(on_alias("ListRoleAliases", {{"pageSize", 1}}),
            R"({"roleAliases":["b"],"nextMarker":"1"})");
  EXPECT_EQ(on_alias("ListRoleAliases", {{"pageSize", 1}, {"marker", "1"}}),
            R"({"roleAliases":["fleet"]})");
  EXPECT_EQ(on_alias("DeleteRoleAlias", {{"roleAlias", "b"}}), "{}");
  for (const char* operation : {"DescribeRoleAlias", "UpdateRoleAlias", "DeleteRoleAlias"}) {
    EXPECT_EQ(on_alias(operation, {{"roleAlias", "b"}}),
              "ResourceNotFoundException: there is no role alias b");
  }
}

TEST_F(LabCredentials, WhatIsWrongWithARoleAliasIsNamed) {
  EXPECT_EQ(on_alias("CreateRoleAlias", {{"roleAlias", "a b"}, {"roleArn", kRole}}),
            "InvalidRequestException: roleAlias must be 1 to 128 letters, digits or any of _=,@-");
  EXPECT_EQ(
      on_alias("CreateRoleAlias", {{"roleAlias", "a"}, {"roleArn", "arn:aws:iam::1:user/longer"}}),
      "InvalidRequestException: roleArn must be the ARN of a role, "
      "arn:aws:iam::ACCOUNT:role/NAME");
  EXPECT_EQ(
      on_alias("UpdateRoleAlias", {{"roleAlias", "fleet"}, {"credentialDurationSeconds", 899}}),
      "InvalidRequestException: credentialDurationSeconds must be 900 to 43200");
  RoleAliases again("eu-central-1", "123456789012");
  ASSERT_TRUE(again.load(aliases_.save()));
  EXPECT_EQ(again.save(), aliases_.save());
  Json broken = aliases_.save();
  broken["fleet"].erase("roleArn");
  EXPECT_EQ(again.load(broken).error().message, "fleet.roleArn is missing");
}

}  // namespace
}  // namespace holdfast::lab::iot
