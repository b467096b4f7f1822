// Jobs as operators and HTTP devices see them: operations, events, groups, documents, saved state.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lab/iot/jobs.h"
#include "lab/iot/jobs_fixture.h"

namespace holdfast::lab::iot {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class LabJobsApi : public JobsFixture {};

TEST_F(LabJobsApi, CreateQueuesForEachThingOnce) {
  world_.groups["floor"] = {"pump", "valve"};
  create("job1", {{"targets", {kPump, kGroup}}, {"description", "both"}});
  EXPECT_EQ(done("ListJobExecutionsForJob", {{"jobId", "job1"}})["executionSummaries"].size(), 2U);
  const Json job = done("DescribeJob", {{"jobId", "job1"}})["job"];
  EXPECT_EQ(job["jobArn"], "arn:aws:iot:eu-central-1:123456789012:job/job1");
  EXPECT_EQ(job["status"], "IN_PROGRESS");
  EXPECT_EQ(job["targetSelection"], "SNAPSHOT");
  EXPECT_EQ(job["description"], "both");
  EXPECT_EQ(job["targets"].size(), 2U);
  EXPECT_EQ(job["jobProcessDetails"]["numberOfQueuedThings"], 2);
  EXPECT_EQ(done("GetJobDocument", {{"jobId", "job1"}})["document"], R"({"op":"job1"})");
}

TEST_F(LabJobsApi, ASnapshotJobCompletesWithItsLastExecution) {
  create("job1", {{"targets", {kPump, kValve}}});
  set("job1", "SUCCEEDED");
  EXPECT_EQ(done("DescribeJob", {{"jobId", "job1"}})["job"]["status"], "IN_PROGRESS");
  done("CancelJobExecution", {{"jobId", "job1"}, {"thingName", "valve"}});
  const Json job = done("DescribeJob", {{"jobId", "job1"}})["job"];
  EXPECT_EQ(job["status"], "COMPLETED");
  EXPECT_EQ(job["jobProcessDetails"]["numberOfSucceededThings"], 1);
  EXPECT_EQ(job["jobProcessDetails"]["numberOfCanceledThings"], 1);
  EXPECT_TRUE(job.contains("completedAt"));
}

TEST_F(LabJobsApi, FinishedJobsAreForgottenAfterTwoYears) {
  create("job1");
  set("job1", "SUCCEEDED");
  EXPECT_EQ(jobs_.wake().ms, now_.ms + Jobs::kRetentionMs);
  wait_minutes(Jobs::kRetentionMs / 60'000);
  EXPECT_THAT(refused("DescribeJob", {{"jobId", "job1"}}), StartsWith("ResourceNotFoundException"));
  EXPECT_EQ(jobs_.wake().ms, Service::kNoTime);
}

TEST_F(LabJobsApi, RefusesJobsThatMakeNoSense) {
  create("taken");
  const auto why = [&](const Json& more) {
    Json input = job_input("job1");
    for (const auto& [key, value] : more.items()) {
      if (value.is_null()) {
        input.erase(key);
      } else {
        input[key] = value;
      }
    }
    return refused("CreateJob", input);
  };
  const std::string invalid = "InvalidRequestException: ";
  EXPECT_EQ(why({{"jobId", nullptr}}), invalid + "jobId is missing");
  EXPECT_EQ(why({{"jobId", "a b"}}), invalid + "jobId must be [a-zA-Z0-9_-]{1,64}");
  EXPECT_EQ(why({{"jobId", "taken"}}), "ResourceAlreadyExistsException: there is a job taken");
  EXPECT_EQ(why({{"targets", nullptr}}), invalid + "targets is missing");
  EXPECT_EQ(why({{"targets", Json::array()}}), invalid + "targets must be 1 to 100 ARNs");
  EXPECT_EQ(why({{"targets", {"pump"}}}),
            invalid + "targets must be ARNs of things or thing groups of this account and Region");
  EXPECT_THAT(why({{"targets", {std::string(kPump) + "2"}}}),
              StartsWith("ResourceNotFoundException"));
  EXPECT_THAT(why({{"targets", {kGroup}}}), StartsWith("ResourceNotFoundException"));
  EXPECT_EQ(why({{"targetSelection", "SOME"}}),
            invalid + "targetSelection must be SNAPSHOT or CONTINUOUS");
  EXPECT_EQ(why({{"document", nullptr}}),
            invalid + "document or documentSource must be given, and not both");
  EXPECT_EQ(why({{"document", "{"}}), invalid + "document is wrong: no JSON at byte 2");
  EXPECT_EQ(why({{"document", "[]"}}), invalid + "document must be a JSON object");
  EXPECT_EQ(why({{"document", R"({"a":")" + std::string(kDocumentBytes, 'x') + "\"}"}}),
            invalid + "document is over 32768 bytes");
  EXPECT_EQ(why({{"document", nullptr}, {"documentSource", "https://s3/none"}}),
            invalid + "documentSource cannot be read");
  EXPECT_EQ(why({{"description", std::string(2029, 'x')}}), invalid + "description is too long");
  EXPECT_EQ(why({{"timeoutConfig", {{"inProgressTimeoutInMinutes", 0}}}}),
            invalid + "timeoutConfig.inProgressTimeoutInMinutes must be 1 to 10080");
  EXPECT_EQ(why({{"timeoutConfig", 7}}), invalid + "timeoutConfig must be an object");
  EXPECT_EQ(why({{"presignedUrlConfig", {{"expiresInSec", 59}}}}),
            invalid + "presignedUrlConfig.expiresInSec must be 60 to 3600");
  EXPECT_EQ(why({{"abortConfig", Json::object()}}),
            invalid + "abortConfig is not supported by the lab");
  EXPECT_EQ(refused("CreateJob", Json::array()), invalid + "input must be an object");
  EXPECT_EQ(done("ListJobs", Json::object())["jobs"].size(), 1U);
}

TEST_F(LabJobsApi, RefusesRetriesThatMakeNoSense) {
  const auto why = [&](const Json& criteria) {
    Json input = job_input("job1");
    input["jobExecutionsRetryConfig"]["criteriaList"] = criteria;
    return refused("CreateJob", input);
  };
  const auto criterion = [](const char* type, int count) {
    return Json{{"failureType", type}, {"numberOfRetries", count}};
  };
  EXPECT_THAT(why(Json::array({criterion("REJECTED", 1)})),
              HasSubstr("criteriaList[0].failureType"));
  EXPECT_THAT(why(Json::array({criterion("FAILED", 11)})), HasSubstr("numberOfRetries must be"));
  EXPECT_THAT(why(Json::array({criterion("FAILED", 6), criterion("TIMED_OUT", 5)})),
              HasSubstr("more than 10 retries"));
  EXPECT_THAT(why(Json::array({criterion("ALL", 1), criterion("FAILED", 1)})),
              HasSubstr("ALL alone"));
  EXPECT_THAT(why(Json::array()), HasSubstr("criteriaList must have"));
  EXPECT_THAT(why(7), HasSubstr("must be a list"));
  EXPECT_EQ(why(Json::array({criterion("FAILED", 5), criterion("TIMED_OUT", 5)})), "");
}

TEST_F(LabJobsApi, DocumentsMayComeFromALink) {
  Json input = job_input("job1");
  input.erase("document");
  input["documentSource"] = "https://s3/bucket/doc";
  done("CreateJob", input);
  EXPECT_EQ(ask("job1/get")["execution"]["jobDocument"], Json({{"from", "s3"}}));
  EXPECT_EQ(done("DescribeJob", {{"jobId", "job1"}})["documentSource"], "https://s3/bucket/doc");
}

TEST_F(LabJobsApi, ManagedTemplatesFillInTheirParameters) {
  const auto input = [](const std::string& name, const Json& parameters) {
    return Json{{"jobId", "job1"},
                {"targets", {kPump}},
                {"jobTemplateArn", "arn:aws:iot:eu-central-1::jobtemplate/" + name},
                {"documentParameters", parameters}};
  };
  EXPECT_THAT(refused("CreateJob", input("AWS-Nonsense:1.0", Json::object())),
              StartsWith("ResourceNotFoundException"));
  EXPECT_EQ(refused("CreateJob", input("AWS-Download-File:1.0", {{"filePath", "/f"}})),
            "InvalidRequestException: documentParameters.downloadUrl is missing");
  EXPECT_EQ(refused("CreateJob", input("AWS-Reboot:1.0", {{"x", "y"}})),
            "InvalidRequestException: documentParameters.x is no parameter of the template");
  EXPECT_EQ(
      refused("CreateJob", input("AWS-Reboot:1.0", {{"runAsUser", std::string(257, 'u')}})),
      "InvalidRequestException: documentParameters.runAsUser must have at most 256 characters");
  done("CreateJob", input("AWS-Download-File:1.0",
                          {{"downloadUrl", "u"}, {"filePath", "/f"}, {"runAsUser", "root"}}));
  EXPECT_EQ(done("GetJobDocument", {{"jobId", "job1"}})["document"],
            R"({"version":"1.0","steps":[{"action":{"name":"Download-File","type":"runHandler",)"
            R"("input":{"handler":"download-file.sh","args":["u","/f"],"path":""},)"
            R"("runAsUser":"root"}}]})");
}

TEST_F(LabJobsApi, EveryManagedTemplateMakesAJob) {
  EXPECT_EQ(managed_templates().size(), 8U);
  for (const ManagedTemplate& one : managed_templates()) {
    Json parameters = Json::object();
    for (const std::string& name : one.required) parameters[name] = "value";
    done("CreateJob",
         {{"jobId", one.name},
          {"targets", {kPump}},
          {"jobTemplateArn", "arn:aws:iot:eu-central-1::jobtemplate/" + one.name + ":1.0"},
          {"documentParameters", parameters}});
    EXPECT_EQ(ask(one.name + "/get")["execution"]["jobDocument"]["version"], "1.0");
  }
}

TEST(LabJobDocument, OmittedParametersAreASwitch) {
  const Json document =
      *parse_json(R"({"a":"${aws:iot:parameter:x}","b":["${aws:iot:parameter:x}",)"
                  R"("<${aws:iot:parameter:x}>"]})");
  const auto with = [&](const Json& parameters, OmittedParameter omitted) {
    return dump(with_parameters(document, parameters, omitted));
  };
  EXPECT_EQ(with({{"x", "1"}}, OmittedParameter::removed), R"({"a":"1","b":["1","<1>"]})");
  EXPECT_EQ(with(Json::object(), OmittedParameter::empty), R"({"a":"","b":["","<>"]})");
  EXPECT_EQ(with(Json::object(), OmittedParameter::removed), R"({"b":["<>"]})");
  EXPECT_EQ(with(Json::object(), OmittedParameter::literal), dump(document));
}

TEST(LabJobDocument, PresignedUrlsMayStandInAText) {
  const Json document =
      *parse_json(R"({"a":"x ${aws:iot:s3-presigned-url:1} y ${aws:iot:s3-presigned-url:2}",)"
                  R"("b":"${aws:iot:s3-presigned-url:never closed","c":7})");
  EXPECT_EQ(
      dump(with_presigned_urls(document, [](auto url) { return "<" + std::string(url) + ">"; })),
      R"({"a":"x <1> y <2>","b":"${aws:iot:s3-presigned-url:never closed","c":7})");
}

TEST(LabJobDocument, DetailsAreCountedInCharactersNotBytes) {
  std::string umlauts;
  for (int i = 0; i < 1024; ++i) umlauts += "\xc3\xa4";
  EXPECT_EQ(complaint_about_details({{"a", umlauts}}, true), "");
  EXPECT_EQ(complaint_about_details({{"a", umlauts + "x"}}, true),
            "statusDetails.a must have at most 1024 characters");
  EXPECT_THAT(complaint_about_details({{"a", "zero\xe2\x80\x8bwidth"}}, true),
              HasSubstr("control characters"));
  EXPECT_EQ(complaint_about_details({{"a", "\xf0\x9f\x9a\x80"}}, true), "");
  Json many = Json::object();
  for (int i = 0; i < 11; ++i) many[std::to_string(i)] = "x";
  EXPECT_EQ(complaint_about_details(many, true), "statusDetails must have at most 10 members");
}

TEST_F(LabJobsApi, CancelLeavesWhatIsInProgressUnlessForced) {
  create("job1", {{"targets", {kPump, kValve}}});
  set("job1", "IN_PROGRESS");
  done("CancelJob", {{"jobId", "job1"}, {"reasonCode", "WHY"}, {"comment", "because"}});
  EXPECT_THAT(topics(),
              ElementsAre("$aws/things/valve/jobs/notify", "$aws/things/valve/jobs/notify-next"));
  const Json job = done("DescribeJob", {{"jobId", "job1"}})["job"];
  EXPECT_EQ(job["status"], "CANCELED");
  EXPECT_EQ(job["reasonCode"], "WHY");
  EXPECT_EQ(job["comment"], "because");
  EXPECT_EQ(status_of("job1"), "IN_PROGRESS");
  EXPECT_THAT(refused("DeleteJob", {{"jobId", "job1"}}),
              StartsWith("InvalidStateTransitionException"));
  done("CancelJob", {{"jobId", "job1"}, {"force", true}});
  EXPECT_THAT(topics(), ElementsAre("notify", "notify-next"));
  EXPECT_EQ(status_of("job1"), "CANCELED");
  EXPECT_EQ(done("DescribeJobExecution",
                 {{"jobId", "job1"}, {"thingName", "pump"}})["execution"]["forceCanceled"],
            true);
  done("DeleteJob", {{"jobId", "job1"}});
  EXPECT_THAT(refused("CancelJob", {{"jobId", "job1"}}), StartsWith("ResourceNotFoundException"));
}

TEST_F(LabJobsApi, WhatIsCompletedCannotBeCanceled) {
  create("job1");
  set("job1", "SUCCEEDED");
  EXPECT_EQ(refused("CancelJob", {{"jobId", "job1"}}),
            "InvalidRequestException: the job is COMPLETED");
}

TEST_F(LabJobsApi, ACanceledJobIsNotTriedAgain) {
  create(
      "job1",
      {{"jobExecutionsRetryConfig",
        {{"criteriaList", Json::array({Json{{"failureType", "ALL"}, {"numberOfRetries", 3}}})}}}});
  set("job1", "IN_PROGRESS");
  done("CancelJob", {{"jobId", "job1"}});
  set("job1", "FAILED");
  EXPECT_EQ(status_of("job1"), "FAILED");
}

TEST_F(LabJobsApi, CancelOfAnExecutionChecksItsVersion) {
  create("job1");
  const Json of = {{"jobId", "job1"}, {"thingName", "pump"}};
  Json input = of;
  input["expectedVersion"] = 7;
  EXPECT_EQ(refused("CancelJobExecution", input), "VersionConflictException: the version is 1");
  input["expectedVersion"] = 1;
  input["statusDetails"] = {{"bad key", "x"}};
  EXPECT_THAT(refused("CancelJobExecution", input), StartsWith("InvalidRequestException"));
  input["statusDetails"] = {{"by", "operator"}};
  done("CancelJobExecution", input);
  EXPECT_EQ(done("DescribeJobExecution", of)["execution"]["statusDetails"]["detailsMap"],
            Json({{"by", "operator"}}));
  EXPECT_EQ(refused("CancelJobExecution", of),
            "InvalidStateTransitionException: the execution is CANCELED");
}

TEST_F(LabJobsApi, DeleteOfAnExecutionNeedsForceUnlessItIsOver) {
  create("job1", {{"targets", {kPump, kValve}}});
  const Json of = {{"jobId", "job1"}, {"thingName", "pump"}, {"executionNumber", 1}};
  EXPECT_EQ(refused("DeleteJobExecution", of),
            "InvalidStateTransitionException: the execution is QUEUED");
  EXPECT_EQ(refused("DeleteJobExecution", {{"jobId", "job1"}, {"thingName", "pump"}}),
            "InvalidRequestException: executionNumber is missing");
  set("job1", "SUCCEEDED");
  done("DeleteJobExecution", of);
  EXPECT_THAT(topics(), IsEmpty());
  EXPECT_EQ(status_of("job1"), "none");
}

TEST_F(LabJobsApi, ListsGiveWhatIsAskedForInPages) {
  for (const std::string id : {"a", "b", "c"}) create(id);
  set("b", "SUCCEEDED");
  const Json first = done("ListJobs", {{"maxResults", 2}});
  EXPECT_EQ(first["jobs"].size(), 2U);
  const Json second = done("ListJobs", {{"maxResults", 2}, {"nextToken", first["nextToken"]}});
  EXPECT_EQ(second["jobs"].size(), 1U);
  EXPECT_FALSE(second.contains("nextToken"));
  EXPECT_EQ(done("ListJobs", {{"status", "COMPLETED"}})["jobs"][0]["jobId"], "b");
  EXPECT_EQ(done("ListJobs", {{"targetSelection", "CONTINUOUS"}})["jobs"].size(), 0U);
  const Json queued =
      done("ListJobExecutionsForThing", {{"thingName", "pump"}, {"status", "QUEUED"}});
  EXPECT_EQ(queued["executionSummaries"].size(), 2U);
  EXPECT_EQ(done("ListJobExecutionsForThing",
                 {{"thingName", "pump"}, {"jobId", "b"}})["executionSummaries"]
                .size(),
            1U);
  EXPECT_THAT(refused("ListJobs", {{"nextToken", "99"}}), StartsWith("InvalidRequestException"));
  EXPECT_THAT(refused("ListJobs", {{"maxResults", 0}}), StartsWith("InvalidRequestException"));
  EXPECT_THAT(refused("ListJobExecutionsForThing", {{"thingName", "none"}}),
              StartsWith("ResourceNotFoundException"));
}

TEST_F(LabJobsApi, ContinuousJobsFollowTheirGroups) {
  world_.groups["floor"] = {"valve"};
  create("job1", {{"targets", {kGroup}}, {"targetSelection", "CONTINUOUS"}});
  EXPECT_EQ(status_of("job1"), "none");
  world_.groups["floor"] = {"valve", "pump"};
  jobs_.on_groups_changed(now_, "pump", out_ = {});
  EXPECT_THAT(topics(), ElementsAre("notify", "notify-next"));
  set("job1", "IN_PROGRESS");
  world_.groups["floor"] = {"valve"};
  jobs_.on_groups_changed(now_, "pump", out_ = {});
  EXPECT_THAT(topics(), ElementsAre("notify", "notify-next"));
  EXPECT_EQ(status_of("job1"), "REMOVED");
  EXPECT_EQ(set("job1", "SUCCEEDED")["executionState"]["status"], "REMOVED");
  world_.groups["floor"] = {"valve", "pump"};
  jobs_.on_groups_changed(now_, "pump", out_ = {});
  EXPECT_EQ(status_of("job1"), "QUEUED");
  set("job1", "SUCCEEDED");
  jobs_.on_groups_changed(now_, "pump", out_ = {});
  EXPECT_EQ(status_of("job1"), "SUCCEEDED");
  EXPECT_EQ(done("DescribeJob", {{"jobId", "job1"}})["job"]["status"], "IN_PROGRESS");
}

TEST_F(LabJobsApi, EventsArePublishedWhenSwitchedOn) {
  EventConfigurations events;
  jobs_.set_events(&events);
  create("job0");
  set("job0", "SUCCEEDED");
  EXPECT_THAT(topics(), Not(Contains(HasSubstr("$aws/events"))));
  (void)events.call(now_, "UpdateEventConfigurations",
                    {{"eventConfigurations",
                      {{"JOB", {{"Enabled", true}}}, {"JOB_EXECUTION", {{"Enabled", true}}}}}},
                    out_ = {});
  create("job1");
  set("job1", "SUCCEEDED");
  EXPECT_THAT(topics(),
              ElementsAre("job1/update/accepted", "$aws/events/jobExecution/job1/succeeded",
                          "$aws/events/job/job1/completed", "notify", "notify-next"));
  const Json event = on("$aws/events/jobExecution/job1/succeeded");
  EXPECT_EQ(event["eventType"], "JOB_EXECUTION");
  EXPECT_EQ(event["thingArn"], kPump);
  EXPECT_EQ(event["status"], "SUCCEEDED");
  EXPECT_EQ(event["eventId"].get<std::string>().size(), 36U);
  EXPECT_EQ(on("$aws/events/job/job1/completed")["status"], "COMPLETED");
  done("DeleteJob", {{"jobId", "job1"}});
  EXPECT_THAT(topics(),
              ElementsAre("$aws/events/job/job1/deletion_in_progress",
                          "$aws/events/jobExecution/job1/deleted", "$aws/events/job/job1/deleted"));
  create("job2");
  done("CancelJob", {{"jobId", "job2"}});
  EXPECT_THAT(topics(), ElementsAre("$aws/events/job/job2/cancellation_in_progress",
                                    "$aws/events/jobExecution/job2/canceled", "notify",
                                    "notify-next", "$aws/events/job/job2/canceled"));
}

// ---- the HTTP data plane -----------------------------------------------------------------------

TEST_F(LabJobsApi, HttpHasMillisecondsAndDocumentsAsText) {
  now_.ms += 7;
  create("job1");
  const Json pending = done("GetPendingJobExecutions", {{"thingName", "pump"}});
  EXPECT_EQ(pending["queuedJobs"][0]["queuedAt"], 1'700'000'000'007);
  EXPECT_FALSE(pending.contains("timestamp"));
  const Json started = done("StartNextPendingJobExecution",
                            {{"thingName", "pump"}, {"statusDetails", {{"a", "1"}}}})["execution"];
  EXPECT_EQ(started["thingName"], "pump");
  EXPECT_EQ(started["jobDocument"], R"({"op":"job1"})");
  EXPECT_EQ(started["startedAt"], 1'700'000'000'007);
  const Json described =
      done("jobs-data:DescribeJobExecution", {{"thingName", "pump"}, {"jobId", "$next"}});
  EXPECT_FALSE(described["execution"].contains("jobDocument"));
  EXPECT_TRUE(
      done("jobs-data:DescribeJobExecution",
           {{"thingName", "pump"}, {"jobId", "job1"}, {"includeJobDocument", "true"}})["execution"]
          .contains("jobDocument"));
  const Json updated = done("UpdateJobExecution", {{"thingName", "pump"},
                                                   {"jobId", "job1"},
                                                   {"status", "SUCCEEDED"},
                                                   {"includeJobExecutionState", true},
                                                   {"includeJobDocument", true}});
  EXPECT_EQ(updated["executionState"]["versionNumber"], 3);
  EXPECT_EQ(updated["jobDocument"], R"({"op":"job1"})");
  EXPECT_THAT(topics(), ElementsAre("notify", "notify-next"));
}

TEST_F(LabJobsApi, HttpErrorsAreExceptions) {
  create("job1");
  const Json of = {{"thingName", "pump"}, {"jobId", "job1"}};
  Json update = of;
  EXPECT_THAT(refused("UpdateJobExecution", of), StartsWith("InvalidRequestException"));
  EXPECT_THAT(refused("UpdateJobExecution", Json::object()), StartsWith("InvalidRequestException"));
  EXPECT_THAT(refused("UpdateJobExecution", 7), StartsWith("InvalidRequestException"));
  EXPECT_THAT(refused("jobs-data:DescribeJobExecution", {{"thingName", "pump"}, {"jobId", ""}}),
              StartsWith("InvalidRequestException"));
  update["status"] = "SUCCEEDED";
  update["expectedVersion"] = 9;
  EXPECT_THAT(refused("UpdateJobExecution", update), StartsWith("InvalidStateTransitionException"));
  JobsSettings settings;
  settings.http_version_mismatch = "ConflictException";
  jobs_.configure(settings);
  EXPECT_THAT(refused("UpdateJobExecution", update), StartsWith("ConflictException"));
  update.erase("expectedVersion");
  done("UpdateJobExecution", update);
  EXPECT_THAT(refused("UpdateJobExecution", update), StartsWith("InvalidStateTransitionException"));
  EXPECT_THAT(refused("jobs-data:DescribeJobExecution", of), StartsWith("TerminalStateException"));
  EXPECT_THAT(refused("GetPendingJobExecutions", {{"thingName", "none"}}),
              StartsWith("ResourceNotFoundException"));
  settings.reads_per_second = 1;
  jobs_.configure(settings);
  EXPECT_THAT(refused("GetPendingJobExecutions", {{"thingName", "pump"}}),
              StartsWith("ThrottlingException"));
}

// ---- saved state -------------------------------------------------------------------------------

TEST_F(LabJobsApi, StateComesBackAsItWas) {
  create(
      "job1",
      {{"timeoutConfig", {{"inProgressTimeoutInMinutes", 20}}},
       {"jobExecutionsRetryConfig",
        {{"criteriaList", Json::array({Json{{"failureType", "ALL"}, {"numberOfRetries", 3}}})}}}});
  create("job2", {{"targets", {kPump, kValve}}});
  set("job1", "FAILED");
  ask("job1/update",
      R"({"status":"IN_PROGRESS","statusDetails":{"a":"1"},"stepTimeoutInMinutes":5})");
  done("CancelJob", {{"jobId", "job2"}});
  const Json state = jobs_.save();
  Jobs other({}, world_, &world_, random_);
  ASSERT_TRUE(other.load(*parse_json(dump(state))));
  EXPECT_EQ(dump(other.save()), dump(state));
  EXPECT_EQ(other.wake(), jobs_.wake());
}

TEST_F(LabJobsApi, RevisionCountsChangesOnly) {
  const auto before = jobs_.revision();
  create("job1");
  const auto created = jobs_.revision();
  EXPECT_GT(created, before);
  ask("get");
  ask("job1/get");
  set("job1", "nonsense");
  EXPECT_EQ(jobs_.revision(), created);
  set("job1", "IN_PROGRESS");
  EXPECT_GT(jobs_.revision(), created);
}

TEST_F(LabJobsApi, BrokenStateIsRefusedByTheNameOfItsMember) {
  create("job1");
  const Json good = jobs_.save();
  const auto complaint = [&](const std::string& pointer, const Json& value) {
    return complaint_about(jobs_, good, pointer, value);
  };
  const std::string execution = "/jobs/job1/executions/pump/attempts/0";
  EXPECT_EQ(complaint("/jobs", 7), "jobs must be an object");
  EXPECT_EQ(complaint("/other", 7), "other is no member here");
  EXPECT_EQ(complaint("/lastOrder", -1), "lastOrder is out of range");
  EXPECT_EQ(complaint("/jobs/job1", 7), "jobs.job1 must be an object");
  EXPECT_EQ(complaint("/jobs/a.b", Json::object()), "jobs.a.b is no job id");
  EXPECT_EQ(complaint("/jobs/job1/status", "SOME"), "jobs.job1.status is no status of a job");
  EXPECT_EQ(complaint("/jobs/job1/document", "["), "jobs.job1.document must be a JSON object");
  EXPECT_EQ(complaint("/jobs/job1/given", 7), "jobs.job1.given must be an object");
  EXPECT_EQ(complaint("/jobs/job1/created", INT64_MAX), "jobs.job1.created is out of range");
  EXPECT_EQ(complaint("/jobs/job1/executions/pump/attempts", Json::array()),
            "jobs.job1.executions.pump.attempts must not be empty");
  EXPECT_EQ(complaint(execution + "/status", "DONE"),
            "jobs.job1.executions.pump.attempts[0].status is no status of an execution");
  EXPECT_EQ(complaint(execution + "/details", {{"a", 1}}),
            "jobs.job1.executions.pump.attempts[0].details must hold strings only");
  EXPECT_EQ(complaint(execution + "/number", 0),
            "jobs.job1.executions.pump.attempts[0].number is out of range");
  EXPECT_EQ(complaint("/jobs/job1/executions/pump/attempts/1", good[Json::json_pointer(execution)]),
            "jobs.job1.executions.pump.attempts must have rising numbers");
  EXPECT_EQ(jobs_.load(Json::array()).error().message, "input must be an object");
}

}  // namespace
}  // namespace holdfast::lab::iot
