// The data plane over HTTPS: which operation a request is, and what it is answered with.
#include "lab/iot/data_plane.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::lab::iot {
namespace {

class LabDataPlane : public ::testing::Test {
 protected:
  HttpAnswer ask(std::string method, std::string target, std::string body = {},
                 std::string principal = "cert") {
    return plane_.answer(
        {std::move(method), std::move(target), {}, std::move(body), std::move(principal)});
  }
  int status(const std::string& method, const std::string& target) {
    return ask(method, target).status;
  }

  std::vector<std::string> called_;
  std::string forbidden_;
  ApiResult result_ = Json::object();
  DataPlane plane_{
      {[this](std::string_view operation, const Json& input) {
         called_.push_back(std::string(operation) + " " + dump(input));
         return result_;
       },
       [this](const HttpQuestion&, std::string_view action, std::string_view resource) {
         return std::string(action) + " " + std::string(resource) != forbidden_;
       }}};
};

TEST_F(LabDataPlane, PublishesWithTheTopicFromThePath) {
  const HttpAnswer done = ask("POST", "/topics/a%2Fb/c?qos=1", "hello");
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.body, R"({"message":"OK"})");
  EXPECT_EQ(called_, std::vector<std::string>{
                         R"(Publish {"topic":"a/b/c","payloadBase64":"aGVsbG8=","qos":"1"})"});
  EXPECT_EQ(status("GET", "/topics/a"), 405);
  EXPECT_EQ(status("POST", "/topics/a%2"), 400);
}

TEST_F(LabDataPlane, PoliciesAndACertificateAreNeeded) {
  EXPECT_EQ(ask("POST", "/topics/a", "", "").status, 403);
  forbidden_ = "iot:Publish topic/a";
  EXPECT_EQ(status("POST", "/topics/a"), 403);
  forbidden_ = "iot:RetainPublish topic/a";
  EXPECT_EQ(status("POST", "/topics/a?retain=true"), 403);
  EXPECT_EQ(status("POST", "/topics/a"), 200);
  forbidden_ = "iot:GetThingShadow thing/pump/settings";
  EXPECT_EQ(status("GET", "/things/pump/shadow?name=settings"), 403);
  EXPECT_EQ(status("GET", "/things/pump/shadow"), 200);
}

TEST_F(LabDataPlane, RequestsAreSignedForTheirService) {
  EXPECT_EQ(DataPlane::signing_name("/topics/a/jobs?qos=1"), "iotdata");
  EXPECT_EQ(DataPlane::signing_name("/things/pump/shadow?name=/jobs"), "iotdata");
  EXPECT_EQ(DataPlane::signing_name("/things/pump/jobs/$next"), "iot-jobs-data");
}

TEST_F(LabDataPlane, ShadowsAreReadWrittenAndDeleted) {
  result_ = Json{{"payload", {{"version", 3}}}};
  EXPECT_EQ(ask("GET", "/things/pump/shadow?name=n").body, R"({"version":3})");
  ask("POST", "/things/pump/shadow", R"({"state":{}})");
  ask("DELETE", "/things/pump/shadow");
  ask("GET", "/api/things/shadow/ListNamedShadowsForThing/pump");
  EXPECT_EQ(called_, (std::vector<std::string>{
                         R"(GetThingShadow {"thingName":"pump","shadowName":"n"})",
                         R"(UpdateThingShadow {"thingName":"pump","payload":"{\"state\":{}}"})",
                         R"(DeleteThingShadow {"thingName":"pump"})",
                         R"(ListNamedShadowsForThing {"thingName":"pump"})"}));
}

TEST_F(LabDataPlane, JobsHaveTheirPaths) {
  ask("GET", "/things/pump/jobs");
  ask("PUT", "/things/pump/jobs/$next", R"({"stepTimeoutInMinutes":5})");
  ask("GET", "/things/pump/jobs/j-1?executionNumber=2&includeJobDocument=true");
  ask("POST", "/things/pump/jobs/j-1", R"({"status":"SUCCEEDED"})");
  EXPECT_EQ(called_,
            (std::vector<std::string>{
                R"(GetPendingJobExecutions {"thingName":"pump"})",
                R"(StartNextPendingJobExecution {"stepTimeoutInMinutes":5,"thingName":"pump"})",
                R"(jobs-data:DescribeJobExecution {"thingName":"pump","jobId":"j-1",)"
                R"("executionNumber":"2","includeJobDocument":true})",
                R"(UpdateJobExecution {"status":"SUCCEEDED","thingName":"pump","jobId":"j-1"})"}));
  EXPECT_EQ(ask("POST", "/things/pump/jobs/j-1", "[]").status, 400);
  EXPECT_EQ(status("DELETE", "/things/pump/jobs/j-1"), 405);
}

TEST_F(LabDataPlane, ABodyOfAJobsRequestOver128KiBIsAnInvalidRequest) {
  const std::string start = R"({"status":"SUCCEEDED","clientToken":")";
  const auto body = [&](std::size_t bytes) {
    return start + std::string(bytes - start.size() - 2, 'x') + "\"}";
  };
  EXPECT_EQ(ask("POST", "/things/pump/jobs/j-1", body(131'072)).status, 200);
  const HttpAnswer refused = ask("POST", "/things/pump/jobs/j-1", body(131'073));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(*header_of(refused.headers, "x-amzn-errortype"), "InvalidRequestException");
  EXPECT_EQ(called_.size(), 1U);
}

TEST_F(LabDataPlane, ErrorsHaveTheNamesOfTheService) {
  result_ = ApiError{"ResourceNotFoundException", 404, "no thing"};
  const HttpAnswer answer = ask("GET", "/things/nobody/shadow");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, R"({"message":"no thing"})");
  EXPECT_EQ(*header_of(answer.headers, "x-amzn-errortype"), "ResourceNotFoundException");
  for (const char* path : {"/", "/things/pump", "/things//x", "/things/pump/jobs/", "/nothing"}) {
    EXPECT_EQ(status("GET", path), 404) << path;
  }
}

}  // namespace
}  // namespace holdfast::lab::iot
