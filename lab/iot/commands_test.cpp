// Commands: requests with their properties, results, late results, and what is refused.
#include "lab/iot/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/base64.h"
#include "lab/iot/cbor.h"
#include "lab/iot/service_fixture.h"

namespace holdfast::lab::iot {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kThing = "arn:aws:iot:eu-central-1:123456789012:thing/pump";
constexpr const char* kClient = "arn:aws:iot:eu-central-1:123456789012:client/c1";
constexpr const char* kCommand = "arn:aws:iot:eu-central-1:123456789012:command/light";

class LabCommands : public ServiceFixture {
 protected:
  Service& service() override { return commands_; }

  void create(const std::string& content_type = "application/json") {
    done("CreateCommand",
         {{"commandId", "light"},
          {"payload",
           {{"content", text_to_base64(R"({"on":true})")}, {"contentType", content_type}}}});
  }
  std::string start(const std::string& target = kThing) {
    return done("StartCommandExecution", {{"commandArn", kCommand},
                                          {"targetArn", target},
                                          {"executionTimeoutSeconds", 60}})["executionId"];
  }
  /// Publishes a result; returns the acknowledgement.
  Answer respond(const std::string& id, const std::string& payload,
                 const std::string& format = "json", const std::string& device = "things/pump") {
    publish({1, "c1", "cert"},
            message_to("$aws/commands/" + device + "/executions/" + id + "/response/" + format,
                       payload));
    return out_.all.empty() ? Answer{} : out_.all.front();
  }
  std::string error_of(const std::string& id, const std::string& payload) {
    const Answer answer = respond(id, payload);
    if (!answer.topic.ends_with("/rejected/json")) return "";
    return (*parse_json(answer.payload))["error"];
  }
  Json get(const std::string& id, const std::string& target = kThing) {
    return done("GetCommandExecution",
                {{"executionId", id}, {"targetArn", target}, {"includeResult", true}});
  }
  void switch_events_on() {
    CommandsSettings settings;
    settings.events = true;
    commands_.configure(settings);
  }

