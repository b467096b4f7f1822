// Fleet provisioning: from claim to identity, refusals, hooks, tokens that end, and saved state.
#include "lab/iot/provisioning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "lab/iot/cbor.h"
#include "lab/iot/fake_certificates.h"
#include "lab/iot/registry.h"
#include "lab/iot/service_fixture.h"
#include "sim/seeded_random.h"

namespace holdfast::lab::iot {
namespace {

using ::testing::HasSubstr;

constexpr const char* kBody = R"({
  "Parameters": {"SerialNumber": {"Type": "String"}, "Site": {"Type": "String", "Default": "x"}},
  "Resources": {
    "certificate": {"Type": "AWS::IoT::Certificate", "Properties": {
      "CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"}},
    "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": "device"}},
    "thing": {"Type": "AWS::IoT::Thing", "OverrideSettings": {"AttributePayload": "MERGE"},
      "Properties": {
        "ThingName": {"Fn::Join": ["", ["pump-", {"Ref": "SerialNumber"}]]},
        "AttributePayload": {"site": {"Ref": "Site"}}}}},
  "DeviceConfiguration": {"url": {"Fn::Join": ["/", ["a", {"Ref": "Site"}]]}}})";

class TestHook final : public ProvisioningHook {
 public:
  [[nodiscard]] Result<Json> ask(const Json& input) override {
    asked = input;
    return answer;
  }
  Json asked;
  Result<Json> answer = Json::object();
};

class LabProvisioning : public ::testing::Test {
 protected:
  LabProvisioning() {
    const Json made =
        order("CreatePolicy",
              {{"policyName", "device"},
               {"policyDocument",
                R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iot:Connect",)"
                R"("Resource":"*"}})"}});
    EXPECT_FALSE(made.contains("error")) << dump(made);
    make("T", kBody);
  }
  Json order(const std::string& operation, const Json& input) {
    auto result = registry_.call(now_, operation, input, out_);
    if (const auto* error = std::get_if<ApiError>(&result)) return Json{{"error", error->type}};
    return std::get<Json>(result);
  }
  Json call(const std::string& operation, const Json& input) {
    EXPECT_TRUE(provisioning_.has_operation(operation));
    auto result = provisioning_.call(now_, operation, input, out_);
    if (const auto* error = std::get_if<ApiError>(&result)) {
      return Json{{"error", error->type}, {"message", error->message}};
    }
    return std::get<Json>(result);
  }
  Json make(const std::string& name, const std::string& body) {
    return call("CreateProvisioningTemplate",
                {{"templateName", name}, {"templateBody", body}, {"enabled", true}});
  }
  /// The answer to a request, which must come alone and to the requester; `end_` is how its topic
  /// goes on.
  Json ask(const std::string& topic, const std::string& payload) {
    EXPECT_EQ(provisioning_.claims(topic), Claim::only) << topic;
    Answers out;
    provisioning_.on_request(now_, {1, "claimer", "claim-id"}, message_to(topic, payload), out);
    if (out.all.size() != 1) return Json{{"answers", out.all.size()}};
    const Answer& answer = out.all.front();
    EXPECT_EQ(answer.to, Answer::To::requester);
    EXPECT_TRUE(answer.topic.starts_with(topic + '/'));
    end_ = answer.topic.substr(topic.size());
    auto value = topic.ends_with("cbor") ? parse_cbor(answer.payload) : parse_json(answer.payload);
    return value ? *value : Json();
  }
  std::string token() {
    const Json made = ask("$aws/certificates/create/json", "");
    EXPECT_EQ(end_, "/accepted");
    id_ = made.value("certificateId", "");
    return made.value("certificateOwnershipToken", "");
  }
  Json provision(const std::string& with, const Json& parameters = {{"SerialNumber", "7"}},
                 const std::string& used = "T") {
    return ask("$aws/provisioning-templates/" + used + "/provision/json",
               dump({{"certificateOwnershipToken", with}, {"parameters", parameters}}));
  }
  std::string code(const Json& answer) {
    EXPECT_EQ(end_, "/rejected");
    EXPECT_TRUE(answer.contains("errorMessage"));
    return std::to_string(answer.value("statusCode", 0)) + ' ' + answer.value("errorCode", "");
  }
  [[nodiscard]] std::map<std::string, std::string> attributes() const {
    const Thing* found = registry_.thing("pump-7");
    return found == nullptr ? std::map<std::string, std::string>() : found->attributes;
  }
  [[nodiscard]] CertificateStatus status() const {
    const Certificate* found = registry_.certificate(id_);
    return found == nullptr ? CertificateStatus::revoked : found->status;
  }

