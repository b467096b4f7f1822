// Custom authorizers: which one judges, signed tokens, answers of Lambda functions, operations.
#include "lab/iot/authorizer.h"

#include <gtest/gtest.h>

#include <string>

#include "base/base64.h"
#include "lab/iot/service_fixture.h"

namespace holdfast::lab::iot {
namespace {

/// A token is signed when its signature is the key and the token.
class FakeCrypto final : public Crypto {
 public:
  [[nodiscard]] std::string sha256(std::string_view bytes) const override {
    return std::string(bytes);
  }
  [[nodiscard]] std::string hmac_sha256(std::string_view key,
                                        std::string_view bytes) const override {
    return std::string(key) + std::string(bytes);
  }
  [[nodiscard]] bool verify_rsa_sha256(std::string_view public_key_pem, std::string_view bytes,
                                       std::string_view signature) const override {
    return signature == std::string(public_key_pem) + std::string(bytes);
  }
};

const Json grant_answer = {
    {"isAuthenticated", true},
    {"principalId", "pump7"},
    {"disconnectAfterInSeconds", 300},
    {"refreshAfterInSeconds", 300},
    {"policyDocuments",
     {R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})"}}};

class LabAuthorizers : public ::testing::Test {
 protected:
  LabAuthorizers() {
    call("CreateAuthorizer", signing("signed"));
    call("SetAuthorizerAnswers", {{"authorizerName", "signed"},
                                  {"answers", {{"good token", grant_answer}}},
                                  {"otherwise", {{"isAuthenticated", false}}}});
    call("CreateAuthorizer", {{"authorizerName", "open"},
                              {"authorizerFunctionArn", "arn:f"},
                              {"signingDisabled", true}});
  }
  static Json signing(const std::string& name) {
    return {{"authorizerName", name},
            {"authorizerFunctionArn", "arn:f"},
            {"tokenKeyName", "Token"},
            {"tokenSigningPublicKeys", {{"old", "K0"}, {"new", "K1"}}}};
  }
  std::string call(const std::string& operation, const Json& input) {
    EXPECT_TRUE(authorizers_.has_operation(operation));
    Answers out;
    return text_of(authorizers_.call({}, operation, input, out));
  }
  std::string judge(const std::string& username) {
    const auto answer = authorizers_.judge({}, username, "");
    const auto* word = std::get_if<std::string>(&answer);
    if (word != nullptr) return *word;
    const auto& granted = std::get<CustomAuthorizer::Answer>(answer);
    return "grant to " + granted.grant.principal;
  }
  static std::string signed_name(const std::string& token, const std::string& key = "K1") {
    return "user?x-amz-customauthorizer-name=signed&x-amz-customauthorizer-signature=" +
           encode_percent(text_to_base64(key + token)) + "&Token=" + encode_percent(token);
  }
  /// The verdict when the function of "open" answers so.
  std::string answered(const Json& answer) {
    call("SetAuthorizerAnswers", {{"authorizerName", "open"}, {"otherwise", answer}});
    return judge("?x-amz-customauthorizer-name=open");
  }

  FakeCrypto crypto_;
  Authorizers authorizers_{"eu-central-1", "123456789012", crypto_};
};

TEST_F(LabAuthorizers, ASignedTokenIsAnsweredByTheTable) {
  EXPECT_EQ(judge(signed_name("good token")), "grant to pump7");
  EXPECT_EQ(judge(signed_name("good token", "K0")), "grant to pump7");
  EXPECT_EQ(judge(signed_name("other token")), "NOT_AUTHENTICATED");
  EXPECT_EQ(judge(signed_name("good token", "K2")), "SECURITY_TOKEN_SIGNATURE_MISMATCH");
  EXPECT_EQ(judge("?x-amz-customauthorizer-name=signed&Token=x"),
            "CUSTOM_AUTHORIZER_PARAMETER_INVALID");
  EXPECT_EQ(judge("?x-amz-customauthorizer-name=signed&Token=%"),
            "CUSTOM_AUTHORIZER_PARAMETER_INVALID");
}

TEST_F(LabAuthorizers, WithoutANameTheDefaultJudges) {
  EXPECT_EQ(judge("user"), "CUSTOM_AUTHORIZER_NOT_FOUND");
  EXPECT_EQ(judge("?x-amz-customauthorizer-name=none"), "CUSTOM_AUTHORIZER_NOT_FOUND");
  call("SetDefaultAuthorizer", {{"authorizerName", "open"}});
  EXPECT_EQ(answered(grant_answer), "grant to pump7");
  EXPECT_EQ(judge("user"), "grant to pump7");
  EXPECT_EQ(judge(""), "grant to pump7");
}

TEST_F(LabAuthorizers, AnAnswerThatAwsWouldNotTakeIsAFailureOfTheFunction) {
  const std::string failure = "CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR";
  EXPECT_EQ(answered(nullptr), failure);
  EXPECT_EQ(answered(Json::object()), failure);
  const auto with = [&](const std::string& key, const Json& value) {
    Json changed = grant_answer;
    changed[key] = value;
    return answered(changed);
  };
  EXPECT_EQ(with("isAuthenticated", "yes"), failure);
  EXPECT_EQ(with("isAuthenticated", false), "NOT_AUTHENTICATED");
  EXPECT_EQ(with("principalId", "pump-7"), failure);
  EXPECT_EQ(with("principalId", ""), failure);
  EXPECT_EQ(with("disconnectAfterInSeconds", 299), failure);
  EXPECT_EQ(with("disconnectAfterInSeconds", 86'400), "grant to pump7");
  EXPECT_EQ(with("refreshAfterInSeconds", 86'401), failure);
  EXPECT_EQ(with("policyDocuments", {"{}"}), failure);
  EXPECT_EQ(with("policyDocuments", 7), failure);
  EXPECT_EQ(with("policyDocuments", Json(11, grant_answer["policyDocuments"][0])), failure);
}

TEST_F(LabAuthorizers, AGrantLastsAsLongAsTheFunctionSaid) {
  answered(grant_answer);
  const auto answer = authorizers_.judge({}, "?x-amz-customauthorizer-name=open", "");
  const auto& granted = std::get<CustomAuthorizer::Answer>(answer);
  EXPECT_EQ(granted.grant.lasts, std::optional<Duration>(std::chrono::seconds(300)));
  EXPECT_EQ(granted.documents.size(), 1U);
}

TEST_F(LabAuthorizers, HeadersAndQueryOfAnHttpRequestSayTheSame) {
  HttpQuestion question;
  question.target = "/mqtt?token=other&X-Amz-CustomAuthorizer-Name=signed";
  question.headers = {{"X-Amz-CustomAuthorizer-Signature", text_to_base64("K1good token")},
                      {"Token", "good token"}};
  EXPECT_EQ(judge(authorizer_parameters(question)), "grant to pump7");
  EXPECT_EQ(authorizer_parameters({}), "");
}

TEST_F(LabAuthorizers, OperationsRefuseWhatMakesNoSense) {
  EXPECT_TRUE(call("CreateAuthorizer", signing("signed")).starts_with("ResourceAlreadyExists"));
  for (const char* member :
       {"authorizerName", "authorizerFunctionArn", "tokenKeyName", "tokenSigningPublicKeys"}) {
    Json input = signing("new");
    input.erase(member);
    const std::string words = call("CreateAuthorizer", input);
    EXPECT_TRUE(words.starts_with("InvalidRequest")) << words;
    EXPECT_NE(words.find(member), std::string::npos) << words;
  }
  Json inactive = signing("inactive");
  inactive["status"] = "SLEEPING";
  EXPECT_TRUE(call("CreateAuthorizer", inactive).starts_with("InvalidRequest"));
  inactive["status"] = "INACTIVE";
  call("CreateAuthorizer", inactive);
  EXPECT_EQ(judge("?x-amz-customauthorizer-name=inactive"), "CUSTOM_AUTHORIZER_NOT_FOUND");
  EXPECT_TRUE(call("DeleteAuthorizer", {{"authorizerName", "signed"}}).starts_with("DeleteConf"));
  EXPECT_EQ(call("DeleteAuthorizer", {{"authorizerName", "inactive"}}), "{}");
  for (const char* operation :
       {"DescribeAuthorizer", "DeleteAuthorizer", "SetDefaultAuthorizer", "SetAuthorizerAnswers"}) {
    EXPECT_TRUE(call(operation, {{"authorizerName", "inactive"}}).starts_with("ResourceNotFound"));
  }
  EXPECT_NE(call("ListAuthorizers", Json::object()).find("signed"), std::string::npos);
  EXPECT_NE(call("DescribeAuthorizer", {{"authorizerName", "open"}}).find("arn:f"),
            std::string::npos);
}

TEST_F(LabAuthorizers, StateComesBackAndBrokenStateIsRefused) {
  call("SetDefaultAuthorizer", {{"authorizerName", "open"}});
  const Json saved = authorizers_.save();
  Authorizers again("eu-central-1", "123456789012", crypto_);
  ASSERT_TRUE(again.load(saved));
  EXPECT_EQ(dump(again.save()), dump(saved));
  Json broken = saved;
  broken["default"] = "none";
  EXPECT_FALSE(again.load(broken));
  broken = saved;
  broken["authorizers"]["open"] = 7;
  EXPECT_FALSE(again.load(broken));
  EXPECT_FALSE(again.load(Json::array()));
  EXPECT_EQ(dump(again.save()), dump(saved));
}

}  // namespace
}  // namespace holdfast::lab::iot