  Commands commands_{{}, [](std::string_view name) { return name == "pump"; }, random_};
};

TEST_F(LabCommands, RequestGoesThroughTheBrokerWithTypeAndExpiry) {
  create();
  const std::string id = start();
  ASSERT_EQ(out_.all.size(), 1U);
  const Answer& request = out_.all.front();
  EXPECT_EQ(request.to, Answer::To::broker);
  EXPECT_EQ(request.qos, 1);
  EXPECT_EQ(request.topic, "$aws/commands/things/pump/executions/" + id + "/request/json");
  EXPECT_EQ(request.payload, R"({"on":true})");
  EXPECT_EQ(*request.properties.text(mqtt::PropertyId::content_type), "application/json");
  EXPECT_EQ(request.properties.number(mqtt::PropertyId::message_expiry_interval), 60U);
}

TEST_F(LabCommands, TopicFollowsTheContentTypeAndTheTarget) {
  create("application/cbor");
  std::string id = start(kClient);
  EXPECT_EQ(out_.all.front().topic, "$aws/commands/clients/c1/executions/" + id + "/request/cbor");
  done("DeleteCommand", {{"commandId", "light"}});
  create("text/plain");
  id = start();
  EXPECT_EQ(out_.all.front().topic, "$aws/commands/things/pump/executions/" + id + "/request");
}

TEST_F(LabCommands, ResultIsAcknowledgedAndKept) {
  create();
  const std::string id = start();
  EXPECT_EQ(get(id)["status"], "CREATED");
  Answer answer = respond(id, R"({"status":"IN_PROGRESS"})");
  EXPECT_EQ(answer.to, Answer::To::broker);
  EXPECT_EQ(answer.topic, "$aws/commands/things/pump/executions/" + id + "/response/accepted/json");
  EXPECT_EQ(answer.payload, R"({"executionId":")" + id + "\"}");
  now_.ms += 1000;
  respond(id, R"({"status":"SUCCEEDED","statusReason":{"reasonCode":"OK","reasonDescription":"d"},)"
              R"("result":{"t":{"s":"x"},"f":{"b":true},"d":{"bin":"AAE="}}})");
  const Json execution = get(id);
  EXPECT_EQ(execution["status"], "SUCCEEDED");
  EXPECT_EQ(execution["statusReason"]["reasonCode"], "OK");
  EXPECT_EQ(dump(execution["result"]), R"({"t":{"S":"x"},"f":{"B":true},"d":{"BIN":"AAE="}})");
  EXPECT_EQ(execution["startedAt"], 1'700'000'000.0);
  EXPECT_EQ(execution["completedAt"], 1'700'000'001.0);
  EXPECT_EQ(execution["executionTimeoutSeconds"], 60);
}

TEST_F(LabCommands, AcknowledgementsHaveTwoSwitches) {
  CommandsSettings settings;
  settings.format_in_acknowledgement = false;
  settings.acknowledge_requester = true;
  commands_.configure(settings);
  create();
  const Answer answer = respond(start(), R"({"status":"IN_PROGRESS"})");
  EXPECT_THAT(answer.topic, ::testing::EndsWith("/response/accepted"));
  EXPECT_EQ(answer.to, Answer::To::requester);
}

TEST_F(LabCommands, SpeakCbor) {
  create();
  const std::string id = start();
  const Json report = {{"status", "SUCCEEDED"},
                       {"result", {{"d", {{"bin", Json::binary({0, 1})}}}}}};
  const Answer answer = respond(id, to_cbor(report), "cbor");
  EXPECT_THAT(answer.topic, ::testing::EndsWith("/response/accepted/cbor"));
  EXPECT_EQ((*parse_cbor(answer.payload))["executionId"], id);
  EXPECT_EQ(get(id)["result"]["d"]["BIN"], "AAE=");
  EXPECT_EQ((*parse_cbor(respond(id, "\xff", "cbor").payload))["error"], "InvalidCbor");
}

TEST_F(LabCommands, AllTransitionsOfADevice) {
  create();
  for (const std::string from : {"CREATED", "IN_PROGRESS"}) {
    for (const std::string to : {"IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT"}) {
      const std::string id = start();
      if (from != "CREATED") respond(id, R"({"status":"IN_PROGRESS"})");
      EXPECT_EQ(error_of(id, R"({"status":")" + to + "\"}"), "");
      EXPECT_EQ(get(id)["status"], to);
      if (to == "IN_PROGRESS") continue;
      EXPECT_EQ(error_of(id, R"({"status":"SUCCEEDED"})"), "TerminalStateReached");
      EXPECT_EQ(get(id)["status"], to);
    }
  }
}

TEST_F(LabCommands, ALateResultOverridesTheTimeoutOfTheService) {
  create();
  const std::string id = start();
  wait_seconds(59);
  EXPECT_EQ(get(id)["status"], "CREATED");
  wait_seconds(1);
  EXPECT_EQ(get(id)["status"], "TIMED_OUT");
  EXPECT_EQ(get(id)["statusReason"]["reasonCode"], "$NO_RESPONSE_FROM_DEVICE");
  EXPECT_EQ(error_of(id, R"({"status":"IN_PROGRESS"})"), "");
  EXPECT_EQ(get(id)["status"], "IN_PROGRESS");
  EXPECT_FALSE(get(id).contains("statusReason"));
  wait_seconds(1000);
  EXPECT_EQ(get(id)["status"], "IN_PROGRESS");
  EXPECT_EQ(error_of(id, R"({"status":"FAILED"})"), "");
  EXPECT_EQ(error_of(id, R"({"status":"SUCCEEDED"})"), "TerminalStateReached");
}

TEST_F(LabCommands, InProgressTimesOutToo) {
  create();
  const std::string id = start();
  respond(id, R"({"status":"IN_PROGRESS"})");
  wait_seconds(60);
  EXPECT_EQ(get(id)["status"], "TIMED_OUT");
}

TEST_F(LabCommands, RefuseWhatMakesNoSense) {
  create();
  const std::string id = start();
  const std::pair<std::string, std::string> all[] = {
      {"", "InvalidJson"},
      {"[]", "InvalidRequest"},
      {"{}", "InvalidRequest"},
      {R"({"status":"DONE"})", "InvalidRequest"},
      {R"({"status":"CREATED"})", "InvalidStateTransition"},
      {R"({"status":"FAILED","statusReason":7})", "InvalidRequest"},
      {R"({"status":"FAILED","statusReason":{"reasonCode":"lower"}})", "InvalidRequest"},
      {R"({"status":"FAILED","statusReason":{"reasonCode":"$NO"}})", "InvalidRequest"},
      {R"({"status":"FAILED","statusReason":{"reasonDescription":"x"}})", "InvalidRequest"},
      {R"({"status":"FAILED","statusReason":{"reasonCode":"A","reasonDescription":")" +
           std::string(1025, 'x') + "\"}}",
       "InvalidRequest"},
      {R"({"status":"FAILED","result":[]})", "InvalidRequest"},
      {R"({"status":"FAILED","result":{"a":"x"}})", "InvalidRequest"},
      {R"({"status":"FAILED","result":{"a":{"s":"x","b":true}}})", "InvalidRequest"},
      {R"({"status":"FAILED","result":{"a":{"n":1}}})", "InvalidRequest"},
      {R"({"status":"FAILED","result":{"a":{"bin":"?"}}})", "InvalidRequest"},
      {R"({"status":"FAILED","clientToken":7})", "InvalidRequest"}};
  for (const auto& [payload, error] : all) {
    EXPECT_EQ(error_of(id, payload), error) << payload;
    EXPECT_EQ(get(id)["status"], "CREATED") << payload;
  }
  EXPECT_EQ(error_of("unknown", R"({"status":"FAILED"})"), "ResourceNotFound");
  EXPECT_THAT(respond(id, R"({"status":"FAILED"})", "json", "clients/pump").payload,
              HasSubstr("ResourceNotFound"));
  EXPECT_THAT(respond(id, "{}", "xml").payload, HasSubstr("InvalidTopic"));
}

