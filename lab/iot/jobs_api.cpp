// The control plane of AWS IoT Jobs, apart from CreateJob.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "lab/iot/jobs_call.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::array<std::string_view, 4> kDataOperations = {
    "GetPendingJobExecutions", "StartNextPendingJobExecution", "jobs-data:DescribeJobExecution",
    "UpdateJobExecution"};
constexpr std::int64_t kLargestPage = 250;

/// As the control plane writes a time: seconds.
double seconds(WallTime time) { return static_cast<double>(time.ms) / 1000; }

Json summary_of(const Execution& e) {
  Json j = {{"status", to_string(e.status)}, {"queuedAt", seconds(e.queued)}};
  if (e.started) j["startedAt"] = seconds(*e.started);
  j["lastUpdatedAt"] = seconds(e.updated);
  j["executionNumber"] = e.number;
  j["retryAttempt"] = e.number - 1;
  return j;
}

Json summary_of(const std::string& arn, std::string_view id, const Job& job) {
  Json j = {{"jobArn", arn},
            {"jobId", id},
            {"targetSelection", job.continuous ? "CONTINUOUS" : "SNAPSHOT"},
            {"status", to_string(job.status)},
            {"createdAt", seconds(job.created)},
            {"lastUpdatedAt", seconds(job.updated)}};
  if (job.completed) j["completedAt"] = seconds(*job.completed);
  return j;
}

}  // namespace

Jobs::Call::Function Jobs::Call::named(std::string_view operation) {
  static constexpr std::array<std::pair<std::string_view, Function>, 11> kAll = {{
      {"CreateJob", &Call::create_job},
      {"DescribeJob", &Call::describe_job},
      {"ListJobs", &Call::list_jobs},
      {"CancelJob", &Call::cancel_job},
      {"DeleteJob", &Call::delete_job},
      {"GetJobDocument", &Call::get_job_document},
      {"DescribeJobExecution", &Call::describe_execution},
      {"CancelJobExecution", &Call::cancel_execution},
      {"DeleteJobExecution", &Call::delete_execution},
      {"ListJobExecutionsForJob", &Call::list_executions_for_job},
      {"ListJobExecutionsForThing", &Call::list_executions_for_thing},
  }};
  for (const auto& [name, function] : kAll) {
    if (name == operation) return function;
  }
  return nullptr;
}

bool Jobs::has_operation(std::string_view operation) const {
  return Call::named(operation) != nullptr ||
         std::find(kDataOperations.begin(), kDataOperations.end(), operation) !=
             kDataOperations.end();
}

ApiResult Jobs::call(WallTime now, std::string_view operation, const Json& input, Answers& out) {
  if (const Call::Function function = Call::named(operation)) {
    Call call(*this, now, input, out);
    return (call.*function)();
  }
  return call_data(now, operation, input, out);
}

// ---- what they share
// -----------------------------------------------------------------------------

ApiError Jobs::Call::invalid(std::string message) {
  return {std::string(kInvalidRequest), 400, std::move(message)};
}

Job* Jobs::Call::find_job() {
  const std::string id = in.text("jobId");
  if (!complaint.empty()) {
    error = invalid(complaint);
    return nullptr;
  }
  Job* job = jobs.book_.find(id);
  if (job == nullptr) error = {std::string(kNotFound), 404, "there is no job " + id};
  return job;
}

Execution* Jobs::Call::find_execution(Job*& job) {
  const std::string thing = in.text("thingName");
  const auto number = in.number_if("executionNumber");
  job = find_job();
  Execution* execution = job == nullptr ? nullptr : JobBook::find(*job, thing, number);
  if (job != nullptr && execution == nullptr) {
    error = {std::string(kNotFound), 404, "there is no such execution for " + thing};
  }
  return execution;
}

bool Jobs::Call::wanted(std::string_view status) {
  return !in.has("status") || in.text("status") == status;
}

ApiResult Jobs::Call::page(std::string_view key, std::vector<Json> items) {
  const std::int64_t most = in.number_if("maxResults").value_or(kLargestPage);
  const std::int64_t first = in.number_if("nextToken").value_or(0);
  const auto count = static_cast<std::int64_t>(items.size());
  if (most < 1 || most > kLargestPage) in.complain("maxResults", "must be 1 to 250");
  if (first < 0 || first > count) in.complain("nextToken", "is none of ours");
  if (!complaint.empty()) return invalid(complaint);
  const std::int64_t last = std::min(count, first + most);
  Json list = Json::array();
  for (std::int64_t i = first; i < last; ++i) {
    list.push_back(std::move(items[static_cast<std::size_t>(i)]));
  }
  Json result = Json::object();
  result[std::string(key)] = std::move(list);
  if (last < count) result["nextToken"] = std::to_string(last);
  return result;
}