  WallTime now_{1'700'000'000'000};
  Answers out_;
  sim::SeededRandom random_{3};
  FakeReader reader_;
  FakeIssuer issuer_;
  TestHook hook_;
  Registry registry_{{}, reader_, issuer_, random_};
  Provisioning provisioning_{{}, registry_, issuer_, &hook_, random_};
  std::string end_;
  std::string id_;
};

TEST_F(LabProvisioning, AClaimBecomesAThingWithAnActiveCertificate) {
  const std::string owned = token();
  EXPECT_EQ(status(), CertificateStatus::pending_activation);
  const Json answer = provision(owned);
  EXPECT_EQ(end_, "/accepted");
  EXPECT_EQ(dump(answer), R"({"deviceConfiguration":{"url":"a/x"},"thingName":"pump-7"})");
  EXPECT_EQ(status(), CertificateStatus::active);
  EXPECT_EQ(registry_.thing_of(id_, "pump-7"), "pump-7");
  EXPECT_EQ(attributes()["site"], "x");
  EXPECT_EQ(
      order("ListAttachedPolicies", {{"target", registry_.arn("cert/" + id_)}})["policies"].size(),
      1U);
}

TEST_F(LabProvisioning, AKeyOfTheDeviceNeverComesBack) {
  const Json made =
      ask("$aws/certificates/create-from-csr/json", R"({"certificateSigningRequest":"CSR pump"})");
  EXPECT_EQ(end_, "/accepted");
  EXPECT_FALSE(made.contains("privateKey"));
  EXPECT_TRUE(ask("$aws/certificates/create/json", "").contains("privateKey"));
}

TEST_F(LabProvisioning, SpeaksCborToo) {
  const Json made = ask("$aws/certificates/create/cbor", "");
  ASSERT_EQ(end_, "/accepted");
  const Json answer = ask("$aws/provisioning-templates/T/provision/cbor",
                          to_cbor({{"certificateOwnershipToken", made["certificateOwnershipToken"]},
                                   {"parameters", {{"SerialNumber", "8"}}}}));
  EXPECT_EQ(answer.value("thingName", ""), "pump-8");
}

TEST_F(LabProvisioning, ATokenIsForOneUseAndOneHour) {
  const std::string used = token();
  provision(used);
  EXPECT_EQ(code(provision(used)), "400 InvalidCertificateOwnershipToken");
  const std::string old = token();
  now_.ms += 3'600'000;
  EXPECT_EQ(provisioning_.wake(), now_);
  EXPECT_EQ(code(provision(old)), "400 InvalidCertificateOwnershipToken");
  EXPECT_EQ(registry_.certificate(id_), nullptr);
  EXPECT_EQ(provisioning_.wake().ms, Service::kNoTime);
}

TEST_F(LabProvisioning, ARefusedRegistrationMayBeTriedAgainWithTheSameToken) {
  const std::string owned = token();
  EXPECT_EQ(code(provision(owned, Json::object())), "400 InvalidParameters");
  EXPECT_EQ(status(), CertificateStatus::pending_activation);
  provision(owned);
  EXPECT_EQ(end_, "/accepted");
}

TEST_F(LabProvisioning, ParametersOfTheServiceAreNotTheDevicesToGive) {
  provision(token(), {{"SerialNumber", "7"}, {"AWS::IoT::Certificate::Id", "another"}});
  EXPECT_EQ(end_, "/accepted");
  EXPECT_EQ(status(), CertificateStatus::active);
}