TEST_F(LabCommands, RefusalsNameExecutionTokenAndTime) {
  EXPECT_EQ(respond("e1", R"({"status":"FAILED","clientToken":"t"})").payload,
            R"({"clientToken":"t","executionId":"e1","error":"ResourceNotFound",)"
            R"("errorMessage":"there is no such execution for this device",)"
            R"("timestamp":1700000000000})");
}

TEST_F(LabCommands, TopicsThatNameNoExecutionAreNotAnswered) {
  for (const std::string topic :
       {"$aws/commands/", "$aws/commands/x/y", "$aws/commands/things/p/executions/e/request",
        "$aws/commands/groups/p/executions/e/response/json"}) {
    out_ = {};
    commands_.on_request(now_, {}, message_to(topic, ""), out_);
    EXPECT_TRUE(out_.all.empty()) << topic;
  }
  EXPECT_EQ(commands_.claims("$aws/things/pump/jobs/get"), Claim::none);
}

TEST_F(LabCommands, RefuseOperationsThatMakeNoSense) {
  create();
  const Json payload = {{"content", "eA=="}};
  EXPECT_THAT(refused("CreateCommand", {{"commandId", "light"}, {"payload", payload}}),
              StartsWith("ConflictException"));
  EXPECT_THAT(refused("CreateCommand", {{"commandId", "a b"}, {"payload", payload}}),
              StartsWith("ValidationException: commandId"));
  EXPECT_EQ(refused("CreateCommand", {{"commandId", "b"}}),
            "ValidationException: payload is missing");
  EXPECT_EQ(refused("CreateCommand", {{"commandId", "b"}, {"payload", {{"content", "?"}}}}),
            "ValidationException: payload.content must be Base64");
  EXPECT_EQ(refused("CreateCommand", {{"commandId", "b"}, {"payload", {{"content", ""}}}}),
            "ValidationException: payload.content must be 1 to 32768 bytes");
  EXPECT_THAT(
      refused("CreateCommand", {{"commandId", "b"}, {"payload", payload}, {"roleArn", "r"}}),
      HasSubstr("roleArn is not supported"));
  const auto start_with = [&](const Json& command, const Json& target, const Json& timeout) {
    return refused(
        "StartCommandExecution",
        {{"commandArn", command}, {"targetArn", target}, {"executionTimeoutSeconds", timeout}});
  };
  EXPECT_THAT(start_with("arn:none", kThing, 1), StartsWith("ResourceNotFoundException"));
  EXPECT_THAT(start_with(kCommand, std::string(kThing) + "2", 1),
              StartsWith("ResourceNotFoundException"));
  EXPECT_THAT(start_with(kCommand, std::string(kThing) + "/x", 1),
              StartsWith("ValidationException"));
  EXPECT_THAT(start_with(kCommand, "pump", 1), StartsWith("ValidationException: targetArn"));
  EXPECT_THAT(start_with(kCommand, kThing, 43'201), HasSubstr("must be 1 to 43200"));
  EXPECT_THAT(start_with(7, kThing, 1), StartsWith("ValidationException: commandArn"));
  EXPECT_THAT(refused("GetCommand", {{"commandId", "none"}}),
              StartsWith("ResourceNotFoundException"));
  EXPECT_THAT(refused("DeleteCommand", {{"commandId", "none"}}),
              StartsWith("ResourceNotFoundException"));
  EXPECT_THAT(refused("GetCommandExecution", {{"executionId", "none"}, {"targetArn", kThing}}),
              StartsWith("ResourceNotFoundException"));
  EXPECT_THAT(refused("ListCommandExecutions", Json::object()),
              StartsWith("ValidationException: commandArn or targetArn"));
}

TEST_F(LabCommands, ADeviceHasAtMostAHundredExecutions) {
  create();
  for (int i = 0; i < 100; ++i) start();
  const Json input = {{"commandArn", kCommand}, {"targetArn", kThing}};
  EXPECT_THAT(refused("StartCommandExecution", input), StartsWith("ServiceQuotaExceededException"));
  EXPECT_FALSE(start(kClient).empty());
  wait_seconds(60);
  EXPECT_EQ(refused("StartCommandExecution", input), "");
}

TEST_F(LabCommands, ListsGiveWhatIsAskedFor) {
  create();
  const std::string id = start();
  start(kClient);
  respond(id, R"({"status":"SUCCEEDED"})");
  EXPECT_EQ(done("ListCommands", Json::object())["commands"][0]["commandId"], "light");
  EXPECT_EQ(done("GetCommand", {{"commandId", "light"}})["payload"]["contentType"],
            "application/json");
  const auto count = [&](const Json& input) {
    return done("ListCommandExecutions", input)["commandExecutions"].size();
  };
  EXPECT_EQ(count({{"commandArn", kCommand}}), 2U);
  EXPECT_EQ(count({{"targetArn", kThing}}), 1U);
  EXPECT_EQ(count({{"commandArn", kCommand}, {"status", "CREATED"}}), 1U);
}

TEST_F(LabCommands, EventsArePublishedWhenSwitchedOn) {
  switch_events_on();
  create();
  const std::string id = start();
  ASSERT_EQ(out_.all.size(), 2U);
  EXPECT_EQ(out_.all[1].topic, "$aws/events/commandExecution/light/CREATED");
  wait_seconds(60);
  ASSERT_EQ(out_.all.size(), 1U);
  EXPECT_EQ(out_.all[0].topic, "$aws/events/commandExecution/light/TIMED_OUT");
  EXPECT_EQ(
      out_.all[0].payload,
      R"({"executionId":")" + id +
          R"(","status":"TIMED_OUT","statusReason":{"reasonCode":"$NO_RESPONSE_FROM_DEVICE"},)"
          R"("eventType":"COMMAND_EXECUTION","commandArn":")" +
          kCommand + R"(","targetArn":")" + kThing + R"(","timestamp":1700000060000})");
}