// ---- jobs
// ----------------------------------------------------------------------------------------

ApiResult Jobs::Call::describe_job() {
  const Job* job = find_job();
  if (job == nullptr) return error;
  const std::string id = in.text("jobId");
  Json j = summary_of(jobs.job_arn(id), id, *job);
  j["targets"] = job->targets;
  j["forceCanceled"] = job->force_canceled;
  for (const auto& [key, value] : job->given.items()) {
    if (key != "documentSource") j[key] = value;
  }
  j["jobProcessDetails"] = job->process_details();
  Json result = Json::object();
  if (const std::string* source = string_in(job->given, "documentSource")) {
    result["documentSource"] = *source;
  }
  result["job"] = std::move(j);
  return result;
}

ApiResult Jobs::Call::list_jobs() {
  const std::string selection = in.text_or("targetSelection", "");
  std::vector<Json> items;
  for (const auto& [id, job] : jobs.book_.jobs) {
    Json one = summary_of(jobs.job_arn(id), id, job);
    if (!wanted(to_string(job.status))) continue;
    if (!selection.empty() && *string_in(one, "targetSelection") != selection) continue;
    items.push_back(std::move(one));
  }
  return page("jobs", std::move(items));
}

ApiResult Jobs::Call::cancel_job() {
  const bool force = in.flag_or("force", false);
  const std::string reason = short_text("reasonCode", 128);
  const std::string comment = short_text("comment", kDescriptionLength);
  Job* job = find_job();
  if (job == nullptr) return error;
  const std::string id = in.text("jobId");
  if (job->status == JobStatus::completed) return invalid("the job is COMPLETED");
  if (!reason.empty()) job->given["reasonCode"] = reason;
  if (!comment.empty()) job->given["comment"] = comment;
  if (job->status == JobStatus::in_progress) {
    jobs.job_event(now, id, *job, "cancellation_in_progress", out);
  }
  job->force_canceled = job->force_canceled || force;
  const bool already = std::exchange(job->status, JobStatus::canceled) == JobStatus::canceled;
  job->updated = now;
  if (!already) job->completed = now;
  for (auto& [thing, attempts] : job->executions) {
    Execution& last = attempts.back();
    if (is_terminal(last.status)) continue;
    if (last.status == ExecutionStatus::in_progress && !force) continue;
    const Seen before = jobs.look(thing);
    last.force_canceled = last.status == ExecutionStatus::in_progress;
    jobs.finish(now, id, *job, thing, last, ExecutionStatus::canceled, out);
    jobs.tell(now, thing, before, out);
  }
  if (!already) jobs.job_event(now, id, *job, "canceled", out);
  ++jobs.revision_;
  Json result = {{"jobArn", jobs.job_arn(id)}, {"jobId", id}};
  if (const std::string* text = string_in(job->given, "description")) result["description"] = *text;
  return result;
}

ApiResult Jobs::Call::delete_job() {
  const bool force = in.flag_or("force", false);
  Job* job = find_job();
  if (job == nullptr) return error;
  const std::string id = in.text("jobId");
  if (!force && (job->status == JobStatus::in_progress || job->busy())) {
    return ApiError{"InvalidStateTransitionException", 409,
                    "only a job that is over can be deleted without force"};
  }
  std::vector<std::pair<std::string, Seen>> before;
  for (const auto& [thing, attempts] : job->executions) {
    if (!is_terminal(attempts.back().status)) before.emplace_back(thing, jobs.look(thing));
  }
  jobs.job_event(now, id, *job, "deletion_in_progress", out);
  for (const auto& [thing, attempts] : job->executions) {
    jobs.execution_event(now, id, thing, attempts.back(), "deleted", out);
  }
  jobs.job_event(now, id, *job, "deleted", out);
  jobs.book_.jobs.erase(id);
  for (const auto& [thing, seen] : before) jobs.tell(now, thing, seen, out);
  ++jobs.revision_;
  return Json::object();
}

ApiResult Jobs::Call::get_job_document() {
  const Job* job = find_job();
  if (job == nullptr) return error;
  return Json{{"document", job->document}};
}

// ---- executions
// ----------------------------------------------------------------------------------

