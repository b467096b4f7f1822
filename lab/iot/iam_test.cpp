// IAM as devices meet it: roles assumed for a time, keys of users, policies, state.
#include "lab/iot/iam.h"

#include <gtest/gtest.h>

#include <string>

#include "base/calendar.h"
#include "sim/seeded_random.h"

namespace holdfast::lab::iot {
namespace {

constexpr WallTime kNow{1'700'000'000'500};
constexpr const char* kRole = "arn:aws:iam::123456789012:role/fleet";
constexpr const char* kTrust =
    R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole",)"
    R"("Principal":{"Service":["ec2.amazonaws.com","credentials.iot.amazonaws.com"]}}})";

class LabIam : public ::testing::Test {
 protected:
  std::string call(const std::string& operation, const Json& input, WallTime now = kNow) {
    EXPECT_TRUE(iam_.has_operation(operation));
    Answers out;
    const auto result = iam_.call(now, operation, input, out);
    const auto* error = std::get_if<ApiError>(&result);
    return error != nullptr ? error->type + ": " + error->message : dump(std::get<Json>(result));
  }
  Json made(const std::string& operation, const Json& input) {
    return *parse_json(call(operation, input));
  }
  void make_role(const std::string& resource = "arn:aws:iot:eu-west-1:123456789012:topic/a") {
    call("CreateRole", {{"RoleName", "fleet"}, {"AssumeRolePolicyDocument", kTrust}});
    call("PutRolePolicy",
         {{"RoleName", "fleet"}, {"PolicyName", "p"}, {"PolicyDocument", allow(resource)}});
  }
  static std::string allow(const std::string& resource) {
    return R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iot:Publish",)"
           R"("Resource":")" +
           resource + "\"}}";
  }
  AccessKey assumed(const RoleSession& session = {"c1", "pump", "big"}, WallTime now = kNow) {
    auto result = iam_.assume_role(now, kRole, session, 900);
    if (auto* key = std::get_if<AccessKey>(&result)) return *key;
    ADD_FAILURE() << std::get<ApiError>(result).message;
    return {};
  }
  std::string refusal(const std::string& arn, std::int64_t seconds = 900) {
    const auto result = iam_.assume_role(kNow, arn, {"c1", "", ""}, seconds);
    const auto* error = std::get_if<ApiError>(&result);
    return error == nullptr ? "assumed" : std::to_string(error->status) + ' ' + error->message;
  }
  bool may(const AccessKey& key, const std::string& topic) {
    return iam_.allows(key.id, "iot:Publish", "topic/" + topic, {});
  }