TEST_F(LabCommands, ExecutionsAreForgottenAfterHalfAYear) {
  create();
  const std::string id = start();
  wait_seconds(Commands::kRetentionMs / 1000);
  EXPECT_THAT(refused("GetCommandExecution", {{"executionId", id}, {"targetArn", kThing}}),
              StartsWith("ResourceNotFoundException"));
  EXPECT_EQ(commands_.wake().ms, Service::kNoTime);
}

TEST_F(LabCommands, StateComesBackAsItWas) {
  create();
  const std::string id = start();
  start(kClient);
  respond(id, R"({"status":"FAILED","statusReason":{"reasonCode":"X"},"result":{"a":{"b":true}}})");
  wait_seconds(60);
  const Json state = commands_.save();
  Commands other(
      {}, [](std::string_view) { return true; }, random_);
  ASSERT_TRUE(other.load(*parse_json(dump(state))));
  EXPECT_EQ(dump(other.save()), dump(state));
  EXPECT_EQ(other.wake(), commands_.wake());
}

TEST_F(LabCommands, BrokenStateIsRefusedByTheNameOfItsMember) {
  create();
  const std::string id = start();
  const Json good = commands_.save();
  const auto complaint = [&](const std::string& pointer, const Json& value) {
    return complaint_about(commands_, good, pointer, value);
  };
  EXPECT_EQ(complaint("/commands", 7), "commands must be an object");
  EXPECT_EQ(complaint("/commands/light/payload", "?"), "commands.light.payload must be Base64");
  EXPECT_EQ(complaint("/commands/light/other", 1), "commands.light.other is no member here");
  const std::string path = "/executions/" + id;
  const std::string name = "executions." + id;
  EXPECT_EQ(complaint(path + "/status", "X"), name + ".status is no status of a command");
  EXPECT_EQ(complaint(path + "/kind", "X"), name + ".kind must be things or clients");
  EXPECT_EQ(complaint(path + "/created", -1), name + ".created is out of range");
  EXPECT_EQ(complaint(path + "/timeoutSeconds", 0), name + ".timeoutSeconds is out of range");
  EXPECT_EQ(complaint(path + "/result", {{"a", {{"x", 1}}}}),
            name + ".result.a must have one member: s, b or bin");
  EXPECT_EQ(complaint(path + "/reason", 7), name + ".reason must be an object");
}

}  // namespace
}  // namespace holdfast::lab::iot
