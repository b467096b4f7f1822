// The data plane of AWS IoT Jobs: what devices ask, over MQTT and over HTTP.
#include <algorithm>
#include <array>
#include <map>

#include "lab/iot/fields.h"
#include "lab/iot/jobs.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kThings = "$aws/things/";
constexpr std::string_view kNext = "$next";
constexpr std::int64_t kMsPerMinute = 60'000;
constexpr std::int64_t kCancelStepTimer = -1;

struct CodeNames {
  std::string_view mqtt;
  std::string_view http;
  int status;
};
/// In the order of Jobs::Code. HTTP has no topics and no JSON of ours to be wrong; the exception of
/// a version mismatch is a setting.
constexpr std::array<CodeNames, 9> kCodes = {{
    {"InvalidTopic", "InvalidRequestException", 400},
    {"InvalidJson", "InvalidRequestException", 400},
    {"InvalidRequest", "InvalidRequestException", 400},
    {"InvalidStateTransition", "InvalidStateTransitionException", 409},
    {"ResourceNotFound", "ResourceNotFoundException", 404},
    {"VersionMismatch", "", 409},
    {"InternalError", "ServiceUnavailableException", 503},
    {"RequestThrottled", "ThrottlingException", 429},
    {"TerminalStateReached", "TerminalStateException", 410},
}};

/// Without members that are null: they count as not given.
Json without_nulls(const Json& object) {
  Json result = Json::object();
  for (const auto& [key, value] : object.items()) {
    if (!value.is_null()) result[key] = value;
  }
  return result;
}

/// The echoed clientToken, when there is one to echo.
const std::string* token_in(const Json& input) {
  const std::string* token = string_in(input, "clientToken");
  return token != nullptr && token->size() <= Jobs::kClientTokenBytes ? token : nullptr;
}

/// What start-next and update have in common.
struct Progress {
  const Json* details = nullptr;
  std::optional<std::int64_t> step_minutes;

  Progress(Fields& in, const Json& input, bool strict, std::string& complaint) {
    if (in.has("statusDetails")) {
      details = &input.find("statusDetails").value();
      const std::string wrong = complaint_about_details(*details, strict);
      if (complaint.empty()) complaint = wrong;
    }
    step_minutes = in.number_if("stepTimeoutInMinutes");
    const std::int64_t minutes = step_minutes.value_or(1);
    if ((minutes < 1 || minutes > kLongestTimerMinutes) && minutes != kCancelStepTimer) {
      in.complain("stepTimeoutInMinutes", "must be 1 to 10080, or -1");
    }
  }
};

}  // namespace

std::optional<Jobs::DataRequest> Jobs::request_of(std::string_view topic) {
  using Operation = DataRequest::Operation;
  topic.remove_prefix(kThings.size());
  const std::size_t end = topic.find('/');
  DataRequest request;
  request.thing = topic.substr(0, end);
  std::string_view rest = topic.substr(end + std::string_view("/jobs/").size());
  if (request.thing.empty()) return std::nullopt;
  if (rest == "get" || rest == "start-next") {
    request.operation = rest == "get" ? Operation::get_pending : Operation::start_next;
    return request;
  }
  const std::size_t slash = rest.find('/');
  if (slash == 0 || slash == std::string_view::npos) return std::nullopt;
  request.job = rest.substr(0, slash);
  rest.remove_prefix(slash + 1);
  if (rest != "get" && rest != "update") return std::nullopt;
  request.operation = rest == "get" ? Operation::describe : Operation::update;
  return request;
}

void Jobs::on_request(WallTime now, const Requester& /*from*/, const mqtt::Publish& message,
                      Answers& out) {
  Answers notifications;
  auto request = request_of(message.topic);
  DataResult result = Refusal{Code::invalid_topic, "no operation of jobs has this topic", {}};
  if (request) {
    const auto input = parse_json(message.payload);
    if (!input) {
      result = Refusal{Code::invalid_json, input.error().message, {}};
    } else if (!input->is_object()) {
      result = Refusal{Code::invalid_request, "the request must be a JSON object", {}};
    } else {
      request->input = without_nulls(*input);
      result = data(now, *request, notifications);
    }
  }
  Json reply = Json::object();
  const auto* refusal = std::get_if<Refusal>(&result);
  if (refusal != nullptr) {
    reply["code"] = kCodes.at(static_cast<std::size_t>(refusal->code)).mqtt;
    reply["message"] = refusal->message;
    if (!refusal->execution_state.is_null()) reply["executionState"] = refusal->execution_state;
  } else {
    reply = std::get<Json>(std::move(result));
  }
  reply["timestamp"] = stamp(now, false);
  const std::string* token = request ? token_in(request->input) : nullptr;
  if (token != nullptr) reply["clientToken"] = *token;
  out.reply(message.topic + (refusal != nullptr ? "/rejected" : "/accepted"), reply);
  for (Answer& one : notifications.all) out.all.push_back(std::move(one));
}

