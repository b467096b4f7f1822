// Goal:   an attempt gets what the files of logins say at that moment, or one sentence why not.
// Method: files as the AWS command line, the credential provider and a credential_process write
//         them, whole and damaged.
#include "runtime/logins.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace holdfast::runtime {
namespace {

namespace fs = std::filesystem;
using transport::AwsKeys;

constexpr WallTime kNow{1795767330LL * 1000};  // 2026-11-27T08:15:30Z

std::string error_of(std::string_view text, std::string_view profile = "default") {
  const Result<AwsKeys> keys = parse_aws_keys(text, profile);
  return keys ? "none" : keys.error().message;
}

TEST(AwsKeysFile, SectionsOfTheCommandLine) {
  constexpr std::string_view kText =
      "# of the pump\n[other]\naws_access_key_id=AKIAOTHER\naws_secret_access_key=x\n\n"
      "[default]\r\n  aws_access_key_id = AKIAPUMP \r\n aws_secret_access_key = se/cr+et=\r\n"
      "region = eu-west-1\naws_session_token = to=ken";
  const auto keys = parse_aws_keys(kText, "default");
  ASSERT_TRUE(keys) << keys.error().message;
  EXPECT_EQ(keys->id, "AKIAPUMP");
  EXPECT_EQ(keys->secret, "se/cr+et=");
  EXPECT_EQ(keys->session_token, "to=ken");
  EXPECT_FALSE(keys->expires);
  ASSERT_TRUE(parse_aws_keys(kText, "other"));
  EXPECT_EQ(parse_aws_keys(kText, "other")->id, "AKIAOTHER");
  EXPECT_EQ(error_of(kText, "third"), "it has no section [third]");
}

TEST(AwsKeysFile, JsonOfTheCredentialProviderAndOfACredentialProcess) {
  const auto provided = parse_aws_keys(
      R"( {"credentials":{"accessKeyId":"ASIA1","secretAccessKey":"s","sessionToken":"t",
           "expiration":"2026-11-27T08:15:30Z"}})",
      "default");
  ASSERT_TRUE(provided) << provided.error().message;
  EXPECT_EQ(provided->id, "ASIA1");
  EXPECT_EQ(provided->session_token, "t");
  EXPECT_EQ(provided->expires, kNow);
  const auto processed = parse_aws_keys(
      R"({"Version":1,"AccessKeyId":"AKIA2","SecretAccessKey":"s2","SessionToken":null})",
      "default");
  ASSERT_TRUE(processed) << processed.error().message;
  EXPECT_EQ(processed->id, "AKIA2");
  EXPECT_EQ(processed->session_token, "");
}

TEST(AwsKeysFile, DamageIsNamedAndNeverShown) {
  EXPECT_EQ(error_of(""), "it has no section [default]");
  EXPECT_EQ(error_of("[default]\naws_access_key_id=A\n"),
            "its section [default] lacks aws_secret_access_key");
  EXPECT_EQ(error_of("[default]\naws_access_key_id=A\naws_secret_access_key=a b\n"),
            "its aws_secret_access_key is damaged");
  EXPECT_EQ(error_of("{\"credentials\":"), "it is no JSON object");
  EXPECT_EQ(error_of("{\"credentials\":[]}"), "its field credentials is no object");
  EXPECT_EQ(error_of(R"({"credentials":{"accessKeyId":"A"}})"),
            "its field secretAccessKey is missing");
  EXPECT_EQ(error_of(R"({"AccessKeyId":7,"SecretAccessKey":"s"})"),
            "its field AccessKeyId is no text");
  for (const char* const time : {"\"soon\"", "7", "\"2026-13-27T08:15:30Z\""}) {
    EXPECT_EQ(error_of(R"({"AccessKeyId":"A","SecretAccessKey":"s","Expiration":)" +
                       std::string(time) + "}"),
              "its field Expiration is no time like 2026-11-27T08:15:30Z")
        << time;
  }
}

class Logins : public testing::Test {
 protected:
  Logins() {
    std::string name = (fs::temp_directory_path() / "hf-logins-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    request_.host = "h";
    request_.port = 443;
    request_.websocket_path = "/mqtt";
  }
  ~Logins() override { fs::remove_all(folder_); }

  fs::path file(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name) << content;
    return folder_ / name;
  }

  fs::path folder_;
  env::ConnectRequest request_;
};

TEST_F(Logins, PasswordsAreTheFirstLines) {
  request_.password_file = file("p", "secret\r\nnote\n");
  request_.proxy.password_file = file("pp", "other");
  ASSERT_TRUE(fill_in_logins(request_, kNow));
  EXPECT_EQ(request_.password, "secret");
  EXPECT_EQ(request_.proxy_password, "other");
  EXPECT_EQ(request_.websocket_path, "/mqtt");
}

TEST_F(Logins, WhatIsMissingNamesItsKey) {
  request_.password_file = folder_ / "absent";
  const Status status = fill_in_logins(request_, kNow);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("; check connection.password_file"), std::string::npos)
      << status.error().message;
}

TEST_F(Logins, AnAttemptIsSignedWithTheKeysThereAreNow) {
  request_.sigv4.credentials_file = file("k",
                                         "[default]\naws_access_key_id=AKIA1\n"
                                         "aws_secret_access_key=s\n");
  request_.sigv4.region = "eu-west-1";
  ASSERT_TRUE(fill_in_logins(request_, kNow));
  EXPECT_TRUE(request_.websocket_path.starts_with(
      "/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA1%2F20261127%2Feu-west-1%2F"))
      << request_.websocket_path;
}

TEST_F(Logins, ExpiredKeysAreNotTried) {
  request_.sigv4.credentials_file = file(
      "k", R"({"AccessKeyId":"A","SecretAccessKey":"hush","Expiration":"2026-11-27T08:15:30Z"})");
  request_.sigv4.region = "eu-west-1";
  const Status status = fill_in_logins(request_, kNow);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "the AWS keys in " + (folder_ / "k").string() +
                " have expired by this device's clock; renew them, or set the clock");
  EXPECT_TRUE(fill_in_logins(request_, WallTime{kNow.ms - 1}));
}

}  // namespace
}  // namespace holdfast::runtime
