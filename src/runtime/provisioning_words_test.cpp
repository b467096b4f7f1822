// Goal:   what the provisioning service answers is taken whole or not at all, each refusal is
//         understood as what it asks of a device, and nothing secret is in a message.
// Method: answers as the service documents them, changed in one place each.
#include "runtime/provisioning_words.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace holdfast::runtime {
namespace {

using Kind = identity::ProvisionTrouble::Kind;
using nlohmann::json;

const std::string kCertificate = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
const std::string kKey = "-----BEGIN RSA PRIVATE KEY-----\nc2Vj\n-----END RSA PRIVATE KEY-----\n";

json answer() {
  return {{"certificateId", "0123abcd"},
          {"certificatePem", kCertificate},
          {"privateKey", kKey},
          {"certificateOwnershipToken", "to.ken"}};
}

TEST(ProvisioningWords, ACertificateIsTakenWithItsKeyAndToken) {
  const auto taken = read_certificate(answer().dump());
  ASSERT_TRUE(taken.done) << taken.trouble.words;
  EXPECT_EQ(taken.certificate, kCertificate);
  EXPECT_EQ(taken.key.text(), kKey);
  EXPECT_EQ(taken.certificate_id, "0123abcd");
  EXPECT_EQ(taken.token.text(), "to.ken");
  json windows = answer();
  windows["certificatePem"] = "-----BEGIN CERTIFICATE-----\r\nYWJj\r\n-----END CERTIFICATE-----";
  EXPECT_EQ(read_certificate(windows.dump()).certificate, kCertificate);
}

TEST(ProvisioningWords, AnAnswerThatLacksSomethingIsNoneAndTellsNoSecret) {
  for (const char* name : {"certificateId", "certificatePem", "certificateOwnershipToken"}) {
    for (const json& value : {json(nullptr), json(""), json(7), json("a b\n"), json("\x01")}) {
      json changed = answer();
      changed[name] = value;
      const auto taken = read_certificate(changed.dump());
      EXPECT_FALSE(taken.done) << name;
      EXPECT_EQ(taken.trouble.kind, Kind::unanswered);
      EXPECT_NE(taken.trouble.words.find(name), std::string::npos) << taken.trouble.words;
      EXPECT_EQ(taken.trouble.words.find("to.ken"), std::string::npos);
    }
  }
  json keyed = answer();
  keyed["privateKey"] = "no key";
  EXPECT_FALSE(read_certificate(keyed.dump()).done);
  for (const char* text : {"", "[]", "{", "null", "\"x\""})
    EXPECT_FALSE(read_certificate(text).done);
  EXPECT_FALSE(read_certificate(std::string(kAnswerMax + 1, ' ')).done);
  EXPECT_FALSE(read_certificate(std::string(5000, '[')).done);
}

TEST(ProvisioningWords, ARegistrationCountsWhateverItsNameLooksLike) {
  const auto taken =
      read_registration(R"({"thingName":"pump:1","deviceConfiguration":{"site":"north"}})");
  ASSERT_TRUE(taken.done);
  EXPECT_EQ(taken.thing, "pump:1");
  EXPECT_EQ(taken.configuration, R"({"site":"north"})");
  const auto odd = read_registration(R"({"thingName":"a\nb","deviceConfiguration":{}})");
  EXPECT_TRUE(odd.done);
  EXPECT_EQ(odd.thing, "");
  EXPECT_EQ(odd.configuration, "");
  EXPECT_FALSE(read_registration("nothing").done);
}

TEST(ProvisioningWords, RefusalsAreToldApartByWhatTheyAskOfADevice) {
  const auto kind_of = [](int status, const char* code) {
    return read_rejection(json{{"statusCode", status}, {"errorCode", code}}.dump()).kind;
  };
  EXPECT_EQ(kind_of(429, "TooManyRequests"), Kind::throttled);
  EXPECT_EQ(kind_of(400, "ThrottlingException"), Kind::throttled);
  EXPECT_EQ(kind_of(400, "InvalidCertificateOwnershipToken"), Kind::token);
  EXPECT_EQ(kind_of(500, "InternalFailure"), Kind::passing);
  EXPECT_EQ(kind_of(503, "ServiceUnavailable"), Kind::passing);
  EXPECT_EQ(kind_of(408, ""), Kind::passing);
  EXPECT_EQ(kind_of(409, "ConflictingResourceUpdateException"), Kind::passing);
  EXPECT_EQ(kind_of(409, "ResourceAlreadyExists"), Kind::final);
  EXPECT_EQ(kind_of(403, "AccessDenied"), Kind::final);
  EXPECT_EQ(kind_of(400, "InvalidParameters"), Kind::final);
  const auto denied = read_rejection(
      R"({"statusCode":403,"errorCode":"AccessDenied","errorMessage":"a\u001b[2Jb"})");
  EXPECT_TRUE(denied.words.starts_with("rejected: 403 AccessDenied: a [2Jb; ")) << denied.words;
  EXPECT_NE(denied.words.find("hook"), std::string::npos);
  const auto empty = read_rejection("");
  EXPECT_EQ(empty.kind, Kind::passing);
  EXPECT_FALSE(empty.words.empty());
}

TEST(ProvisioningWords, AHandedOverClaimIsCertificateAndKey) {
  const json claim{{"certificateId", "x"},
                   {"certificatePem", kCertificate},
                   {"keyPair", {{"PrivateKey", kKey}, {"PublicKey", "p"}}}};
  const auto taken = read_claim(claim.dump());
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(taken->text(), kCertificate + kKey);
  for (const char* name : {"certificatePem", "keyPair"}) {
    json changed = claim;
    changed[name] = "c2Vj";
    const auto refused = read_claim(changed.dump());
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().message.find("c2Vj"), std::string::npos);
  }
  EXPECT_FALSE(read_claim("-----BEGIN"));
}

TEST(ProvisioningWords, QuestionsAreAsTheServiceWantsThem) {
  EXPECT_EQ(topic_register("fleet"), "$aws/provisioning-templates/fleet/provision/json");
  EXPECT_EQ(csr_payload("a\nb"), R"({"certificateSigningRequest":"a\nb"})");
  EXPECT_EQ(register_payload("t", {}), R"({"certificateOwnershipToken":"t"})");
  EXPECT_EQ(json::parse(register_payload("t", {{"SerialNumber", "1\"2"}}))["parameters"],
            json({{"SerialNumber", "1\"2"}}));
}

TEST(ProvisioningWords, VerdictsTellRefusalsFromNetworks) {
  const auto kind_of = [](Verdict verdict) { return trouble_of({verdict, 0, "d"}, "it").kind; };
  EXPECT_EQ(kind_of(Verdict::tls_client_refused), Kind::refused);
  EXPECT_EQ(kind_of(Verdict::not_authorized), Kind::denied);
  EXPECT_EQ(kind_of(Verdict::server_gone), Kind::hung_up);
  EXPECT_EQ(kind_of(Verdict::quota_exceeded), Kind::throttled);
  EXPECT_EQ(kind_of(Verdict::dns_failed), Kind::passing);
  EXPECT_EQ(kind_of(Verdict::tls_clock), Kind::passing);
  EXPECT_EQ(trouble_of({Verdict::server_gone, 0, "d"}, "the claim").words,
            "server_gone: d; is the claim active?");
}

}  // namespace
}  // namespace holdfast::runtime
