// Jobs as a device sees them: topics, versions, timers, refusals, and who is told what.
#include "lab/iot/jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lab/iot/jobs_fixture.h"

namespace holdfast::lab::iot {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Strings = std::vector<std::string>;

class LabJobs : public JobsFixture {};

TEST_F(LabJobs, ClaimOnlyTheirTopics) {
  EXPECT_EQ(jobs_.claims("$aws/things/pump/jobs/get"), Claim::only);
  EXPECT_EQ(jobs_.claims("$aws/things/pump/jobs/notify"), Claim::only);
  EXPECT_EQ(jobs_.claims("$aws/things/pump/shadow/get"), Claim::none);
  EXPECT_EQ(jobs_.claims("$aws/things/pump/jobs"), Claim::none);
  EXPECT_EQ(jobs_.claims("$aws/things/"), Claim::none);
  EXPECT_EQ(jobs_.claims("pumps/jobs/get"), Claim::none);
}

TEST_F(LabJobs, NotifyAsInTheExampleOfTheDocumentation) {
  create("job1");
  EXPECT_THAT(topics(), ElementsAre("notify", "notify-next"));
  EXPECT_EQ(dump(on("notify-next")),
            R"({"timestamp":1700000000,"execution":{"jobId":"job1","jobDocument":{"op":"job1"},)"
            R"("status":"QUEUED","queuedAt":1700000000,"lastUpdatedAt":1700000000,)"
            R"("versionNumber":1,"executionNumber":1}})");
  EXPECT_EQ(dump(on("notify")),
            R"({"timestamp":1700000000,"jobs":{"QUEUED":[{"jobId":"job1","queuedAt":1700000000,)"
            R"("lastUpdatedAt":1700000000,"versionNumber":1,"executionNumber":1}]}})");
  create("job2");
  EXPECT_THAT(topics(), ElementsAre("notify"));
  EXPECT_EQ(on("notify")["jobs"]["QUEUED"].size(), 2U);
  ask("start-next");
  EXPECT_THAT(topics(), ElementsAre("start-next/accepted"));
  create("job3");
  EXPECT_THAT(topics(), ElementsAre("notify"));
  EXPECT_EQ(on("notify")["jobs"]["IN_PROGRESS"].size(), 1U);
  set("job1", "SUCCEEDED");
  EXPECT_THAT(topics(), ElementsAre("job1/update/accepted", "notify", "notify-next"));
  EXPECT_EQ(on("notify-next")["execution"]["jobId"], "job2");
  EXPECT_EQ(on("notify-next")["execution"]["status"], "QUEUED");
  set("job3", "IN_PROGRESS");
  EXPECT_THAT(topics(), ElementsAre("job3/update/accepted", "notify-next"));
  EXPECT_EQ(on("notify-next")["execution"]["jobId"], "job3");
  set("job2", "REJECTED");
  EXPECT_THAT(topics(), ElementsAre("job2/update/accepted", "notify"));
  done("DeleteJobExecution",
       {{"jobId", "job3"}, {"thingName", "pump"}, {"executionNumber", 1}, {"force", true}});
  EXPECT_THAT(sent(),
              ElementsAre(R"($aws/things/pump/jobs/notify {"timestamp":1700000000,"jobs":{}})",
                          R"($aws/things/pump/jobs/notify-next {"timestamp":1700000000})"));
}

TEST_F(LabJobs, NotifyThroughTheBrokerAndReplyToTheRequester) {
  create("job1");
  for (const Answer& a : out_.all) EXPECT_EQ(a.to, Answer::To::broker);
  set("job1", "SUCCEEDED");
  EXPECT_EQ(out_.all.at(0).to, Answer::To::requester);
  EXPECT_EQ(out_.all.at(1).to, Answer::To::broker);
  EXPECT_EQ(out_.all.at(1).qos, 1);
}

TEST_F(LabJobs, NotifyListsTenAtMost) {
  for (int i = 0; i < 12; ++i) create("job" + std::to_string(i));
  EXPECT_EQ(on("notify")["jobs"]["QUEUED"].size(), 10U);
  EXPECT_EQ(on("notify")["jobs"]["QUEUED"][9]["jobId"], "job9");
  EXPECT_EQ(ask("get")["queuedJobs"].size(), 12U);
}

TEST_F(LabJobs, ListsWhatIsPendingInOrder) {
  create("b");
  create("a");
  create("c");
  set("c", "IN_PROGRESS");
  const Json reply = ask("get", R"({"clientToken":"t1"})");
  EXPECT_EQ(reply["inProgressJobs"].size(), 1U);
  EXPECT_EQ(reply["inProgressJobs"][0]["jobId"], "c");
  EXPECT_EQ(reply["inProgressJobs"][0]["startedAt"], 1'700'000'000);
  EXPECT_EQ(reply["queuedJobs"][0]["jobId"], "b");
  EXPECT_EQ(reply["queuedJobs"][1]["jobId"], "a");
  EXPECT_EQ(reply["timestamp"], 1'700'000'000);
  EXPECT_EQ(reply["clientToken"], "t1");
}

TEST_F(LabJobs, StartNextStartsAndThenGivesTheSameBackUnchanged) {
  create("job1");
  const Json first = ask("start-next", R"({"statusDetails":{"step":"1"}})")["execution"];
  EXPECT_EQ(first["status"], "IN_PROGRESS");
  EXPECT_EQ(first["versionNumber"], 2);
  EXPECT_EQ(first["statusDetails"], Json({{"step", "1"}}));
  now_.ms += 5000;
  const Json again =
      ask("start-next", R"({"statusDetails":{"step":"2"},"stepTimeoutInMinutes":5})");
  EXPECT_EQ(again["execution"], first);
  EXPECT_THAT(topics(), ElementsAre("start-next/accepted"));
}

TEST_F(LabJobs, StartNextWithNothingToDoHasNoExecution) {
  EXPECT_EQ(dump(ask("start-next", R"({"clientToken":"x"})")),
            R"({"timestamp":1700000000,"clientToken":"x"})");
}

TEST_F(LabJobs, DescribeGivesTheDocumentUnlessAskedNotTo) {
  create("job1");
  EXPECT_EQ(ask("job1/get")["execution"]["jobDocument"], Json({{"op", "job1"}}));
  EXPECT_FALSE(
      ask("job1/get", R"({"includeJobDocument":false})")["execution"].contains("jobDocument"));
  EXPECT_EQ(ask("$next/get")["execution"]["jobId"], "job1");
  EXPECT_EQ(ask("job1/get", R"({"executionNumber":2})")["code"], "ResourceNotFound");
  EXPECT_EQ(ask("job2/get")["code"], "ResourceNotFound");
}

TEST_F(LabJobs, NextWithNothingToDoIsASwitch) {
  EXPECT_EQ(dump(ask("$next/get")), R"({"timestamp":1700000000})");
  JobsSettings settings;
  settings.empty_next_is_object = true;
  jobs_.configure(settings);
  EXPECT_EQ(dump(ask("$next/get")), R"({"execution":{},"timestamp":1700000000})");
}

TEST_F(LabJobs, DescribeOfWhatIsOverSaysSo) {
  create("job1");
  set("job1", "SUCCEEDED");
  EXPECT_EQ(ask("job1/get")["code"], "TerminalStateReached");
}

TEST_F(LabJobs, EveryUpdateRaisesTheVersionByOne) {
  create("job1");
  const auto version = [&](const std::string& update) -> std::int64_t {
    return ask("job1/update", update)["executionState"]["versionNumber"];
  };
  EXPECT_EQ(version(R"({"status":"IN_PROGRESS","includeJobExecutionState":true})"), 2);
  EXPECT_EQ(version(R"({"status":"IN_PROGRESS","includeJobExecutionState":true})"), 3);
  EXPECT_EQ(version(R"({"status":"FAILED","includeJobExecutionState":true})"), 4);
}

TEST_F(LabJobs, DetailsStayWhenOmittedAndAreReplacedWhenGiven) {
  create("job1");
  ask("job1/update", R"({"status":"IN_PROGRESS","statusDetails":{"a":"1","b":"2"}})");
  Json state = ask("job1/update", R"({"status":"IN_PROGRESS","includeJobExecutionState":true})");
  EXPECT_EQ(state["executionState"]["statusDetails"], Json({{"a", "1"}, {"b", "2"}}));
  state =
      ask("job1/update",
          R"({"status":"SUCCEEDED","includeJobExecutionState":true,"statusDetails":{"c":"3"}})");
  EXPECT_EQ(state["executionState"]["statusDetails"], Json({{"c", "3"}}));
}

TEST_F(LabJobs, UpdateGivesTheDocumentWhenAsked) {
  create("job1");
  const Json reply = ask("job1/update", R"({"status":"IN_PROGRESS","includeJobDocument":true})");
  EXPECT_EQ(reply["jobDocument"], Json({{"op", "job1"}}));
  EXPECT_FALSE(reply.contains("executionState"));
}

TEST_F(LabJobs, ExpectedVersionMayBeANumberOrText) {
  create("job1");
  EXPECT_FALSE(
      ask("job1/update", R"({"status":"IN_PROGRESS","expectedVersion":"1"})").contains("code"));
  EXPECT_FALSE(
      ask("job1/update", R"({"status":"IN_PROGRESS","expectedVersion":2})").contains("code"));
  const Json reply = ask("job1/update", R"({"status":"SUCCEEDED","expectedVersion":"1"})");
  EXPECT_EQ(reply["code"], "VersionMismatch");
  EXPECT_EQ(reply["executionState"]["versionNumber"], 3);
  EXPECT_EQ(status_of("job1"), "IN_PROGRESS");
}

TEST_F(LabJobs, AllTransitionsOfADevice) {
  for (const std::string from : {"QUEUED", "IN_PROGRESS"}) {
    for (const std::string to : {"IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"}) {
      const std::string id = from + '-' + to;
      create(id);
      if (from == "IN_PROGRESS") set(id, from);
      EXPECT_FALSE(set(id, to).contains("code")) << id;
      EXPECT_EQ(status_of(id), to);
    }
  }
  for (const std::string over : {"SUCCEEDED", "FAILED", "REJECTED"}) {
    for (const std::string to : {"IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"}) {
      const Json reply = set("QUEUED-" + over, to);
      EXPECT_EQ(reply["code"], "InvalidStateTransition");
      EXPECT_EQ(reply["executionState"]["status"], over);
    }
  }
}

TEST_F(LabJobs, QueuedToTheEndIsASwitch) {
  JobsSettings settings;
  settings.queued_may_finish = false;
  jobs_.configure(settings);
  create("job1");
  EXPECT_EQ(set("job1", "SUCCEEDED")["code"], "InvalidStateTransition");
  EXPECT_EQ(set("job1", "FAILED")["code"], "InvalidStateTransition");
  EXPECT_FALSE(set("job1", "REJECTED").contains("code"));
}

TEST_F(LabJobs, StepTimerAsInTheExampleOfTheDocumentation) {
  create("job1", {{"timeoutConfig", {{"inProgressTimeoutInMinutes", 20}}}});
  const WallTime noon = now_;
  const auto due_minutes = [&] { return (jobs_.wake().ms - noon.ms) / 60'000; };
  set("job1", "IN_PROGRESS");
  EXPECT_EQ(due_minutes(), 20);
  wait_minutes(5);
  ask("job1/update", R"({"status":"IN_PROGRESS","stepTimeoutInMinutes":7})");
  EXPECT_EQ(due_minutes(), 12);
  wait_minutes(5);
  ask("job1/update", R"({"status":"IN_PROGRESS","stepTimeoutInMinutes":5})");
  EXPECT_EQ(due_minutes(), 15);
  wait_minutes(3);
  ask("job1/update", R"({"status":"IN_PROGRESS","stepTimeoutInMinutes":9})");
  EXPECT_EQ(due_minutes(), 20);
  EXPECT_EQ(ask("job1/get")["execution"]["approximateSecondsBeforeTimedOut"], 7 * 60);
  set("job1", "IN_PROGRESS");
  EXPECT_EQ(due_minutes(), 20);
  wait_minutes(7);
  EXPECT_EQ(status_of("job1"), "TIMED_OUT");
}

TEST_F(LabJobs, UpdateWithoutStepTimerLeavesItAndMinusOneCancelsIt) {
  create("job1");
  ask("start-next", R"({"stepTimeoutInMinutes":10})");
  const WallTime due = jobs_.wake();
  wait_minutes(3);
  set("job1", "IN_PROGRESS");
  EXPECT_EQ(jobs_.wake(), due);
  ask("job1/update", R"({"status":"IN_PROGRESS","stepTimeoutInMinutes":-1})");
  EXPECT_EQ(jobs_.wake().ms, Service::kNoTime);
  EXPECT_FALSE(ask("job1/get")["execution"].contains("approximateSecondsBeforeTimedOut"));
}

TEST_F(LabJobs, TimedOutIsNotifiedAndRefusesLateUpdates) {
  create("job1", {{"timeoutConfig", {{"inProgressTimeoutInMinutes", 1}}}});
  set("job1", "IN_PROGRESS");
  wait_minutes(1);
  EXPECT_THAT(topics(), ElementsAre("notify", "notify-next"));
  const Json reply = set("job1", "SUCCEEDED");
  EXPECT_EQ(reply["code"], "InvalidStateTransition");
  EXPECT_EQ(reply["executionState"]["status"], "TIMED_OUT");
}

TEST_F(LabJobs, AQueuedExecutionNeverTimesOut) {
  create("job1", {{"timeoutConfig", {{"inProgressTimeoutInMinutes", 1}}}});
  EXPECT_EQ(jobs_.wake().ms, Service::kNoTime);
  wait_minutes(100);
  EXPECT_EQ(status_of("job1"), "QUEUED");
}

Json retries(const std::string& type, int count) {
  return {
      {"jobExecutionsRetryConfig",
       {{"criteriaList", Json::array({Json{{"failureType", type}, {"numberOfRetries", count}}})}}}};
}

TEST_F(LabJobs, FailedIsTriedAgainUnderANewNumber) {
  create("job1", retries("FAILED", 1));
  ask("start-next");
  set("job1", "FAILED");
  EXPECT_THAT(topics(), ElementsAre("job1/update/accepted", "notify", "notify-next"));
  EXPECT_EQ(on("notify-next")["execution"]["executionNumber"], 2);
  EXPECT_EQ(on("notify-next")["execution"]["versionNumber"], 1);
  EXPECT_EQ(ask("job1/get", R"({"executionNumber":1})")["code"], "TerminalStateReached");
  EXPECT_EQ(ask("job1/update", R"({"status":"SUCCEEDED","executionNumber":1})")["code"],
            "InvalidStateTransition");
  EXPECT_EQ(ask("job1/update", R"({"status":"SUCCEEDED","executionNumber":3})")["code"],
            "ResourceNotFound");
  set("job1", "FAILED");
  EXPECT_EQ(ask("get")["queuedJobs"].size(), 0U);
}

TEST_F(LabJobs, OnlyTheConfiguredFailuresAreTriedAgain) {
  create("job1", retries("TIMED_OUT", 2));
  set("job1", "FAILED");
  EXPECT_EQ(status_of("job1"), "FAILED");
  create("job2", retries("TIMED_OUT", 1));
  ask("start-next", R"({"stepTimeoutInMinutes":1})");
  wait_minutes(1);
  EXPECT_EQ(status_of("job2"), "QUEUED");
  create("job3", retries("ALL", 3));
  set("job3", "REJECTED");
  EXPECT_EQ(status_of("job3"), "REJECTED");
  create("job4", retries("ALL", 1));
  set("job4", "FAILED");
  EXPECT_EQ(status_of("job4"), "QUEUED");
  set("job4", "FAILED");
  EXPECT_EQ(status_of("job4"), "FAILED");
}

TEST_F(LabJobs, ForcedCancellationIsToldByNotifyAndByTheNextUpdate) {
  create("job1");
  ask("start-next");
  EXPECT_EQ(refused("CancelJobExecution", {{"jobId", "job1"}, {"thingName", "pump"}}),
            "InvalidStateTransitionException: the execution is IN_PROGRESS");
  done("CancelJobExecution", {{"jobId", "job1"}, {"thingName", "pump"}, {"force", true}});
  EXPECT_THAT(topics(), ElementsAre("notify", "notify-next"));
  const Json reply = set("job1", "SUCCEEDED");
  EXPECT_EQ(reply["code"], "InvalidStateTransition");
  EXPECT_EQ(reply["executionState"]["status"], "CANCELED");
}

TEST_F(LabJobs, AfterDeletionTheExecutionIsUnknown) {
  create("job1");
  ask("start-next");
  done("DeleteJob", {{"jobId", "job1"}, {"force", true}});
  EXPECT_THAT(topics(), ElementsAre("notify", "notify-next"));
  EXPECT_EQ(set("job1", "SUCCEEDED")["code"], "ResourceNotFound");
}

TEST_F(LabJobs, PresignedUrlsAreMadeAtEachFetch) {
  create("job1", {{"document", R"({"url":"${aws:iot:s3-presigned-url:https://s3/b/k}"})"},
                  {"presignedUrlConfig", {{"expiresInSec", 60}}}});
  EXPECT_EQ(ask("job1/get")["execution"]["jobDocument"]["url"],
            "https://s3/b/k?from=1700000000000&for=60");
  now_.ms += 90'000;
  EXPECT_EQ(ask("job1/get")["execution"]["jobDocument"]["url"],
            "https://s3/b/k?from=1700000090000&for=60");
}

/// Topic, payload, and the code that must come back.
struct Bad {
  std::string topic;
  std::string payload;
  std::string code;
};

TEST_F(LabJobs, RefuseWhatMakesNoSense) {
  create("job1");
  const std::string start = R"({"status":"IN_PROGRESS",)";
  const std::vector<Bad> all = {
      {"nonsense", "{}", "InvalidTopic"},
      {"job1/delete", "{}", "InvalidTopic"},
      {"", "{}", "InvalidTopic"},
      {"/get", "{}", "InvalidTopic"},
      {"notify", "{}", "InvalidTopic"},
      {"get", "", "InvalidJson"},
      {"get", "{", "InvalidJson"},
      {"get", "\"\xff\"", "InvalidJson"},
      {"get", "[]", "InvalidRequest"},
      {"get", R"({"clientToken":7})", "InvalidRequest"},
      {"get", R"({"clientToken":")" + std::string(65, 'x') + "\"}", "InvalidRequest"},
      {"jo.b/get", "{}", "InvalidRequest"},
      {"$next/update", start + "\"a\":1}", "InvalidRequest"},
      {std::string(65, 'j') + "/get", "{}", "InvalidRequest"},
      {"job1/get", R"({"executionNumber":"x"})", "InvalidRequest"},
      {"job1/get", R"({"includeJobDocument":"yes"})", "InvalidRequest"},
      {"job1/update", "{}", "InvalidRequest"},
      {"job1/update", R"({"status":"QUEUED"})", "InvalidRequest"},
      {"job1/update", R"({"status":"CANCELED"})", "InvalidRequest"},
      {"job1/update", R"({"status":7})", "InvalidRequest"},
      {"job1/update", start + R"("expectedVersion":"1x"})", "InvalidRequest"},
      {"job1/update", start + R"("expectedVersion":1.5})", "InvalidRequest"},
      {"job1/update", start + R"("stepTimeoutInMinutes":0})", "InvalidRequest"},
      {"job1/update", start + R"("stepTimeoutInMinutes":10081})", "InvalidRequest"},
      {"job1/update", start + R"("stepTimeoutInMinutes":-2})", "InvalidRequest"},
      {"job1/update", start + R"("statusDetails":[]})", "InvalidRequest"},
      {"job1/update", start + R"("statusDetails":{"a":1}})", "InvalidRequest"},
      {"job1/update", start + R"("statusDetails":{"a b":"1"}})", "InvalidRequest"},
      {"job1/update", start + R"("statusDetails":{"":"1"}})", "InvalidRequest"},
      {"job1/update", start + R"("statusDetails":{"a":""}})", "InvalidRequest"},
      {"job1/update", start + R"("statusDetails":{"a":"two\nlines"}})", "InvalidRequest"},
      {"start-next", R"({"statusDetails":{"a":"tab\t"}})", "InvalidRequest"},
      {"start-next", R"({"stepTimeoutInMinutes":true})", "InvalidRequest"},
      {"job9/update", R"({"status":"IN_PROGRESS"})", "ResourceNotFound"}};
  for (const Bad& bad : all) {
    EXPECT_EQ(ask(bad.topic, bad.payload)["code"], bad.code) << bad.topic << ' ' << bad.payload;
    EXPECT_EQ(status_of("job1"), "QUEUED") << bad.payload;
  }
}

TEST_F(LabJobs, RefusalsEchoTheTokenAndSayWhen) {
  EXPECT_EQ(dump(ask("job9/get", R"({"clientToken":"t"})")),
            R"({"code":"ResourceNotFound","message":"there is no such execution",)"
            R"("timestamp":1700000000,"clientToken":"t"})");
}

TEST_F(LabJobs, UnknownThingsAreNotFound) {
  world_.things.clear();
  EXPECT_EQ(ask("get")["code"], "ResourceNotFound");
  EXPECT_EQ(ask("start-next")["code"], "ResourceNotFound");
}

TEST_F(LabJobs, MembersThatAreNullCountAsNotGiven) {
  create("job1");
  EXPECT_FALSE(ask("job1/update", R"({"status":"IN_PROGRESS","statusDetails":null,)"
                                  R"("expectedVersion":null,"clientToken":null})")
                   .contains("code"));
}

TEST_F(LabJobs, LenientDetailsAreASwitch) {
  JobsSettings settings;
  settings.strict_details = false;
  jobs_.configure(settings);
  create("job1");
  EXPECT_FALSE(ask("job1/update", R"({"status":"IN_PROGRESS","statusDetails":{"a":"x\ny","b":""}})")
                   .contains("code"));
}

TEST_F(LabJobs, ThrottleAboveTheirQuota) {
  JobsSettings settings;
  settings.reads_per_second = 2;
  settings.writes_per_second = 1;
  jobs_.configure(settings);
  EXPECT_FALSE(ask("get").contains("code"));
  EXPECT_FALSE(ask("$next/get").contains("code"));
  EXPECT_EQ(ask("get")["code"], "RequestThrottled");
  EXPECT_FALSE(ask("start-next").contains("code"));
  EXPECT_EQ(ask("start-next")["code"], "RequestThrottled");
  now_.ms += 1000;
  EXPECT_FALSE(ask("get").contains("code"));
}

TEST_F(LabJobs, FailInsideWhenToldTo) {
  JobsSettings settings;
  settings.internal_errors_per_mille = 1000;
  jobs_.configure(settings);
  EXPECT_EQ(ask("get")["code"], "InternalError");
}

}  // namespace
}  // namespace holdfast::lab::iot