TEST_F(LabProvisioning, AThingComesIntoTheGroupsOfTheTemplate) {
  for (const char* group : {"pumps", "others"}) {
    order("CreateThingGroup", {{"thingGroupName", group}});
  }
  order("CreateThing", {{"thingName", "pump-7"}});
  order("AddThingToThingGroup", {{"thingName", "pump-7"}, {"thingGroupName", "others"}});
  std::string body = kBody;
  body.replace(body.find("\"AttributePayload\": {"), 19,
               "\"ThingGroups\": [\"pumps\"], \"AttributePayload\":");
  make("Grouping", body);
  provision(token(), {{"SerialNumber", "7"}}, "Grouping");
  EXPECT_THAT(*registry_.things_in("pumps"), ::testing::IsEmpty()) << "one that exists is kept";
  provision(token(), {{"SerialNumber", "8"}}, "Grouping");
  EXPECT_THAT(*registry_.things_in("pumps"), ::testing::ElementsAre("pump-8"));
  body.replace(body.find("\"OverrideSettings\": {"), 21,
               "\"OverrideSettings\": {\"ThingGroups\": \"REPLACE\", ");
  make("Regrouping", body);
  provision(token(), {{"SerialNumber", "7"}}, "Regrouping");
  EXPECT_EQ(end_, "/accepted");
  EXPECT_THAT(*registry_.things_in("pumps"), ::testing::ElementsAre("pump-7", "pump-8"));
  EXPECT_THAT(*registry_.things_in("others"), ::testing::IsEmpty());
}