std::optional<Jobs::Refusal> Jobs::unavailable(WallTime now, bool write) {
  Budget& budget = write ? writes_ : reads_;
  const std::int64_t second = now.ms / 1000;
  if (budget.second != second) budget = {second, 0};
  const auto most = write ? settings_.writes_per_second : settings_.reads_per_second;
  if (most > 0 && budget.used++ >= most)
    return Refusal{Code::request_throttled, "too many requests", {}};
  if (settings_.internal_errors_per_mille > 0 &&
      random_.below(1000) < settings_.internal_errors_per_mille) {
    return Refusal{Code::internal_error, "the service failed; try again", {}};
  }
  return std::nullopt;
}

Jobs::DataResult Jobs::data(WallTime now, const DataRequest& request, Answers& notifications) {
  using Operation = DataRequest::Operation;
  const bool write =
      request.operation == Operation::start_next || request.operation == Operation::update;
  if (auto refusal = unavailable(now, write)) return *std::move(refusal);
  if (request.input.contains("clientToken") && token_in(request.input) == nullptr) {
    return Refusal{Code::invalid_request, "clientToken must be a string of at most 64 bytes", {}};
  }
  const bool next = request.operation == Operation::describe && request.job == kNext;
  if (!request.job.empty() && !next && !is_plain_id(request.job, kJobIdLength)) {
    return Refusal{Code::invalid_request, "jobId must be [a-zA-Z0-9_-]{1,64}", {}};
  }
  if (!world_.has_thing(request.thing)) {
    return Refusal{Code::resource_not_found, "there is no such thing", {}};
  }
  switch (request.operation) {
    case Operation::get_pending:
      return get_pending(request);
    case Operation::start_next:
      return start_next(now, request, notifications);
    case Operation::describe:
      return describe(now, request);
    case Operation::update:
      break;
  }
  return update(now, request, notifications);
}

Jobs::DataResult Jobs::get_pending(const DataRequest& request) {
  Json in_progress = Json::array();
  Json queued = Json::array();
  for (const JobBook::Entry& entry : book_.pending(request.thing)) {
    Json& list = entry.execution->status == ExecutionStatus::queued ? queued : in_progress;
    list.push_back(summary(entry, request.http));
  }
  return Json{{"inProgressJobs", std::move(in_progress)}, {"queuedJobs", std::move(queued)}};
}

Jobs::DataResult Jobs::start_next(WallTime now, const DataRequest& request,
                                  Answers& notifications) {
  std::string complaint;
  Fields in(request.input, complaint);
  const Progress progress(in, request.input, settings_.strict_details, complaint);
  if (!complaint.empty()) return Refusal{Code::invalid_request, complaint, {}};
  const auto pending = book_.pending(request.thing);
  if (pending.empty()) return Json::object();
  const JobBook::Entry& head = pending.front();
  // One that is in progress comes back as it is: the device was interrupted and must resume it.
  if (head.execution->status == ExecutionStatus::queued) {
    apply(now, head, request.thing, ExecutionStatus::in_progress, progress.details,
          progress.step_minutes, notifications);
  }
  return Json{{"execution", execution_data(now, head, request.thing, request.http, true)}};
}

Jobs::DataResult Jobs::describe(WallTime now, const DataRequest& request) {
  std::string complaint;
  Fields in(request.input, complaint);
  const auto number = in.number_if("executionNumber");
  const bool document = in.flag_or("includeJobDocument", !request.http);
  if (!complaint.empty()) return Refusal{Code::invalid_request, complaint, {}};
  if (request.job == kNext) {
    const auto pending = book_.pending(request.thing);
    if (!pending.empty()) {
      return Json{{"execution",
                   execution_data(now, pending.front(), request.thing, request.http, document)}};
    }
    Json nothing = Json::object();
    if (settings_.empty_next_is_object) nothing["execution"] = Json::object();
    return nothing;
  }
  Job* job = book_.find(request.job);
  Execution* execution = job == nullptr ? nullptr : JobBook::find(*job, request.thing, number);
  if (execution == nullptr) {
    return Refusal{Code::resource_not_found, "there is no such execution", {}};
  }
  if (is_terminal(execution->status)) {
    return Refusal{Code::terminal_state_reached, "the execution is over", {}};
  }
  return Json{{"execution", execution_data(now, {request.job, job, execution}, request.thing,
                                           request.http, document)}};
}

