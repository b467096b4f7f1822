// Any calls of the services' operations, with likely and unlikely input: nothing crashes, and after
// each call the state is one that is taken back, the same, from its JSON.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "lab/iot/defender.h"
#include "lab/iot/fake_certificates.h"
#include "lab/iot/json.h"
#include "lab/iot/lifecycle.h"
#include "lab/iot/registry.h"
#include "lab/iot/shadow.h"
#include "sim/seeded_random.h"

using namespace holdfast::lab::iot;  // NOLINT: a fuzz target's only file

namespace {

constexpr std::string_view kOperations[] = {"CreateThing",
                                            "DescribeThing",
                                            "UpdateThing",
                                            "ListThings",
                                            "DeleteThing",
                                            "AttachThingPrincipal",
                                            "DetachThingPrincipal",
                                            "ListThingPrincipals",
                                            "ListPrincipalThings",
                                            "CreatePolicy",
                                            "CreatePolicyVersion",
                                            "GetPolicy",
                                            "ListPolicies",
                                            "ListPolicyVersions",
                                            "SetDefaultPolicyVersion",
                                            "DeletePolicyVersion",
                                            "DeletePolicy",
                                            "AttachPolicy",
                                            "DetachPolicy",
                                            "ListAttachedPolicies",
                                            "TestAuthorization",
                                            "CreateKeysAndCertificate",
                                            "CreateCertificateFromCsr",
                                            "RegisterCertificateWithoutCA",
                                            "UpdateCertificate",
                                            "DescribeCertificate",
                                            "ListCertificates",
                                            "DeleteCertificate",
                                            "CreateThingType",
                                            "DescribeThingType",
                                            "ListThingTypes",
                                            "DeprecateThingType",
                                            "DeleteThingType",
                                            "CreateThingGroup",
                                            "DescribeThingGroup",
                                            "UpdateThingGroup",
                                            "DeleteThingGroup",
                                            "ListThingGroups",
                                            "AddThingToThingGroup",
                                            "RemoveThingFromThingGroup",
                                            "ListThingsInThingGroup",
                                            "ListThingGroupsForThing",
                                            "GetRegistrationCode",
                                            "RegisterCACertificate",
                                            "DescribeCACertificate",
                                            "ListCACertificates",
                                            "UpdateCACertificate",
                                            "DeleteCACertificate",
                                            "RegisterCertificate",
                                            "ListCertificatesByCA"};

/// Members, each with values that make sense.
struct Member {
  const char* name;
  const char* values[4];  ///< As JSON.
};
constexpr Member kMembers[] = {
    {"thingName", {R"("t1")", R"("t2")", R"("t/3")", "7"}},
    {"thingTypeName", {R"("pump")", R"("valve")", R"("")", "[]"}},
    {"attributePayload",
     {R"({"attributes":{"a":"b"}})", R"({"attributes":{"a":""},"merge":true})", "{}",
      R"({"attributes":{"c":1}})"}},
    {"principal",
     {R"("arn:aws:iot:eu-central-1:123456789012:cert/c1")",
      R"("arn:aws:iot:eu-central-1:123456789012:cert/c2")",
      R"("arn:aws:iot:eu-central-1:123456789012:cert/made1")", R"("cert/c1")"}},
    {"target",
     {R"("arn:aws:iot:eu-central-1:123456789012:cert/c1")",
      R"("arn:aws:iot:eu-central-1:123456789012:thinggroup/g1")",
      R"("arn:aws:iot:eu-central-1:123456789012:thinggroup/g2")", "null"}},
    {"thingPrincipalType",
     {R"("EXCLUSIVE_THING")", R"("NON_EXCLUSIVE_THING")", R"("OTHER")", "true"}},
    {"policyName", {R"("p1")", R"("p2")", R"("p 3")", "{}"}},
    {"policyDocument",
     {R"("{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",)"
      R"(\"Resource\":\"*\"}}")",
      R"("{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Deny\",)"
      R"(\"Action\":\"iot:Publish\",\"Resource\":)"
      R"(\"arn:aws:iot:eu-central-1:123456789012:topic/${iot:ClientId}\"}}")",
      R"("{}")", "1"}},
    {"setAsDefault", {"true", "false", "0", "null"}},
    {"policyVersionId", {R"("1")", "2", R"("3")", R"("x")"}},
    {"certificatePem", {R"("CERT c1 a")", R"("CERT c2 b ca1")", R"("junk")", "3"}},
    {"certificateId", {R"("c1")", R"("c2")", R"("made1")", R"("ca1")"}},
    {"status", {R"("ACTIVE")", R"("INACTIVE")", R"("PENDING_ACTIVATION")", R"("OTHER")"}},
    {"newStatus", {R"("ACTIVE")", R"("INACTIVE")", R"("REVOKED")", R"("OTHER")"}},
    {"certificateSigningRequest", {R"("CSR x")", R"("CSR y")", R"("junk")", "1"}},
    {"setAsActive", {"true", "false", "1", "null"}},
    {"forceDelete", {"true", "false", "1", "null"}},
    {"expectedVersion", {"1", "2", R"("x")", "1.5"}},
    {"clientId", {R"("t1")", R"("t2")", R"("*")", "1"}},
    {"thingGroupName", {R"("g1")", R"("g2")", R"("g3")", "1"}},
    {"parentGroupName", {R"("g1")", R"("g2")", R"("")", "1"}},
    {"thingGroupProperties",
     {R"({"thingGroupDescription":"d"})", R"({"attributePayload":{"attributes":{"a":"b"}}})", "{}",
      "1"}},
    {"thingTypeProperties",
     {R"({"searchableAttributes":["a"]})", R"({"thingTypeDescription":"d"})", "{}", "[]"}},
    {"undoDeprecate", {"true", "false", "1", "null"}},
    {"recursive", {"true", "false", "1", "null"}},
    {"caCertificate", {R"("CA ca1 acme")", R"("CA ca2 acme")", R"("CERT c1 a")", "1"}},
    {"certificateMode", {R"("SNI_ONLY")", R"("DEFAULT")", R"("OTHER")", "1"}},
    {"newAutoRegistrationStatus", {R"("ENABLE")", R"("DISABLE")", R"("OTHER")", "1"}},
    {"registrationConfig", {R"({"templateName":"t"})", R"({"templateBody":"{}"})", "{}", "[]"}},
    {"authInfos",
     {R"([{"actionType":"PUBLISH","resources":)"
      R"(["arn:aws:iot:eu-central-1:123456789012:topic/t1"]}])",
      R"([{"actionType":"CONNECT","resources":["client/t1"]}])", "[]", "[7]"}},
};

void check(const Registry& registry, const FakeReader& reader, FakeIssuer& issuer) {
  holdfast::sim::SeededRandom random(1);
  const Json saved = registry.save();
  Registry again({}, reader, issuer, random);
  HF_CHECK(again.load(saved).ok());
  HF_CHECK(dump(again.save()) == dump(saved));
  for (const char* id : {"c1", "c2", "made1"}) {
    const std::string thing = registry.thing_of(id, "t1");
    HF_CHECK(thing.empty() || registry.has_thing(thing));
    const Requester who{1, "t1", id};
    const bool allowed = registry.allows(who, "iot:Publish", "topic/t1", {}).allowed();
    HF_CHECK(allowed == again.allows(who, "iot:Publish", "topic/t1", {}).allowed());
    const Certificate* certificate = registry.certificate(id);
    HF_CHECK(!allowed ||
             (certificate != nullptr && certificate->status == CertificateStatus::active));
  }
}

/// Any JSON as the state of each service: refused with words, or taken and kept.
void load_everywhere(const Json& state, Registry& registry) {
  Shadows shadows({}, registry);
  Defender defender;
  Lifecycle lifecycle;
  for (Service* service : {static_cast<Service*>(&registry), static_cast<Service*>(&shadows),
                           static_cast<Service*>(&defender), static_cast<Service*>(&lifecycle)}) {
    const holdfast::Status loaded = service->load(state);
    HF_CHECK(loaded.ok() || !loaded.error().message.empty());
    const Json saved = service->save();
    HF_CHECK(service->load(saved).ok());
    HF_CHECK(dump(service->save()) == dump(saved));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  holdfast::sim::SeededRandom random(7);
  FakeReader reader;
  FakeIssuer issuer;
  Registry registry({}, reader, issuer, random);
  if (size > 0 && data[0] == '{') {
    const auto state = parse_json({reinterpret_cast<const char*>(data), size});
    if (state) load_everywhere(*state, registry);
    return 0;
  }
  // An operation, how many members, and two bytes for each.
  std::size_t at = 0;
  while (at + 2 <= size) {
    const std::string_view operation = kOperations[data[at] % std::size(kOperations)];
    const std::size_t members = data[at + 1] % 5;
    at += 2;
    Json input = Json::object();
    for (std::size_t i = 0; i < members && at + 2 <= size; ++i, at += 2) {
      const Member& member = kMembers[data[at] % std::size(kMembers)];
      input[member.name] = *parse_json(member.values[data[at + 1] % 4]);
    }
    Answers out;
    HF_CHECK(registry.has_operation(operation));
    static_cast<void>(registry.call({1'700'000'000'000}, operation, input, out));
    check(registry, reader, issuer);
  }
  return 0;
}
