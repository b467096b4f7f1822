// Goal:   what the credential provider answers becomes keys, or a verdict and one sentence.
// Method: its answers, those that AWS documents and damaged ones. The whole way is tested with
//         agents (lab/login_test.py).
#include "runtime/role_keys.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::runtime {
namespace {

constexpr WallTime kNow{1795767330LL * 1000};  // 2026-11-27T08:15:30Z

std::string credentials(const std::string& end) {
  return R"({"credentials":{"accessKeyId":"ASIA1","secretAccessKey":"hush","sessionToken":"t",)"
         R"("expiration":")" +
         end + R"("}})";
}

transport::HttpsAnswer answer(unsigned status, std::string body,
                              std::optional<WallTime> date = kNow) {
  return {status, std::to_string(status) + " Words", Secret(std::move(body)), date};
}

void expect_failure(const transport::HttpsAnswer& from, Verdict verdict, const std::string& words) {
  const auto judged = judge_keys(from, kNow);
  const auto* failure = std::get_if<env::Failure>(&judged);
  ASSERT_NE(failure, nullptr) << words;
  EXPECT_EQ(to_string(failure->verdict), to_string(verdict)) << failure->detail;
  EXPECT_NE(failure->detail.find(words), std::string::npos) << failure->detail;
  EXPECT_EQ(failure->detail.find("hush"), std::string::npos) << failure->detail;
}

TEST(RoleKeys, KeysLastAsLongAsTheProvidersClockSays) {
  const auto judged = judge_keys(answer(200, credentials("2026-11-27T09:15:30Z")), WallTime{0});
  const auto* granted = std::get_if<GrantedKeys>(&judged);
  ASSERT_NE(granted, nullptr);
  EXPECT_EQ(granted->keys.id, "ASIA1");
  EXPECT_EQ(granted->given, kNow) << "a signature is of this time, whatever the device's clock";
  EXPECT_EQ(granted->lasts, std::chrono::hours(1));
}

TEST(RoleKeys, WithoutADateTheDevicesClockHasToDo) {
  const std::string body = credentials("2026-11-27T09:15:30Z");
  const auto judged = judge_keys(answer(200, body, std::nullopt), kNow);
  ASSERT_NE(std::get_if<GrantedKeys>(&judged), nullptr);
  EXPECT_EQ(std::get<GrantedKeys>(judged).lasts, std::chrono::hours(1));
  expect_failure(answer(200, credentials("2026-11-27T08:15:30Z"), std::nullopt),
                 Verdict::protocol_error, "have ended by this device's own clock");
}

TEST(RoleKeys, RefusalsHaveTheirVerdictAndTheProvidersWords) {
  expect_failure(answer(403, R"({"message":"Access Denied"})"), Verdict::not_authorized,
                 "it answers 403 Words: Access Denied");
  expect_failure(answer(404, R"({"message":"Role alias does not exist"})"), Verdict::not_authorized,
                 "Role alias does not exist");
  expect_failure(answer(400, R"({"message":"Unable to assume the role"})"), Verdict::not_authorized,
                 "Unable to assume the role");
  expect_failure(answer(401, "<html>"), Verdict::not_authorized, "it answers 401 Words");
  expect_failure(answer(429, R"({"message":"Rate\nexceeded"})"), Verdict::throttled,
                 "Rate?exceeded");
  expect_failure(answer(503, ""), Verdict::throttled, "503");
  expect_failure(answer(500, R"({"message":5})"), Verdict::server_gone, "500");
  expect_failure(answer(302, ""), Verdict::protocol_error, "302");
}

TEST(RoleKeys, AnswersWithoutKeysAreNamedAndNeverShown) {
  const auto expect = [](const std::string& body, const std::string& words) {
    expect_failure(answer(200, body), Verdict::protocol_error,
                   "its answer holds no keys: " + words);
  };
  expect("", "it is no JSON object");
  expect("[default]\naws_access_key_id = hush\n", "it is no JSON object");
  expect(R"({"credentials":{"accessKeyId":"ASIA1","secretAccessKey":"hush)",
         "it is no JSON object");
  expect(R"({"credentials":"hush"})", "its field credentials is no object");
  expect(R"({"credentials":{"accessKeyId":"ASIA1"}})", "its field secretAccessKey is missing");
  expect(R"({"credentials":{"accessKeyId":"ASIA1","secretAccessKey":"hush"}})",
         "it does not say when they end");
  expect(credentials("tomorrow"), "its field expiration is no time");
  expect(credentials("2026-11-27T08:15:31Z"), "those in it have ended by its own clock");
}

}  // namespace
}  // namespace holdfast::runtime