Jobs::DataResult Jobs::update(WallTime now, const DataRequest& request, Answers& notifications) {
  std::string complaint;
  Fields in(request.input, complaint);
  const auto status = execution_status_named(in.text("status"));
  const bool settable =
      status && *status != ExecutionStatus::queued && *status <= ExecutionStatus::rejected;
  if (!settable) in.complain("status", "must be IN_PROGRESS, SUCCEEDED, FAILED or REJECTED");
  const Progress progress(in, request.input, settings_.strict_details, complaint);
  const auto expected = in.number_if("expectedVersion");
  const auto number = in.number_if("executionNumber");
  const bool with_state = in.flag_or("includeJobExecutionState", false);
  const bool with_document = in.flag_or("includeJobDocument", false);
  if (!complaint.empty()) return Refusal{Code::invalid_request, complaint, {}};

  Job* job = book_.find(request.job);
  Execution* execution = job == nullptr ? nullptr : JobBook::find(*job, request.thing, number);
  if (execution == nullptr) {
    return Refusal{Code::resource_not_found, "there is no such execution", {}};
  }
  const bool skips = execution->status == ExecutionStatus::queued &&
                     *status != ExecutionStatus::in_progress &&
                     *status != ExecutionStatus::rejected;
  if (is_terminal(execution->status) || (skips && !settings_.queued_may_finish)) {
    return Refusal{Code::invalid_state_transition,
                   "the execution is " + std::string(to_string(execution->status)),
                   execution_state(*execution)};
  }
  if (expected && *expected != execution->version) {
    return Refusal{Code::version_mismatch, "the version is " + std::to_string(execution->version),
                   execution_state(*execution)};
  }
  const std::int64_t attempt = execution->number;
  apply(now, {request.job, job, execution}, request.thing, *status, progress.details,
        progress.step_minutes, notifications);
  Json reply = Json::object();
  if (with_state) {
    reply["executionState"] = execution_state(*JobBook::find(*job, request.thing, attempt));
  }
  if (with_document) {
    Json document = document_for(now, *job);
    reply["jobDocument"] = request.http ? Json(dump(document)) : std::move(document);
  }
  return reply;
}

void Jobs::apply(WallTime now, const JobBook::Entry& entry, std::string_view thing,
                 ExecutionStatus status, const Json* details,
                 std::optional<std::int64_t> step_minutes, Answers& notifications) {
  const Seen before = look(thing);
  Execution& e = *entry.execution;
  ++e.version;
  e.updated = now;
  if (details != nullptr) e.details = *details;
  if (status == ExecutionStatus::in_progress) {
    if (e.status == ExecutionStatus::queued) {
      e.status = status;
      e.started = now;
      if (const auto minutes = entry.job->timeout_minutes()) {
        e.job_due = WallTime{now.ms + *minutes * kMsPerMinute};
      }
    }
    if (step_minutes == kCancelStepTimer) {
      e.step_due.reset();
    } else if (step_minutes) {
      e.step_due = WallTime{now.ms + *step_minutes * kMsPerMinute};
    }
  } else {
    finish(now, entry.id, *entry.job, thing, e, status, notifications);
  }
  ++revision_;
  tell(now, thing, before, notifications);
}

ApiError Jobs::http_error(const Refusal& refusal) const {
  const CodeNames& names = kCodes.at(static_cast<std::size_t>(refusal.code));
  return {refusal.code == Code::version_mismatch ? settings_.http_version_mismatch
                                                 : std::string(names.http),
          names.status, refusal.message};
}

ApiResult Jobs::call_data(WallTime now, std::string_view operation, const Json& input,
                          Answers& out) {
  using Operation = DataRequest::Operation;
  const bool get = operation == "GetPendingJobExecutions";
  const bool start = operation == "StartNextPendingJobExecution";
  DataRequest request;
  request.operation = get                                 ? Operation::get_pending
                      : start                             ? Operation::start_next
                      : operation == "UpdateJobExecution" ? Operation::update
                                                          : Operation::describe;
  request.http = true;
  request.input = without_nulls(input.is_object() ? input : Json::object());
  for (const char* key : {"includeJobDocument", "includeJobExecutionState"}) {
    // In a query string they are text.
    const std::string* text = string_in(request.input, key);
    if (text != nullptr && (*text == "true" || *text == "false")) {
      request.input[key] = *text == "true";
    }
  }
  std::string complaint;
  Fields in(request.input, complaint);
  request.thing = in.text("thingName");
  if (!get && !start) request.job = in.text("jobId");
  if (complaint.empty() && !get && !start && request.job.empty()) complaint = "jobId is empty";
  if (!complaint.empty()) return ApiError{"InvalidRequestException", 400, complaint};
  auto result = data(now, request, out);
  if (const auto* refusal = std::get_if<Refusal>(&result)) return http_error(*refusal);
  return std::get<Json>(std::move(result));
}

}  // namespace holdfast::lab::iot
