// Jobs and their executions as values: order, deadlines, and the form in which they are kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "holdfast/result.h"
#include "lab/iot/json.h"

namespace holdfast::lab::iot {

enum class ExecutionStatus : std::uint8_t {
  queued,       ///< Waits for the device. Next: in_progress, or any terminal one.
  in_progress,  ///< The device works on it. Next: any terminal one.
  succeeded,    ///< Terminal, as are all below.
  failed,       ///< Another attempt may follow.
  rejected,
  timed_out,  ///< By the service. Another attempt may follow.
  canceled,   ///< By an operation.
  removed,    ///< The thing left the target group.
};
/// As the API writes it: "TIMED_OUT".
[[nodiscard]] std::string_view to_string(ExecutionStatus status) noexcept;
[[nodiscard]] std::optional<ExecutionStatus> execution_status_named(std::string_view name) noexcept;
[[nodiscard]] constexpr bool is_terminal(ExecutionStatus status) noexcept {
  return status > ExecutionStatus::in_progress;
}

/// One attempt of a job on a thing.
struct Execution {
  std::int64_t number = 1;  ///< Of the attempt.
  std::int64_t order = 0;   ///< When it was queued, counted over all executions.
  ExecutionStatus status = ExecutionStatus::queued;
  Json details = Json::object();
  std::int64_t version = 1;  ///< One more with each update by the device.
  bool force_canceled = false;
  WallTime queued;
  WallTime updated;
  std::optional<WallTime> started;
  std::optional<WallTime> job_due;   ///< By the in-progress timer.
  std::optional<WallTime> step_due;  ///< By the step timer.

  /// When it times out: the earlier of both, while in progress.
  [[nodiscard]] std::optional<WallTime> due() const;
};

enum class JobStatus : std::uint8_t { in_progress, completed, canceled };
[[nodiscard]] std::string_view to_string(JobStatus status) noexcept;
[[nodiscard]] std::optional<JobStatus> job_status_named(std::string_view name) noexcept;

struct Job {
  std::string document;  ///< JSON, parameters replaced, presigned URLs not.
  std::vector<std::string> targets;
  bool continuous = false;
  JobStatus status = JobStatus::in_progress;
  /// What was given to CreateJob and is only shown again or looked up there: description,
  /// documentSource, documentParameters, timeoutConfig, jobExecutionsRetryConfig,
  /// presignedUrlConfig; and reasonCode, comment of CancelJob.
  Json given = Json::object();
  bool force_canceled = false;
  WallTime created;
  WallTime updated;
  std::optional<WallTime> completed;
  /// Thing to attempts, the latest last; never empty.
  std::map<std::string, std::vector<Execution>, std::less<>> executions;

  [[nodiscard]] std::optional<std::int64_t> timeout_minutes() const;
  [[nodiscard]] std::int64_t presigned_seconds() const;
  /// Whether any thing still has something to do.
  [[nodiscard]] bool busy() const;
  /// Whether another attempt follows after the last of `attempts`.
  [[nodiscard]] bool retries(const std::vector<Execution>& attempts) const;
  /// How many latest attempts have which status: "numberOfQueuedThings" and so on.
  [[nodiscard]] Json process_details() const;
};

struct JobBook {
  std::map<std::string, Job, std::less<>> jobs;
  std::int64_t last_order = 0;

  struct Entry {
    std::string_view id;
    Job* job = nullptr;
    Execution* execution = nullptr;
  };
  /// What a thing still has to do: in progress first, then queued, each in the order queued.
  [[nodiscard]] std::vector<Entry> pending(std::string_view thing);
  [[nodiscard]] Job* find(std::string_view id);
  /// nullptr: no such attempt; without `number` the latest.
  [[nodiscard]] static Execution* find(Job& job, std::string_view thing,
                                       std::optional<std::int64_t> number = std::nullopt);
};

[[nodiscard]] Json save_jobs(const JobBook& book);
/// Fails with Errc::corrupt and the name of the member.
[[nodiscard]] Result<JobBook> load_jobs(const Json& state);

inline constexpr std::int64_t kDefaultPresignedSeconds = 3600;
inline constexpr std::int64_t kMostRetries = 10;
inline constexpr std::int64_t kLongestTimerMinutes = 10'080;
inline constexpr std::size_t kJobIdLength = 64;

/// 1 to `longest` letters, digits, '-' and '_': job ids, command ids.
[[nodiscard]] bool is_plain_id(std::string_view text, std::size_t longest) noexcept;

}  // namespace holdfast::lab::iot