  sim::SeededRandom random_{1};
  Iam iam_{"eu-west-1", "123456789012", random_};
};

TEST_F(LabIam, ARoleIsAssumedForATimeWithTheSameKeysForTheSameRandom) {
  make_role();
  const AccessKey key = assumed();
  EXPECT_TRUE(key.id.starts_with("ASIA"));
  EXPECT_EQ(key.id.size(), 20U);
  EXPECT_EQ(key.secret.size(), 40U);
  EXPECT_FALSE(key.session_token.empty());
  EXPECT_EQ(iso_time(key.expires), "2023-11-14T22:28:20Z");
  EXPECT_TRUE(key.principal.starts_with("AROA"));
  EXPECT_TRUE(key.principal.ends_with(":c1"));
  const auto known = iam_.access_key(key.id);
  ASSERT_TRUE(known);
  EXPECT_EQ(known->secret, key.secret);
  EXPECT_EQ(known->expires, key.expires);
  EXPECT_NE(assumed().id, key.id);

  sim::SeededRandom same(1);
  Iam again("eu-west-1", "123456789012", same);
  Answers out;
  (void)again.call(kNow, "CreateRole",
                   {{"RoleName", "fleet"}, {"AssumeRolePolicyDocument", kTrust}}, out);
  const auto result = again.assume_role(kNow, kRole, {"c1", "pump", "big"}, 900);
  EXPECT_EQ(std::get<AccessKey>(result).secret, key.secret);
}

TEST_F(LabIam, ARoleMustExistTrustTheProviderAndLastLongEnough) {
  const std::string none = "400 Unable to assume the role, or the role to assume does not exist";
  EXPECT_EQ(refusal(kRole), none);
  make_role();
  EXPECT_EQ(refusal(kRole), "assumed");
  EXPECT_EQ(refusal("arn:aws:iam::123456789012:role/service-role/fleet"), "assumed");
  EXPECT_EQ(refusal("arn:aws:iam::999999999999:role/fleet"), none);
  EXPECT_EQ(refusal(kRole, 3601),
            "400 The requested CredentialDurationSeconds exceeds the MaxSessionDuration set for "
            "the role");
  for (const char* trust :
       {"{}", R"({"Statement":[{"Effect":"Deny"}]})", R"({"Statement":7})",
        R"({"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"}})"}) {
    call("DeleteRolePolicy", {{"RoleName", "fleet"}, {"PolicyName", "p"}});
    call("DeleteRole", {{"RoleName", "fleet"}});
    call("CreateRole", {{"RoleName", "fleet"}, {"AssumeRolePolicyDocument", trust}});
    EXPECT_EQ(refusal(kRole), none) << trust;
  }
}

TEST_F(LabIam, PoliciesKnowForWhomTheRoleWasAssumed) {
  make_role(
      "arn:aws:iot:eu-west-1:123456789012:topic/${credentials-iot:ThingTypeName}/"
      "${credentials-iot:ThingName}/${credentials-iot:AwsCertificateId}");
  const AccessKey key = assumed();
  EXPECT_TRUE(may(key, "big/pump/c1"));
  EXPECT_FALSE(may(key, "big/other/c1"));
  EXPECT_FALSE(may(assumed({"c1", "", ""}), "//c1"));  // no thing was told: no value
  EXPECT_FALSE(iam_.allows("ASIAUNKNOWN", "iot:Publish", "topic/big/pump/c1", {}));
  EXPECT_FALSE(iam_.allows(key.id, "iot:Subscribe", "topic/big/pump/c1", {}));
}

TEST_F(LabIam, VariablesOfIotPoliciesHaveNoValueAndARoleMadeAnewIsAnother) {
  make_role("arn:aws:iot:eu-west-1:123456789012:topic/${iot:ClientId}");
  const AccessKey key = assumed();
  EXPECT_FALSE(may(key, "pump"));
  call("PutRolePolicy",
       {{"RoleName", "fleet"}, {"PolicyName", "p"}, {"PolicyDocument", allow("*")}});
  EXPECT_TRUE(may(key, "pump"));
  call("DeleteRolePolicy", {{"RoleName", "fleet"}, {"PolicyName", "p"}});
  EXPECT_FALSE(may(key, "pump"));
  call("DeleteRole", {{"RoleName", "fleet"}});
  make_role("*");
  EXPECT_FALSE(may(key, "pump"));
  EXPECT_TRUE(may(assumed(), "pump"));
}

TEST_F(LabIam, KeysOfAUserLastUntilTheyAreDeleted) {
  EXPECT_EQ(call("CreateAccessKey", {{"UserName", "ada"}}), "NoSuchEntity: there is no User ada");
  call("CreateUser", {{"UserName", "ada"}});
  call("PutUserPolicy", {{"UserName", "ada"},
                         {"PolicyName", "p"},
                         {"PolicyDocument", allow("arn:aws:iot:*:*:topic/${aws:username}")}});
  const Json key = made("CreateAccessKey", {{"UserName", "ada"}})["AccessKey"];
  const std::string id = key["AccessKeyId"];
  EXPECT_TRUE(id.starts_with("AKIA"));
  EXPECT_EQ(iam_.access_key(id)->secret, key["SecretAccessKey"]);
  EXPECT_EQ(iam_.access_key(id)->session_token, "");
  EXPECT_TRUE(iam_.access_key(id)->principal.starts_with("AIDA"));
  EXPECT_TRUE(iam_.allows(id, "iot:Publish", "topic/ada", {}));
  call("CreateAccessKey", {{"UserName", "ada"}});
  EXPECT_EQ(call("CreateAccessKey", {{"UserName", "ada"}}),
            "LimitExceeded: a user has at most two access keys");
  EXPECT_EQ(made("ListAccessKeys", {{"UserName", "ada"}})["AccessKeyMetadata"].size(), 2U);
  EXPECT_EQ(call("DeleteUser", {{"UserName", "ada"}}),
            "DeleteConflict: delete its policies and access keys first");
  EXPECT_EQ(call("DeleteAccessKey", {{"UserName", "ada"}, {"AccessKeyId", id}}), "{}");
  EXPECT_FALSE(iam_.access_key(id));
  EXPECT_FALSE(iam_.allows(id, "iot:Publish", "topic/ada", {}));
}

TEST_F(LabIam, WhatIsWrongIsNamed) {
  EXPECT_EQ(call("CreateUser", {{"UserName", "a b"}}),
            "ValidationError: UserName must be 1 to 64 letters, digits or any of _+=,.@-");
  EXPECT_EQ(call("CreateUser", {{"UserName", "a"}, {"Path", "/"}}),
            "ValidationError: Path is no member here");
  EXPECT_EQ(call("CreateRole", {{"RoleName", "r"}}),
            "ValidationError: AssumeRolePolicyDocument is missing");
  EXPECT_EQ(
      call("CreateRole",
           {{"RoleName", "r"}, {"AssumeRolePolicyDocument", kTrust}, {"MaxSessionDuration", 60}}),
      "ValidationError: MaxSessionDuration must be 3600 to 43200");
  call("CreateUser", {{"UserName", "a"}});
  EXPECT_EQ(call("CreateUser", {{"UserName", "a"}}), "EntityAlreadyExists: there is a User a");
  EXPECT_EQ(
      call("PutUserPolicy", {{"UserName", "a"}, {"PolicyName", "p"}, {"PolicyDocument", "{}"}}),
      "MalformedPolicyDocument: Version must be \"2012-10-17\"");
  EXPECT_EQ(call("GetUserPolicy", {{"UserName", "a"}, {"PolicyName", "p"}}),
            "NoSuchEntity: there is no policy p");
}

TEST_F(LabIam, EndedKeysAreForgottenAfterADayAndTheFirstToEndWhenThereAreTooMany) {
  make_role();
  const AccessKey old = assumed();
  const WallTime later{old.expires.ms + Iam::kRememberedMs - 1};
  (void)assumed({}, later);
  EXPECT_TRUE(iam_.access_key(old.id));
  (void)assumed({}, {later.ms + 1});
  EXPECT_FALSE(iam_.access_key(old.id));
  std::string second;
  for (std::size_t i = 0; i < Iam::kSessions; ++i) {
    const std::string id = assumed({}, {later.ms + 1000 * static_cast<std::int64_t>(i)}).id;
    if (i == 2) second = id;
  }
  EXPECT_TRUE(iam_.access_key(second));
  (void)assumed({}, {later.ms + 100'000'000});
  EXPECT_FALSE(iam_.access_key(second));
}

TEST_F(LabIam, StateIsReadBackAndBrokenStateIsNamed) {
  make_role("*");
  const AccessKey key = assumed();
  call("CreateUser", {{"UserName", "ada"}});
  call("CreateAccessKey", {{"UserName", "ada"}});
  Iam again("eu-west-1", "123456789012", random_);
  ASSERT_TRUE(again.load(iam_.save()));
  EXPECT_EQ(again.save(), iam_.save());
  EXPECT_EQ(again.access_key(key.id)->session_token, key.session_token);
  EXPECT_TRUE(again.allows(key.id, "iot:Publish", "topic/a", {}));
  Json broken = iam_.save();
  broken["keys"][key.id].erase("secret");
  const Status refused = again.load(broken);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "keys." + key.id + ".secret is missing");
  EXPECT_EQ(again.save(), iam_.save());
}

}  // namespace
}  // namespace holdfast::lab::iot