ApiResult Jobs::Call::describe_execution() {
  Job* job = nullptr;
  const Execution* e = find_execution(job);
  if (e == nullptr) return error;
  Json j = {{"jobId", in.text("jobId")},
            {"status", to_string(e->status)},
            {"forceCanceled", e->force_canceled},
            {"statusDetails", {{"detailsMap", e->details}}},
            {"thingArn", jobs.thing_arn(in.text("thingName"))},
            {"queuedAt", seconds(e->queued)}};
  if (e->started) j["startedAt"] = seconds(*e->started);
  j["lastUpdatedAt"] = seconds(e->updated);
  j["executionNumber"] = e->number;
  j["versionNumber"] = e->version;
  if (const auto due = e->due()) {
    j["approximateSecondsBeforeTimedOut"] = std::max<std::int64_t>(0, (due->ms - now.ms) / 1000);
  }
  return Json{{"execution", std::move(j)}};
}

ApiResult Jobs::Call::cancel_execution() {
  const bool force = in.flag_or("force", false);
  const auto expected = in.number_if("expectedVersion");
  const Json& details = in.any("statusDetails");
  const std::string wrong =
      details.is_null() ? "" : complaint_about_details(details, jobs.settings_.strict_details);
  if (complaint.empty()) complaint = wrong;
  Job* job = nullptr;
  Execution* e = find_execution(job);
  if (e == nullptr) return error;
  const bool running = e->status == ExecutionStatus::in_progress;
  if (is_terminal(e->status) || (running && !force)) {
    return ApiError{"InvalidStateTransitionException", 409,
                    "the execution is " + std::string(to_string(e->status))};
  }
  if (expected && *expected != e->version) {
    return ApiError{"VersionConflictException", 409,
                    "the version is " + std::to_string(e->version)};
  }
  const std::string thing = in.text("thingName");
  const Seen before = jobs.look(thing);
  if (!details.is_null()) e->details = details;
  e->force_canceled = running;
  jobs.finish(now, in.text("jobId"), *job, thing, *e, ExecutionStatus::canceled, out);
  jobs.tell(now, thing, before, out);
  ++jobs.revision_;
  return Json::object();
}

ApiResult Jobs::Call::delete_execution() {
  const bool force = in.flag_or("force", false);
  const std::int64_t number = in.number("executionNumber");
  Job* job = nullptr;
  const Execution* e = find_execution(job);
  if (e == nullptr) return error;
  if (!force && !is_terminal(e->status)) {
    return ApiError{"InvalidStateTransitionException", 409,
                    "the execution is " + std::string(to_string(e->status))};
  }
  const std::string id = in.text("jobId");
  const std::string thing = in.text("thingName");
  const Seen before = jobs.look(thing);
  jobs.execution_event(now, id, thing, *e, "deleted", out);
  auto& attempts = job->executions[thing];
  std::erase_if(attempts, [number](const Execution& one) { return one.number == number; });
  if (attempts.empty()) job->executions.erase(thing);
  jobs.settle(now, id, *job, out);
  jobs.tell(now, thing, before, out);
  ++jobs.revision_;
  return Json::object();
}

ApiResult Jobs::Call::list_executions_for_job() {
  const Job* job = find_job();
  if (job == nullptr) return error;
  std::vector<Json> items;
  for (const auto& [thing, attempts] : job->executions) {
    for (const Execution& e : attempts) {
      if (!wanted(to_string(e.status))) continue;
      items.push_back(
          {{"thingArn", jobs.thing_arn(thing)}, {"jobExecutionSummary", summary_of(e)}});
    }
  }
  return page("executionSummaries", std::move(items));
}

ApiResult Jobs::Call::list_executions_for_thing() {
  const std::string thing = in.text("thingName");
  const std::string id = in.text_or("jobId", "");
  if (!complaint.empty()) return invalid(complaint);
  if (!jobs.world_.has_thing(thing)) {
    return ApiError{std::string(kNotFound), 404, "there is no thing " + thing};
  }
  std::vector<Json> items;
  for (const auto& [job_id, job] : jobs.book_.jobs) {
    const auto found = job.executions.find(thing);
    if (found == job.executions.end() || (!id.empty() && id != job_id)) continue;
    for (const Execution& e : found->second) {
      if (!wanted(to_string(e.status))) continue;
      items.push_back({{"jobId", job_id}, {"jobExecutionSummary", summary_of(e)}});
    }
  }
  return page("executionSummaries", std::move(items));
}

}  // namespace holdfast::lab::iot
