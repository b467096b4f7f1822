// A small world for the tests of the registry: certificates that need no cryptography, and one
// pump.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lab/iot/fake_certificates.h"
#include "lab/iot/registry.h"
#include "lab/iot/service_fixture.h"
#include "sim/seeded_random.h"

namespace holdfast::lab::iot {

inline constexpr WallTime kNow{1'700'000'000'000};

inline std::string policy(const std::string& effect, const std::string& action,
                          const std::string& resource) {
  return R"({"Version":"2012-10-17","Statement":[{"Effect":")" + effect + R"(","Action":")" +
         action + R"(","Resource":"arn:aws:iot:eu-central-1:123456789012:)" + resource + "\"}]}";
}

/// A registry, and what an operator does with it at kNow or later.
class RegistryFixture : public testing::Test {
 protected:
  /// The output as text, or "TYPE STATUS: message".
  std::string call(const std::string& operation, const Json& input) {
    const ApiResult result = registry_.call(now_, operation, input, answers_);
    if (const auto* error = std::get_if<ApiError>(&result)) {
      return error->type + ' ' + std::to_string(error->status) + ": " + error->message;
    }
    return dump(std::get<Json>(result));
  }
  std::string call(const std::string& operation, const std::string& input) {
    return call(operation, parsed(input));
  }
  void must(const std::string& operation, const Json& input) {
    EXPECT_THAT(call(operation, input), testing::StartsWith("{")) << operation;
  }

  std::string cert(const std::string& id) { return registry_.arn("cert/" + id); }

  /// Thing pump-17 with certificate c1, which one policy lets connect.
  void add_pump() {
    must("CreateThingType", {{"thingTypeName", "pump"}});
    must("CreateThing", {{"thingName", "pump-17"},
                         {"thingTypeName", "pump"},
                         {"attributePayload", {{"attributes", {{"site", "north"}}}}}});
    must("RegisterCertificateWithoutCA",
         {{"certificatePem", "CERT c1 pump-17"}, {"status", "ACTIVE"}});
    must("CreatePolicy", {{"policyName", "pumps"},
                          {"policyDocument", policy("Allow", "iot:Connect",
                                                    "client/${iot:Connection.Thing.ThingName}")}});
    must("AttachPolicy", {{"policyName", "pumps"}, {"target", cert("c1")}});
    must("AttachThingPrincipal", {{"thingName", "pump-17"}, {"principal", cert("c1")}});
  }

  Verdict connects(const std::string& client_id) {
    return registry_.allows({1, client_id, "c1"}, "iot:Connect", "client/" + client_id, {});
  }

  sim::SeededRandom random_{7};
  FakeReader reader_;
  FakeIssuer issuer_;
  WallTime now_ = kNow;
  Registry registry_{{}, reader_, issuer_, random_};
  Answers answers_;
};

}  // namespace holdfast::lab::iot