TEST_F(LabProvisioning, APolicyCanBeMadeByTheTemplate) {
  std::string body = kBody;
  body.replace(
      body.find("\"PolicyName\": \"device\""), 22,
      R"("PolicyName": "made", "PolicyDocument": "{\"Version\":\"2012-10-17\",)"
      R"(\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"*\"}}")");
  make("Making", body);
  provision(token(), {{"SerialNumber", "7"}}, "Making");
  EXPECT_EQ(end_, "/accepted");
  EXPECT_TRUE(registry_.allows({1, "any", id_}, "iot:Publish", "topic/a", {}).allowed());
  provision(token(), {{"SerialNumber", "8"}}, "Making");
  EXPECT_EQ(end_, "/accepted");
}

TEST_F(LabProvisioning, AJustInTimeTemplateServesNoFleet) {
  call("CreateProvisioningTemplate",
       {{"templateName", "J"}, {"templateBody", kBody}, {"enabled", true}, {"type", "JITP"}});
  EXPECT_EQ(call("DescribeProvisioningTemplate", {{"templateName", "J"}})["type"], "JITP");
  EXPECT_EQ(code(provision(token(), {{"SerialNumber", "7"}}, "J")), "400 InvalidTemplate");
  EXPECT_EQ(call("CreateProvisioningClaim", {{"templateName", "J"}})["error"],
            "InvalidRequestException");
  EXPECT_EQ(call("CreateProvisioningTemplate",
                 {{"templateName", "K"}, {"templateBody", kBody}, {"type", "OTHER"}})["error"],
            "InvalidRequestException");
}

TEST_F(LabProvisioning, WhatAThingHadIsKeptAsTheTemplateSays) {
  order("CreateThing",
        {{"thingName", "pump-7"}, {"attributePayload", {{"attributes", {{"old", "1"}}}}}});
  provision(token());
  EXPECT_EQ(attributes().size(), 2U);
  std::string body = kBody;
  body.replace(body.find("MERGE"), 5, "REPLACE");
  make("Replacing", body);
  provision(token(), {{"SerialNumber", "7"}, {"Site", "y"}}, "Replacing");
  EXPECT_EQ(attributes(), (std::map<std::string, std::string>{{"site", "y"}}));
  body.replace(body.find("REPLACE"), 7, "DO_NOTHING");
  make("Keeping", body);
  provision(token(), {{"SerialNumber", "7"}, {"Site", "z"}}, "Keeping");
  EXPECT_EQ(attributes()["site"], "y");
  body.replace(body.find("DO_NOTHING"), 10, "FAIL");
  make("Failing", body);
  EXPECT_EQ(code(provision(token(), {{"SerialNumber", "7"}}, "Failing")),
            "409 ResourceAlreadyExists");
}

TEST_F(LabProvisioning, AFailureAtTheRegistryLeavesNothingActive) {
  std::string body = kBody;
  body.replace(body.find("\"device\""), 8, "\"none\"");
  make("NoPolicy", body);
  EXPECT_EQ(code(provision(token(), {{"SerialNumber", "7"}}, "NoPolicy")),
            "404 ResourceNotFoundException");
  EXPECT_EQ(status(), CertificateStatus::pending_activation);
}

TEST_F(LabProvisioning, HooksDecide) {
  const auto set = [&](const Json& hook) {
    return call("SetProvisioningHook", {{"templateName", "T"}, {"hook", hook}});
  };
  set({{"kind", "deny"}});
  EXPECT_EQ(code(provision(token())), "403 AccessDenied");
  set({{"kind", "allowList"}, {"parameter", "SerialNumber"}, {"values", {"5", "7"}}});
  EXPECT_EQ(code(provision(token(), {{"SerialNumber", "6"}})), "403 AccessDenied");
  provision(token());
  EXPECT_EQ(end_, "/accepted");
  set({{"kind", "program"}});
  EXPECT_EQ(code(provision(token())), "403 AccessDenied");
  hook_.answer = Error{Errc::timeout, "5 s"};
  EXPECT_EQ(code(provision(token())), "403 AccessDenied");
  hook_.answer = Json{{"allowProvisioning", true}, {"parameterOverrides", {{"Site", "h"}}}};
  EXPECT_EQ(provision(token())["deviceConfiguration"].value("url", ""), "a/h");
  EXPECT_EQ(hook_.asked.value("claimCertificateId", ""), "claim-id");
  EXPECT_EQ(hook_.asked.value("certificateId", ""), id_);
  set(nullptr);
  provision(token());
  EXPECT_EQ(end_, "/accepted");
  EXPECT_EQ(set({{"kind", "perhaps"}})["error"], "InvalidRequestException");
}

TEST_F(LabProvisioning, RequestsWithoutSenseAreRejected) {
  const std::string provision_topic = "$aws/provisioning-templates/T/provision/json";
  for (const char* payload : {"", "{", "[]", "7", "\xff"}) {
    EXPECT_EQ(code(ask(provision_topic, payload)), "400 InvalidPayload") << payload;
  }
  EXPECT_EQ(code(ask("$aws/provisioning-templates/T/provision/cbor", "\xff")),
            "400 InvalidPayload");
  const Json empty = ask(provision_topic, "{}");
  EXPECT_EQ(code(empty), "400 InvalidCertificateOwnershipToken");
  EXPECT_EQ(empty["errorMessage"], "Certificate ownership token cannot be empty.");
  EXPECT_EQ(code(provision(token(), {{"SerialNumber", 7}})), "400 InvalidParameters");
  EXPECT_EQ(code(provision(token(), {{"SerialNumber", "7"}}, "None")), "400 InvalidTemplate");
  EXPECT_EQ(code(ask("$aws/certificates/create-from-csr/json", "{}")),
            "400 InvalidCertificateSigningRequest");
  EXPECT_EQ(code(ask("$aws/certificates/create-from-csr/json",
                     R"({"certificateSigningRequest":"junk"})")),
            "400 InvalidCertificateSigningRequest");
}

TEST_F(LabProvisioning, ClaimsNoOtherTopics) {
  for (const char* topic :
       {"$aws/certificates/create/json/accepted", "$aws/certificates/create/xml", "json",
        "$aws/certificates/delete/json", "$aws/provisioning-templates//provision/json",
        "$aws/provisioning-templates/provision/json",
        "$aws/provisioning-templates/a/b/provision/json", ""}) {
    EXPECT_EQ(provisioning_.claims(topic), Claim::none) << topic;
  }
}

TEST_F(LabProvisioning, AFleetThatWakesTogetherIsThrottled) {
  for (int i = 0; i < 10; ++i) token();
  EXPECT_EQ(code(ask("$aws/certificates/create/json", "")), "429 ThrottlingException");
  now_.ms += 1000;
  token();
  ProvisioningSettings unlimited;
  unlimited.creates_per_second = 0;
  provisioning_.configure(unlimited);
  for (int i = 0; i < 50; ++i) token();
}

TEST_F(LabProvisioning, AClaimOfFiveMinutesCanProvisionAndIsThenGone) {
  const Json claim = call("CreateProvisioningClaim", {{"templateName", "T"}});
  id_ = claim.value("certificateId", "");
  EXPECT_EQ(status(), CertificateStatus::active);
  EXPECT_TRUE(claim["keyPair"].contains("PrivateKey"));
  const auto may = [&](const std::string& resource) {
    return registry_.allows({1, "any", id_}, "iot:Publish", resource, {}).allowed();
  };
  EXPECT_TRUE(may("topic/$aws/provisioning-templates/T/provision/json"));
  EXPECT_FALSE(may("topic/$aws/provisioning-templates/U/provision/json"));
  EXPECT_FALSE(may("topic/pumps/7"));
  call("CreateProvisioningClaim", {{"templateName", "T"}});  // its policy is there already
  now_.ms += Provisioning::kClaimMs;
  Answers out;
  provisioning_.on_time(now_, out);
  EXPECT_EQ(registry_.certificate(id_), nullptr);
  EXPECT_THAT(out.disconnected, ::testing::Contains(id_));
}

TEST_F(LabProvisioning, TemplatesAreMadeShownAndDeleted) {
  EXPECT_EQ(make("T", kBody)["error"], "ResourceAlreadyExistsException");
  EXPECT_EQ(make("no good", kBody)["error"], "InvalidRequestException");
  EXPECT_EQ(call("DescribeProvisioningTemplate", {{"templateName", "T"}})["templateBody"], kBody);
  EXPECT_EQ(call("ListProvisioningTemplates", Json::object())["templates"].size(), 1U);
  call("DeleteProvisioningTemplate", {{"templateName", "T"}});
  for (const char* operation : {"DescribeProvisioningTemplate", "DeleteProvisioningTemplate",
                                "CreateProvisioningClaim", "SetProvisioningHook"}) {
    Json input = {{"templateName", "T"}};
    EXPECT_EQ(call(operation, input)["error"], "ResourceNotFoundException") << operation;
  }
}

TEST_F(LabProvisioning, ATemplateThatIsWrongIsRefusedWithTheMember) {
  const auto complaint = [&](const std::string& what, const std::string& by) {
    std::string body = kBody;
    body.replace(body.find(what), what.size(), by);
    return make("Wrong", body).value("message", "");
  };
  EXPECT_THAT(complaint("AWS::IoT::Thing", "AWS::IoT::Sing"),
              HasSubstr("Resources.thing.Type is unknown"));
  EXPECT_THAT(complaint("\"Ref\": \"SerialNumber\"", "\"Ref\": \"Serial\""),
              HasSubstr("unknown parameter Serial"));
  EXPECT_THAT(complaint("\"Active\"", "\"On\""), HasSubstr("Status must be"));
  EXPECT_THAT(complaint("MERGE", "MIX"), HasSubstr("AttributePayload is unknown"));
  EXPECT_THAT(complaint("Fn::Join", "Fn::Split"), HasSubstr("must be a string, Ref or Fn::Join"));
  EXPECT_THAT(complaint("\"String\"", "\"Number\""), HasSubstr("Type must be String"));
  EXPECT_THAT(complaint("AWS::IoT::Certificate\"", "AWS::IoT::Thing\""), HasSubstr("Resources"));
  EXPECT_THAT(make("Wrong", "[]").value("message", ""), HasSubstr("is no object"));
  EXPECT_THAT(make("Wrong", "{").value("message", ""), HasSubstr("no JSON"));
}

TEST_F(LabProvisioning, StateComesBackAndBrokenStateIsRefused) {
  const std::string owned = token();
  call("SetProvisioningHook", {{"templateName", "T"}, {"hook", {{"kind", "allow"}}}});
  call("CreateProvisioningClaim", {{"templateName", "T"}});
  const Json saved = provisioning_.save();
  Provisioning again({}, registry_, issuer_, nullptr, random_);
  ASSERT_TRUE(again.load(saved));
  EXPECT_EQ(dump(again.save()), dump(saved));
  EXPECT_EQ(again.wake(), provisioning_.wake());
  for (const char* section : {"templates", "tokens", "claims"}) {
    Json broken = saved;
    broken[section].front() = 7;
    EXPECT_FALSE(again.load(broken)) << section;
    broken.erase(section);
    EXPECT_FALSE(again.load(broken)) << section;
  }
  EXPECT_EQ(dump(again.save()), dump(saved));
}

}  // namespace
}  // namespace holdfast::lab::iot
