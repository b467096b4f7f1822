// A small world for the tests of jobs: things, groups, documents, and a device that asks.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lab/iot/jobs.h"
#include "lab/iot/service_fixture.h"

namespace holdfast::lab::iot {

class TestWorld final : public JobsWorld, public Presigner {
 public:
  [[nodiscard]] bool has_thing(std::string_view name) const override {
    return std::find(things.begin(), things.end(), name) != things.end();
  }
  [[nodiscard]] std::optional<std::vector<std::string>> things_in(
      std::string_view group) const override {
    const auto found = groups.find(std::string(group));
    if (found == groups.end()) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] std::optional<std::string> read_document(std::string_view url) const override {
    if (url != "https://s3/bucket/doc") return std::nullopt;
    return R"({"from":"s3"})";
  }
  std::string presign(WallTime now, std::string_view url, std::int64_t seconds) override {
    return std::string(url) + "?from=" + std::to_string(now.ms) + "&for=" + std::to_string(seconds);
  }

  std::vector<std::string> things = {"pump", "valve"};
  std::map<std::string, std::vector<std::string>> groups;
};

/// Jobs, and what the device "pump" and an operator do with them.
class JobsFixture : public ServiceFixture {
 protected:
  Service& service() override { return jobs_; }

  /// "TOPIC PAYLOAD" of each message that the last call sent.
  [[nodiscard]] std::vector<std::string> sent() const {
    std::vector<std::string> all;
    for (const Answer& a : out_.all) all.push_back(a.topic + ' ' + a.payload);
    return all;
  }
  /// The topics only, without what all have in common.
  [[nodiscard]] std::vector<std::string> topics() const {
    std::vector<std::string> all;
    for (const Answer& a : out_.all) {
      const std::string prefix = "$aws/things/pump/jobs/";
      all.push_back(a.topic.starts_with(prefix) ? a.topic.substr(prefix.size()) : a.topic);
    }
    return all;
  }
  /// The payload on a topic in what the last call sent; null: none.
  [[nodiscard]] Json on(const std::string& topic) const {
    for (const Answer& a : out_.all) {
      if (a.topic == "$aws/things/pump/jobs/" + topic || a.topic == topic) {
        return *parse_json(a.payload);
      }
    }
    return {};
  }
  /// Asks as the pump; returns the reply, which must be the only one, to the requester, and first.
  Json ask(const std::string& request, const std::string& payload = "{}") {
    const mqtt::Publish message = message_to("$aws/things/pump/jobs/" + request, payload);
    publish({7, "pump", "cert"}, message);
    std::size_t replies = 0;
    for (const Answer& a : out_.all) replies += a.to == Answer::To::requester ? 1U : 0U;
    EXPECT_EQ(replies, 1U);
    if (out_.all.empty()) return {};
    EXPECT_EQ(out_.all.front().to, Answer::To::requester);
    const std::string& topic = out_.all.front().topic;
    EXPECT_TRUE(topic == message.topic + "/accepted" || topic == message.topic + "/rejected");
    return *parse_json(out_.all.front().payload);
  }
  /// Sets a status, and returns the reply.
  Json set(const std::string& job, const std::string& status) {
    return ask(job + "/update", R"({"status":")" + status + "\"}");
  }
  static Json job_input(const std::string& id) {
    return {{"jobId", id}, {"targets", {kPump}}, {"document", R"({"op":")" + id + "\"}"}};
  }
  void create(const std::string& id, const Json& more = Json::object()) {
    Json input = job_input(id);
    input.update(more);
    done("CreateJob", input);
  }
  /// The status of the latest attempt of a job on the pump.
  std::string status_of(const std::string& id) {
    Answers quiet;
    const ApiResult result =
        jobs_.call(now_, "DescribeJobExecution", {{"jobId", id}, {"thingName", "pump"}}, quiet);
    if (std::holds_alternative<ApiError>(result)) return "none";
    return std::get<Json>(result)["execution"]["status"];
  }
  void wait_minutes(std::int64_t minutes) { wait_seconds(minutes * 60); }

  static constexpr const char* kPump = "arn:aws:iot:eu-central-1:123456789012:thing/pump";
  static constexpr const char* kValve = "arn:aws:iot:eu-central-1:123456789012:thing/valve";
  static constexpr const char* kGroup = "arn:aws:iot:eu-central-1:123456789012:thinggroup/floor";

  TestWorld world_;
  Jobs jobs_{{}, world_, &world_, random_};
};

}  // namespace holdfast::lab::iot
