#include "lab/iot/jobs_book.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <tuple>
#include <utility>

#include "lab/iot/fields.h"

namespace holdfast::lab::iot {
namespace {

using namespace std::string_view_literals;

constexpr std::array kExecutionStatuses = {"QUEUED"sv,   "IN_PROGRESS"sv, "SUCCEEDED"sv,
                                           "FAILED"sv,   "REJECTED"sv,    "TIMED_OUT"sv,
                                           "CANCELED"sv, "REMOVED"sv};
constexpr std::array kJobStatuses = {"IN_PROGRESS"sv, "COMPLETED"sv, "CANCELED"sv};
/// In the order of ExecutionStatus.
constexpr std::array kCounts = {"numberOfQueuedThings"sv,    "numberOfInProgressThings"sv,
                                "numberOfSucceededThings"sv, "numberOfFailedThings"sv,
                                "numberOfRejectedThings"sv,  "numberOfTimedOutThings"sv,
                                "numberOfCanceledThings"sv,  "numberOfRemovedThings"sv};

template <class Enum, std::size_t N>
std::optional<Enum> named(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto* const found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

const Json* member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

Json save_execution(const Execution& e) {
  Json j = {{"number", e.number},    {"order", e.order},       {"status", to_string(e.status)},
            {"details", e.details},  {"version", e.version},   {"forceCanceled", e.force_canceled},
            {"queued", e.queued.ms}, {"updated", e.updated.ms}};
  if (e.started) j["started"] = e.started->ms;
  if (e.job_due) j["jobDue"] = e.job_due->ms;
  if (e.step_due) j["stepDue"] = e.step_due->ms;
  return j;
}

/// Numbers and times in saved state; the bound leaves room to count on.
constexpr std::int64_t kLargestSaved = 1'000'000'000'000'000;

std::int64_t count_of(Fields& in, std::string_view key, std::int64_t least) {
  const std::int64_t value = in.number(key);
  if (value < least || value > kLargestSaved) in.complain(key, "is out of range");
  return value;
}

WallTime time_of(Fields& in, std::string_view key) { return {count_of(in, key, 0)}; }

std::optional<WallTime> time_if(Fields& in, std::string_view key) {
  if (!in.has(key)) return std::nullopt;
  return time_of(in, key);
}

Execution load_execution(Fields in) {
  Execution e;
  e.number = count_of(in, "number", 1);
  e.order = count_of(in, "order", 1);
  const auto status = execution_status_named(in.text("status"));
  if (!status) in.complain("status", "is no status of an execution");
  e.status = status.value_or(ExecutionStatus::queued);
  e.details = in.any("details");
  if (!e.details.is_object()) in.complain("details", "must be an object");
  for (const auto& [name, value] : e.details.items()) {
    if (!value.is_string()) in.complain("details", "must hold strings only");
  }
  e.version = count_of(in, "version", 1);
  e.force_canceled = in.flag("forceCanceled");
  e.queued = time_of(in, "queued");
  e.updated = time_of(in, "updated");
  e.started = time_if(in, "started");
  e.job_due = time_if(in, "jobDue");
  e.step_due = time_if(in, "stepDue");
  in.no_others();
  return e;
}

Json save_job(const Job& job) {
  Json executions = Json::object();
  for (const auto& [thing, attempts] : job.executions) {
    Json list = Json::array();
    for (const Execution& e : attempts) list.push_back(save_execution(e));
    executions[thing] = Json{{"attempts", std::move(list)}};
  }
  Json j = {{"document", job.document},     {"targets", job.targets},
            {"continuous", job.continuous}, {"status", to_string(job.status)},
            {"given", job.given},           {"forceCanceled", job.force_canceled},
            {"created", job.created.ms},    {"updated", job.updated.ms}};
  if (job.completed) j["completed"] = job.completed->ms;
  j["executions"] = std::move(executions);
  return j;
}

Job load_job(Fields in) {
  Job job;
  job.document = in.text("document");
  const auto document = parse_json(job.document);
  if (!document || !document->is_object()) in.complain("document", "must be a JSON object");
  job.targets = in.texts("targets");
  job.continuous = in.flag("continuous");
  const auto status = job_status_named(in.text("status"));
  if (!status) in.complain("status", "is no status of a job");
  job.status = status.value_or(JobStatus::in_progress);
  job.given = in.any("given");
  if (!job.given.is_object()) {
    in.complain("given", "must be an object");
    job.given = Json::object();
  }
  job.force_canceled = in.flag("forceCanceled");
  job.created = time_of(in, "created");
  job.updated = time_of(in, "updated");
  job.completed = time_if(in, "completed");
  in.object("executions").each([&](const std::string& thing, Fields of_thing) {
    auto& attempts = job.executions[thing];
    of_thing.each_item("attempts", [&](Fields one) { attempts.push_back(load_execution(one)); });
    if (attempts.empty()) of_thing.complain("attempts", "must not be empty");
    const bool rising =
        std::is_sorted(attempts.begin(), attempts.end(),
                       [](const Execution& a, const Execution& b) { return a.number <= b.number; });
    if (!rising) of_thing.complain("attempts", "must have rising numbers");
    of_thing.no_others();
  });
  in.no_others();
  return job;
}

}  // namespace

std::string_view to_string(ExecutionStatus status) noexcept {
  return kExecutionStatuses[static_cast<std::size_t>(status)];
}
std::optional<ExecutionStatus> execution_status_named(std::string_view name) noexcept {
  return named<ExecutionStatus>(kExecutionStatuses, name);
}
std::string_view to_string(JobStatus status) noexcept {
  return kJobStatuses[static_cast<std::size_t>(status)];
}
std::optional<JobStatus> job_status_named(std::string_view name) noexcept {
  return named<JobStatus>(kJobStatuses, name);
}

std::optional<WallTime> Execution::due() const {
  if (status != ExecutionStatus::in_progress) return std::nullopt;
  if (!job_due || !step_due) return job_due ? job_due : step_due;
  return std::min(*job_due, *step_due);
}

std::optional<std::int64_t> Job::timeout_minutes() const {
  const Json* config = member(given, "timeoutConfig");
  if (config == nullptr) return std::nullopt;
  const auto minutes = number_in(*config, "inProgressTimeoutInMinutes");
  if (!minutes) return std::nullopt;
  return std::clamp<std::int64_t>(*minutes, 1, kLongestTimerMinutes);
}

std::int64_t Job::presigned_seconds() const {
  const Json* config = member(given, "presignedUrlConfig");
  if (config == nullptr) return kDefaultPresignedSeconds;
  return number_in(*config, "expiresInSec").value_or(kDefaultPresignedSeconds);
}

bool Job::busy() const {
  return std::any_of(executions.begin(), executions.end(), [](const auto& of_thing) {
    return !is_terminal(of_thing.second.back().status);
  });
}

bool Job::retries(const std::vector<Execution>& attempts) const {
  const Json* config = member(given, "jobExecutionsRetryConfig");
  const Json* list = config == nullptr ? nullptr : member(*config, "criteriaList");
  if (list == nullptr || status != JobStatus::in_progress) return false;
  const ExecutionStatus last = attempts.back().status;
  if (last != ExecutionStatus::failed && last != ExecutionStatus::timed_out) return false;
  for (const Json& criterion : *list) {
    const std::string* type = string_in(criterion, "failureType");
    if (type == nullptr || (*type != "ALL" && *type != to_string(last))) continue;
    const auto failures = std::count_if(
        attempts.begin(), attempts.end(),
        [&](const Execution& attempt) { return *type == "ALL" || attempt.status == last; });
    return failures <= number_in(criterion, "numberOfRetries").value_or(0);
  }
  return false;
}

Json Job::process_details() const {
  std::array<std::int64_t, kCounts.size()> counts{};
  for (const auto& [thing, attempts] : executions) {
    ++counts.at(static_cast<std::size_t>(attempts.back().status));
  }
  Json j = Json::object();
  for (std::size_t i = 0; i < counts.size(); ++i) j[std::string(kCounts.at(i))] = counts.at(i);
  return j;
}

std::vector<JobBook::Entry> JobBook::pending(std::string_view thing) {
  std::vector<Entry> entries;
  for (auto& [id, job] : jobs) {
    Execution* execution = find(job, thing);
    if (execution == nullptr || is_terminal(execution->status)) continue;
    entries.push_back({id, &job, execution});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    const auto rank = [](const Entry& e) {
      return std::tuple(e.execution->status == ExecutionStatus::queued, e.execution->order);
    };
    return rank(a) < rank(b);
  });
  return entries;
}

Job* JobBook::find(std::string_view id) {
  const auto found = jobs.find(id);
  return found == jobs.end() ? nullptr : &found->second;
}

Execution* JobBook::find(Job& job, std::string_view thing, std::optional<std::int64_t> number) {
  const auto found = job.executions.find(thing);
  if (found == job.executions.end()) return nullptr;
  if (!number) return &found->second.back();
  for (Execution& attempt : found->second) {
    if (attempt.number == *number) return &attempt;
  }
  return nullptr;
}

Json save_jobs(const JobBook& book) {
  Json jobs = Json::object();
  for (const auto& [id, job] : book.jobs) jobs[id] = save_job(job);
  return {{"lastOrder", book.last_order}, {"jobs", std::move(jobs)}};
}

Result<JobBook> load_jobs(const Json& state) {
  std::string complaint;
  Fields in(state, complaint);
  JobBook book;
  book.last_order = count_of(in, "lastOrder", 0);
  Fields jobs = in.object("jobs");
  jobs.each([&](const std::string& id, const Fields& one) {
    if (!is_plain_id(id, kJobIdLength)) jobs.complain(id, "is no job id");
    book.jobs.emplace(id, load_job(one));
  });
  in.no_others();
  if (auto status = state_status(complaint); !status) return std::move(status).error();
  return book;
}

bool is_plain_id(std::string_view text, std::size_t longest) noexcept {
  return !text.empty() && text.size() <= longest &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

}  // namespace holdfast::lab::iot
