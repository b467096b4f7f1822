// The registry: its API, who may do what, and its state on disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lab/iot/registry_fixture.h"

namespace holdfast::lab::iot {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LabRegistry : public RegistryFixture {};

TEST_F(LabRegistry, ThingsAreCreatedDescribedAndDeleted) {
  add_pump();
  const Json thing = parsed(call("DescribeThing", Json{{"thingName", "pump-17"}}));
  EXPECT_EQ(thing["thingArn"], "arn:aws:iot:eu-central-1:123456789012:thing/pump-17");
  EXPECT_EQ(thing["thingTypeName"], "pump");
  EXPECT_EQ(thing["defaultClientId"], "pump-17");
  EXPECT_EQ(thing["attributes"]["site"], "north");
  EXPECT_EQ(thing["version"], 1);
  EXPECT_EQ(thing["thingId"].get<std::string>().size(), 36U);
  EXPECT_EQ(parsed(call("ListThings", Json::object()))["things"].size(), 1U);
  EXPECT_EQ(call("DeleteThing", Json{{"thingName", "pump-17"}}),
            "InvalidRequestException 400: Thing pump-17 is still attached to certificate c1");
  must("DetachThingPrincipal", {{"thingName", "pump-17"}, {"principal", cert("c1")}});
  must("DeleteThing", {{"thingName", "pump-17"}});
  EXPECT_EQ(call("DescribeThing", Json{{"thingName", "pump-17"}}),
            "ResourceNotFoundException 404: Thing pump-17 not found");
  EXPECT_FALSE(registry_.has_thing("pump-17"));
  must("DeleteThing", {{"thingName", "pump-17"}});
}

TEST_F(LabRegistry, CreatingTheSameThingAgainIsFineAndAnotherOfItsNameIsNot) {
  add_pump();
  const std::string same = R"({"thingName":"pump-17","thingTypeName":"pump",)"
                           R"("attributePayload":{"attributes":{"site":"north"}}})";
  EXPECT_THAT(call("CreateThing", same), HasSubstr("thingId"));
  EXPECT_EQ(call("CreateThing", std::string(R"({"thingName":"pump-17"})")),
            "ResourceAlreadyExistsException 409: Thing pump-17 already exists in account with "
            "different properties");
}

TEST_F(LabRegistry, UpdatesMergeOrReplaceAttributes) {
  add_pump();
  const auto attributes = [&] {
    return dump(parsed(call("DescribeThing", Json{{"thingName", "pump-17"}}))["attributes"]);
  };
  call("UpdateThing", std::string(R"({"thingName":"pump-17","attributePayload":)"
                                  R"({"merge":true,"attributes":{"floor":"2"}}})"));
  EXPECT_EQ(attributes(), R"({"floor":"2","site":"north"})");
  call("UpdateThing", std::string(R"({"thingName":"pump-17","attributePayload":)"
                                  R"({"merge":true,"attributes":{"site":""}}})"));
  EXPECT_EQ(attributes(), R"({"floor":"2"})");
  call("UpdateThing",
       std::string(R"({"thingName":"pump-17","attributePayload":{"attributes":{"a":"b"}}})"));
  EXPECT_EQ(attributes(), R"({"a":"b"})");
  EXPECT_EQ(registry_.thing("pump-17")->version, 4);
  EXPECT_EQ(call("UpdateThing", std::string(R"({"thingName":"pump-17","expectedVersion":3})")),
            "VersionConflictException 409: Thing pump-17 has version 4");
  must("UpdateThing", {{"thingName", "pump-17"}, {"removeThingType", true}});
  EXPECT_EQ(registry_.thing("pump-17")->type, "");
  EXPECT_EQ(call("UpdateThing", std::string(R"({"thingName":"none"})")),
            "ResourceNotFoundException 404: Thing none not found");
}

TEST_F(LabRegistry, RefusesInputThatMakesNoSense) {
  EXPECT_EQ(call("CreateThing", std::string("[]")),
            "InvalidRequestException 400: input must be an object");
  EXPECT_EQ(call("CreateThing", std::string("{}")),
            "InvalidRequestException 400: thingName is missing");
  EXPECT_EQ(call("CreateThing", std::string(R"({"thingName":"a/b"})")),
            "InvalidRequestException 400: thingName must be 1 to 128 letters, digits or any of "
            ":_-");
  EXPECT_EQ(call("CreateThing", std::string(R"({"thingName":"a","colour":1})")),
            "InvalidRequestException 400: colour is no member here");
  EXPECT_EQ(call("CreateThing",
                 std::string(R"({"thingName":"a","attributePayload":{"attributes":{"x":1}}})")),
            "InvalidRequestException 400: attributePayload.attributes.x must be a string");
  EXPECT_EQ(call("AttachPolicy", std::string(R"({"policyName":"p","target":"cert/c1"})")),
            "InvalidRequestException 400: target must be the ARN of a certificate, "
            "arn:aws:iot:eu-central-1:123456789012:cert/ID");
  EXPECT_EQ(call("Explode", std::string("{}")),
            "UnknownOperationException 404: no operation Explode");
  EXPECT_FALSE(registry_.has_operation("Explode"));
  EXPECT_TRUE(registry_.has_operation("ListPrincipalThings"));
  EXPECT_EQ(registry_.revision(), 0U);
}

TEST_F(LabRegistry, PoliciesHaveVersionsOfWhichTheDefaultCounts) {
  add_pump();
  EXPECT_TRUE(connects("pump-17").allowed());
  const std::string deny = policy("Deny", "iot:Connect", "client/*");
  must("CreatePolicyVersion", {{"policyName", "pumps"}, {"policyDocument", deny}});
  EXPECT_TRUE(connects("pump-17").allowed());
  must("SetDefaultPolicyVersion", {{"policyName", "pumps"}, {"policyVersionId", "2"}});
  EXPECT_EQ(to_string(connects("pump-17")), "denied by statement 0 of policy pumps");
  const Json shown = parsed(call("GetPolicy", Json{{"policyName", "pumps"}}));
  EXPECT_EQ(shown["defaultVersionId"], "2");
  EXPECT_EQ(shown["policyDocument"], deny);
  EXPECT_EQ(
      parsed(call("ListPolicyVersions", Json{{"policyName", "pumps"}}))["policyVersions"].size(),
      2U);
  EXPECT_THAT(call("DeletePolicyVersion", Json{{"policyName", "pumps"}, {"policyVersionId", "2"}}),
              HasSubstr("DeleteConflictException 409"));
  must("CreatePolicyVersion", {{"policyName", "pumps"},
                               {"policyDocument", policy("Allow", "iot:Connect", "client/pump-17")},
                               {"setAsDefault", true}});
  EXPECT_TRUE(connects("pump-17").allowed());
  for (int i = 4; i <= 5; ++i) {
    must("CreatePolicyVersion", {{"policyName", "pumps"}, {"policyDocument", deny}});
  }
  EXPECT_THAT(call("CreatePolicyVersion", Json{{"policyName", "pumps"}, {"policyDocument", deny}}),
              HasSubstr("VersionsLimitExceededException 409"));
  must("DeletePolicyVersion", {{"policyName", "pumps"}, {"policyVersionId", "5"}});
  EXPECT_THAT(call("CreatePolicyVersion", Json{{"policyName", "pumps"}, {"policyDocument", deny}}),
              HasSubstr(R"("policyVersionId":"6")"));
}

TEST_F(LabRegistry, PoliciesAreRefusedWithTheMemberThatIsWrong) {
  EXPECT_EQ(call("CreatePolicy", std::string(R"({"policyName":"p","policyDocument":"{}"})")),
            "MalformedPolicyException 400: Version must be \"2012-10-17\"");
  add_pump();
  EXPECT_EQ(
      call("CreatePolicyVersion", std::string(R"({"policyName":"pumps","policyDocument":"x"})")),
      "MalformedPolicyException 400: no JSON at byte 1");
  EXPECT_THAT(call("CreatePolicy", Json{{"policyName", "pumps"},
                                        {"policyDocument", policy("Allow", "iot:*", "*")}}),
              HasSubstr("ResourceAlreadyExistsException 409"));
  EXPECT_THAT(call("CreatePolicyVersion", Json{{"policyName", "none"}, {"policyDocument", "{}"}}),
              HasSubstr("ResourceNotFoundException 404"));
}

TEST_F(LabRegistry, PoliciesAreDeletedOnlyWhenNobodyUsesThem) {
  add_pump();
  EXPECT_THAT(call("DeletePolicy", Json{{"policyName", "pumps"}}),
              HasSubstr("DeleteConflictException 409"));
  must("DetachPolicy", {{"policyName", "pumps"}, {"target", cert("c1")}});
  EXPECT_EQ(call("ListAttachedPolicies", Json{{"target", cert("c1")}}), R"({"policies":[]})");
  EXPECT_FALSE(connects("pump-17").allowed());
  must("CreatePolicyVersion",
       {{"policyName", "pumps"}, {"policyDocument", policy("Allow", "iot:Connect", "*")}});
  EXPECT_THAT(call("DeletePolicy", Json{{"policyName", "pumps"}}),
              HasSubstr("DeleteConflictException 409"));
  must("DeletePolicyVersion", {{"policyName", "pumps"}, {"policyVersionId", 2}});
  must("DeletePolicy", {{"policyName", "pumps"}});
  EXPECT_EQ(call("ListPolicies", Json::object()), R"({"policies":[]})");
}

TEST_F(LabRegistry, ACertificateHasAtMostTenPolicies) {
  add_pump();
  for (int i = 0; i < 10; ++i) {
    const std::string name = "p" + std::to_string(i);
    must("CreatePolicy",
         {{"policyName", name}, {"policyDocument", policy("Allow", "iot:Connect", "client/x")}});
    const std::string said =
        call("AttachPolicy", Json{{"policyName", name}, {"target", cert("c1")}});
    EXPECT_THAT(said, HasSubstr(i < 9 ? "{}" : "LimitExceededException 410"));
  }
  must("AttachPolicy", {{"policyName", "p3"}, {"target", cert("c1")}});  // attached already
  EXPECT_EQ(parsed(call("ListAttachedPolicies", Json{{"target", cert("c1")}}))["policies"].size(),
            10U);
}

TEST_F(LabRegistry, CertificatesAreRegisteredDescribedAndDeleted) {
  add_pump();
  const Json described = parsed(call("DescribeCertificate", Json{{"certificateId", "c1"}}));
  EXPECT_EQ(dump(described["certificateDescription"]),
            R"({"certificateArn":"arn:aws:iot:eu-central-1:123456789012:cert/c1",)"
            R"("certificateId":"c1","status":"ACTIVE","certificateMode":"SNI_ONLY",)"
            R"("creationDate":1700000000.0,"certificatePem":"CERT c1 pump-17",)"
            R"("ownedBy":"123456789012","lastModifiedDate":1700000000.0,)"
            R"("validity":{"notBefore":1000000000.0,"notAfter":2000000000.0}})");
  EXPECT_THAT(call("RegisterCertificateWithoutCA", Json{{"certificatePem", "CERT c1 pump-17"}}),
              HasSubstr("ResourceAlreadyExistsException 409"));
  EXPECT_EQ(call("RegisterCertificateWithoutCA", Json{{"certificatePem", "junk"}}),
            "CertificateValidationException 400: no certificate in it");
  EXPECT_EQ(call("DeleteCertificate", Json{{"certificateId", "c1"}}),
            "CertificateStateException 406: Certificate must be deactivated (not ACTIVE) before "
            "deletion");
  must("UpdateCertificate", {{"certificateId", "c1"}, {"newStatus", "INACTIVE"}});
  EXPECT_THAT(call("DeleteCertificate", Json{{"certificateId", "c1"}, {"forceDelete", true}}),
              HasSubstr("DeleteConflictException 409: Things must be detached"));
  must("DetachThingPrincipal", {{"thingName", "pump-17"}, {"principal", cert("c1")}});
  EXPECT_THAT(call("DeleteCertificate", Json{{"certificateId", "c1"}}),
              HasSubstr("DeleteConflictException 409: Certificate policies must be detached"));
  must("DeleteCertificate", {{"certificateId", "c1"}, {"forceDelete", true}});
  EXPECT_EQ(call("ListCertificates", Json::object()), R"({"certificates":[]})");
  EXPECT_EQ(registry_.certificate("c1"), nullptr);
  must("DeletePolicy", {{"policyName", "pumps"}});
}

TEST_F(LabRegistry, CertificatesAreIssued) {
  const Json keys =
      parsed(call("CreateKeysAndCertificate", std::string(R"({"setAsActive":true})")));
  EXPECT_EQ(keys["certificateId"], "made1");
  EXPECT_EQ(keys["keyPair"]["PrivateKey"], "PRIVATE");
  EXPECT_EQ(registry_.certificate("made1")->status, CertificateStatus::active);
  const Json signed_one =
      parsed(call("CreateCertificateFromCsr", Json{{"certificateSigningRequest", "CSR pump"}}));
  EXPECT_EQ(signed_one["certificatePem"], "CERT made2 pump");
  EXPECT_EQ(registry_.certificate("made2")->status, CertificateStatus::inactive);
  EXPECT_EQ(call("CreateCertificateFromCsr", Json{{"certificateSigningRequest", "junk"}}),
            "InvalidRequestException 400: certificateSigningRequest: no request in it");
}

TEST_F(LabRegistry, DeactivatingACertificateEndsItsConnections) {
  add_pump();
  must("UpdateCertificate", {{"certificateId", "c1"}, {"newStatus", "ACTIVE"}});
  EXPECT_THAT(answers_.disconnected, ElementsAre());
  must("UpdateCertificate", {{"certificateId", "c1"}, {"newStatus", "REVOKED"}});
  EXPECT_THAT(answers_.disconnected, ElementsAre("c1"));
  must("UpdateCertificate", {{"certificateId", "c1"}, {"newStatus", "INACTIVE"}});
  EXPECT_THAT(answers_.disconnected, ElementsAre("c1"));  // nobody is connected any more
  EXPECT_FALSE(connects("pump-17").allowed());
  EXPECT_EQ(
      call("UpdateCertificate", Json{{"certificateId", "c1"}, {"newStatus", "PENDING_ACTIVATION"}}),
      "InvalidRequestException 400: newStatus must be ACTIVE, INACTIVE or REVOKED");
}

TEST_F(LabRegistry, TheEndOfConnectionsCanComeLater) {
  RegistryOptions options;
  options.disconnect_delay = std::chrono::seconds(60);
  Registry slow(options, reader_, issuer_, random_);
  Answers out;
  for (const char* id : {"c1", "c2"}) {
    slow.call(kNow, "RegisterCertificateWithoutCA",
              {{"certificatePem", std::string("CERT ") + id + " x"}, {"status", "ACTIVE"}}, out);
    slow.call(kNow, "UpdateCertificate", {{"certificateId", id}, {"newStatus", "INACTIVE"}}, out);
  }
  EXPECT_THAT(out.disconnected, ElementsAre());
  EXPECT_EQ(slow.wake().ms, kNow.ms + 60'000);
  slow.on_time({kNow.ms + 59'999}, out);
  EXPECT_THAT(out.disconnected, ElementsAre());
  // c2 is switched on again in the meantime.
  slow.call(kNow, "UpdateCertificate", {{"certificateId", "c2"}, {"newStatus", "ACTIVE"}}, out);
  slow.on_time({kNow.ms + 60'000}, out);
  EXPECT_THAT(out.disconnected, ElementsAre("c1"));
  EXPECT_EQ(slow.wake().ms, Service::kNoTime);
}

TEST_F(LabRegistry, AThingIsThatOfTheClientIdOrTheExclusiveOne) {
  add_pump();
  EXPECT_EQ(registry_.thing_of("c1", "pump-17"), "pump-17");
  EXPECT_EQ(registry_.thing_of("c1", "other"), "");
  EXPECT_EQ(registry_.exclusive_thing_of("c1"), "");
  EXPECT_FALSE(connects("other").allowed());
  must("CreateThing", {{"thingName", "valve-1"}});
  must("AttachThingPrincipal", {{"thingName", "valve-1"}, {"principal", cert("c1")}});
  const Json exclusively = {{"thingName", "pump-17"},
                            {"principal", cert("c1")},
                            {"thingPrincipalType", "EXCLUSIVE_THING"}};
  EXPECT_THAT(call("AttachThingPrincipal", exclusively), HasSubstr("InvalidRequestException 400"));
  must("DetachThingPrincipal", {{"thingName", "valve-1"}, {"principal", cert("c1")}});
  must("AttachThingPrincipal", exclusively);
  EXPECT_EQ(registry_.thing_of("c1", "other"), "pump-17");
  EXPECT_EQ(registry_.exclusive_thing_of("c1"), "pump-17");
  EXPECT_THAT(
      call("AttachThingPrincipal", Json{{"thingName", "valve-1"}, {"principal", cert("c1")}}),
      HasSubstr("InvalidRequestException 400"));
  EXPECT_EQ(call("ListPrincipalThings", Json{{"principal", cert("c1")}}),
            R"({"things":["pump-17"]})");
  EXPECT_EQ(call("ListThingPrincipals", Json{{"thingName", "pump-17"}}),
            R"({"principals":["arn:aws:iot:eu-central-1:123456789012:cert/c1"]})");
}

TEST_F(LabRegistry, AttachingNeedsBothSides) {
  add_pump();
  EXPECT_EQ(call("AttachThingPrincipal", Json{{"thingName", "no"}, {"principal", cert("c1")}}),
            "ResourceNotFoundException 404: Thing no not found");
  EXPECT_EQ(call("AttachThingPrincipal", Json{{"thingName", "pump-17"}, {"principal", cert("x")}}),
            "ResourceNotFoundException 404: Certificate x not found");
  EXPECT_EQ(call("AttachPolicy", Json{{"policyName", "no"}, {"target", cert("c1")}}),
            "ResourceNotFoundException 404: Policy no not found");
  EXPECT_EQ(call("DetachThingPrincipal", Json{{"thingName", "pump-17"}, {"principal", cert("x")}}),
            "ResourceNotFoundException 404: Thing pump-17 is not attached to certificate x");
}

TEST_F(LabRegistry, AnAuthorizersPoliciesCountForItsConnectionOnly) {
  add_pump();
  auto document = parse_policy(policy("Allow", "iot:Publish", "topic/${iot:ClientId}"));
  ASSERT_TRUE(document);
  registry_.admit(5, {*document});
  const Requester guest{5, "guest", "anyone"};
  EXPECT_TRUE(registry_.allows(guest, "iot:Publish", "topic/guest", {}).allowed());
  EXPECT_FALSE(registry_.allows(guest, "iot:Connect", "client/guest", {}).allowed());
  EXPECT_FALSE(
      registry_.allows({6, "guest", "anyone"}, "iot:Publish", "topic/guest", {}).allowed());
  registry_.leave(5);
  EXPECT_FALSE(registry_.allows(guest, "iot:Publish", "topic/guest", {}).allowed());
}

TEST_F(LabRegistry, WhatTheFrontDoorKnowsCountsInConditions) {
  add_pump();
  must("CreatePolicy",
       {{"policyName", "near"},
        {"policyDocument",
         R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iot:Publish",)"
         R"("Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}})"}});
  must("AttachPolicy", {{"policyName", "near"}, {"target", cert("c1")}});
  const Requester who{1, "pump-17", "c1"};
  EXPECT_TRUE(registry_.allows(who, "iot:Publish", "topic/a", {"10.1.1.1", "", {}}).allowed());
  EXPECT_FALSE(registry_.allows(who, "iot:Publish", "topic/a", {"11.1.1.1", "", {}}).allowed());
}

TEST_F(LabRegistry, AnswersWhatAPolicyWouldDecide) {
  add_pump();
  const Json tested = parsed(
      call("TestAuthorization",
           Json{{"principal", cert("c1")},
                {"clientId", "pump-17"},
                {"authInfos",
                 Json::array({{{"actionType", "CONNECT"},
                               {"resources", Json::array({registry_.arn("client/pump-17")})}},
                              {{"actionType", "PUBLISH"},
                               {"resources", Json::array({registry_.arn("topic/a")})}}})}}));
  ASSERT_EQ(tested["authResults"].size(), 2U);
  EXPECT_EQ(tested["authResults"][0]["authDecision"], "ALLOWED");
  EXPECT_EQ(tested["authResults"][1]["authDecision"], "IMPLICIT_DENY");
  EXPECT_EQ(tested["authResults"][1]["authInfo"]["actionType"], "PUBLISH");
}

TEST_F(LabRegistry, StateComesBackAsItWas) {
  add_pump();
  must("CreatePolicyVersion", {{"policyName", "pumps"},
                               {"policyDocument", policy("Allow", "iot:Publish", "topic/a")},
                               {"setAsDefault", true}});
  const Json state = registry_.save();
  Registry again({}, reader_, issuer_, random_);
  const Status loaded = again.load(state);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(again.save(), state);
  EXPECT_TRUE(again.allows({1, "pump-17", "c1"}, "iot:Publish", "topic/a", {}).allowed());
  EXPECT_EQ(again.certificate("c1")->facts.fields[0].second, "pump-17");
  EXPECT_EQ(again.thing_of("c1", "pump-17"), "pump-17");
}

TEST_F(LabRegistry, BrokenStateIsRefusedByNameAndChangesNothing) {
  add_pump();
  const Json good = registry_.save();
  const auto complaint = [&](const char* at, const Json& value) {
    Json broken = good;
    broken[Json::json_pointer(at)] = value;
    const Status loaded = registry_.load(broken);
    EXPECT_EQ(registry_.save(), good);
    return loaded ? std::string("none") : loaded.error().message;
  };
  EXPECT_EQ(registry_.load(Json::array()).error().message, "input must be an object");
  EXPECT_EQ(complaint("/things", 1), "things must be an object");
  EXPECT_EQ(complaint("/things/pump-17/version", "x"),
            "things.pump-17.version must be a whole number");
  EXPECT_EQ(complaint("/things/pump-17/attributes/site", 1),
            "things.pump-17.attributes.site must be a string");
  EXPECT_EQ(complaint("/things/pump-17/colour", 1), "things.pump-17.colour is no member here");
  EXPECT_EQ(complaint("/certificates/c1/status", "OK"),
            "certificates.c1.status is no status of a certificate");
  EXPECT_EQ(complaint("/certificates/c1/pem", "CERT c2 x"),
            "certificates.c1.pem is another certificate");
  EXPECT_EQ(complaint("/certificates/c1/pem", "x"), "certificates.c1.pem is no certificate");
  EXPECT_EQ(complaint("/policies/pumps/default", 2), "policies.pumps.default is no version of it");
  EXPECT_EQ(complaint("/policies/pumps/versions/0/number", 9),
            "policies.pumps.versions[0].number is no number of a version");
  EXPECT_EQ(complaint("/policies/pumps/versions/0/text", "{}"),
            "policies.pumps.versions[0].text is no policy: Version must be \"2012-10-17\"");
  EXPECT_EQ(complaint("/policies_of/c1/0", "none"), "policies_of.c1 has no policy none");
  EXPECT_EQ(complaint("/policies_of/c2", Json::array()), "policies_of.c2 is no certificate");
  EXPECT_EQ(complaint("/things_of/c1/none", true), "things_of.c1.none is no thing");
  EXPECT_EQ(complaint("/things_of/c1", Json::object()), "things_of.c1 has no things");
  EXPECT_EQ(complaint("/more", 1), "more is no member here");
}

}  // namespace
}  // namespace holdfast::lab::iot
