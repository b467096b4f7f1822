// One call of an operation of the control plane of jobs: its input, and a function for each.
#pragma once

#include <string>
#include <string_view>

#include "lab/iot/fields.h"
#include "lab/iot/jobs.h"

namespace holdfast::lab::iot {

/// Lives for one call.
struct Jobs::Call {
  Call(Jobs& owner, WallTime time, const Json& value, Answers& answers)
      : jobs(owner), now(time), input(value), out(answers), in(value, complaint) {}

  using Function = ApiResult (Call::*)();
  /// nullptr: no operation of the control plane of jobs.
  static Function named(std::string_view operation);

  ApiResult create_job();  // jobs_create.cpp
  ApiResult describe_job();
  ApiResult list_jobs();
  ApiResult cancel_job();
  ApiResult delete_job();
  ApiResult get_job_document();
  ApiResult describe_execution();
  ApiResult cancel_execution();
  ApiResult delete_execution();
  ApiResult list_executions_for_job();
  ApiResult list_executions_for_thing();

  // ---- what they share ----

  [[nodiscard]] static ApiError invalid(std::string message);
  /// The job that `jobId` names, once all input is read; nullptr: `error` says why.
  Job* find_job();
  /// The execution that jobId, thingName and executionNumber name; nullptr: `error` says why.
  Execution* find_execution(Job*& job);
  /// Whether an item with this status is asked for.
  bool wanted(std::string_view status);
  /// The part of `items` that maxResults and nextToken ask for, as member `key`.
  ApiResult page(std::string_view key, std::vector<Json> items);

  // ---- the input of CreateJob (jobs_create.cpp) ----

  void read_targets(std::vector<std::string>& targets, std::vector<std::string>& things);
  void read_document(Job& job);
  void read_parameters(const ManagedTemplate* managed, Json& parameters);
  void read_timers();
  void read_retries();
  /// Complains of numbers outside a range.
  void check_range(Fields& of, std::string_view key, std::int64_t least, std::int64_t most);
  /// Complains of texts that are too long.
  std::string short_text(std::string_view key, std::size_t longest);

  Jobs& jobs;
  WallTime now;
  const Json& input;
  Answers& out;
  std::string complaint;
  ApiError error;
  Fields in;
};

inline constexpr std::string_view kInvalidRequest = "InvalidRequestException";
inline constexpr std::string_view kNotFound = "ResourceNotFoundException";

}  // namespace holdfast::lab::iot
