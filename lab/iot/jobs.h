// AWS IoT Jobs: documents that devices carry out, and what each device says about it.
//
// Devices ask over MQTT ($aws/things/T/jobs/…) or HTTP (iot-jobs-data); people call operations of
// the AWS API. Replies go to who asked, subscribed or not; notify and notify-next go through the
// broker. Where AWS documents nothing, JobsSettings decides. One thread; nothing throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "env/random.h"
#include "lab/iot/event_configurations.h"
#include "lab/iot/jobs_book.h"
#include "lab/iot/jobs_document.h"
#include "lab/iot/presigner.h"
#include "lab/iot/service.h"

namespace holdfast::lab::iot {

/// What jobs need to know of the rest of the Region.
class JobsWorld {
 public:
  JobsWorld() = default;
  JobsWorld(const JobsWorld&) = delete;
  JobsWorld& operator=(const JobsWorld&) = delete;
  virtual ~JobsWorld() = default;

  [[nodiscard]] virtual bool has_thing(std::string_view name) const = 0;
  /// The names of the things in a group; nullopt: no such group.
  [[nodiscard]] virtual std::optional<std::vector<std::string>> things_in(
      std::string_view group) const = 0;
  /// The file at a documentSource link; nullopt: there is none.
  [[nodiscard]] virtual std::optional<std::string> read_document(std::string_view url) const = 0;
};

struct JobsSettings {
  std::string region = "eu-central-1";
  std::string account = "123456789012";

  // Not documented by AWS, or contradictory:
  bool strict_details = true;         ///< Refuse control characters and empty values.
  bool queued_may_finish = true;      ///< QUEUED to SUCCEEDED or FAILED without IN_PROGRESS.
  bool times_in_ms = false;           ///< Over MQTT, too; else seconds.
  bool empty_next_is_object = false;  ///< $next with nothing to do: "execution":{}; else no member.
  OmittedParameter omitted_parameter = OmittedParameter::empty;
  std::string http_version_mismatch = "InvalidStateTransitionException";

  // Quotas of the account, and bad days of the service:
  std::uint32_t reads_per_second = 200;  ///< 0: no limit.
  std::uint32_t writes_per_second = 200;
  std::uint32_t internal_errors_per_mille = 0;  ///< Requests answered with InternalError.
};

class Jobs final : public Service {
 public:
  static constexpr std::size_t kClientTokenBytes = 64;
  static constexpr std::size_t kTargetsPerJob = 100;
  static constexpr std::size_t kDescriptionLength = 2028;
  static constexpr std::size_t kDocumentSourceLength = 1350;
  static constexpr std::size_t kNotified = 10;  ///< Executions in one notify.
  static constexpr std::int64_t kShortestPresigned = 60;
  static constexpr std::int64_t kLongestPresigned = 3600;
  static constexpr std::int64_t kRetentionMs = std::int64_t{730} * 24 * 3600 * 1000;

  /// All must outlive it. `presigner` nullptr: placeholders of presigned URLs stay.
  Jobs(JobsSettings settings, const JobsWorld& world, Presigner* presigner, env::Random& random);

  void configure(JobsSettings settings) { settings_ = std::move(settings); }
  void on_switches(const Switches& switches) override;
  /// Which of $aws/events/job/… and $aws/events/jobExecution/… are published; nullptr, as at first:
  /// none. It outlives this.
  void set_events(const EventConfigurations* events) { events_ = events; }

  /// The groups of a thing changed: continuous jobs that it came under are queued for it, those
  /// that it is no longer under are REMOVED.
  void on_groups_changed(WallTime now, std::string_view thing, Answers& out);

  [[nodiscard]] std::string_view name() const override { return "jobs"; }
  [[nodiscard]] Claim claims(std::string_view topic) const override;
  void on_request(WallTime now, const Requester& from, const mqtt::Publish& message,
                  Answers& out) override;
  [[nodiscard]] bool has_operation(std::string_view operation) const override;
  ApiResult call(WallTime now, std::string_view operation, const Json& input,
                 Answers& out) override;
  [[nodiscard]] WallTime wake() const override;
  void on_time(WallTime now, Answers& out) override;
  [[nodiscard]] Json save() const override;
  Status load(const Json& state) override;
  [[nodiscard]] std::uint64_t revision() const override { return revision_; }

 private:
  struct Call;  ///< An operation of the control plane; jobs_call.h.

  // ---- the data plane (jobs_data.cpp) ----

  enum class Code : std::uint8_t {
    invalid_topic,
    invalid_json,
    invalid_request,
    invalid_state_transition,
    resource_not_found,
    version_mismatch,
    internal_error,
    request_throttled,
    terminal_state_reached,
  };
  struct Refusal {
    Code code{};
    std::string message;
    Json execution_state;  ///< Null: none.
  };
  using DataResult = std::variant<Json, Refusal>;
  /// A request of a device, over MQTT or HTTP.
  struct DataRequest {
    enum class Operation : std::uint8_t { get_pending, start_next, describe, update } operation{};
    std::string thing;
    std::string job;  ///< describe, update. "$next" for describe.
    bool http = false;
    Json input;  ///< An object.
  };
  static std::optional<DataRequest> request_of(std::string_view topic);
  DataResult data(WallTime now, const DataRequest& request, Answers& notifications);
  std::optional<Refusal> unavailable(WallTime now, bool write);
  DataResult get_pending(const DataRequest& request);
  DataResult start_next(WallTime now, const DataRequest& request, Answers& notifications);
  DataResult describe(WallTime now, const DataRequest& request);
  DataResult update(WallTime now, const DataRequest& request, Answers& notifications);
  /// Carries out an update that nothing speaks against.
  void apply(WallTime now, const JobBook::Entry& entry, std::string_view thing,
             ExecutionStatus status, const Json* details, std::optional<std::int64_t> step_minutes,
             Answers& notifications);
  ApiResult call_data(WallTime now, std::string_view operation, const Json& input, Answers& out);
  ApiError http_error(const Refusal& refusal) const;

  // ---- how things are written (jobs.cpp) ----

  [[nodiscard]] Json document_for(WallTime now, const Job& job);
  /// As MQTT or HTTP writes a time.
  [[nodiscard]] std::int64_t stamp(WallTime time, bool http) const;
  [[nodiscard]] Json summary(const JobBook::Entry& entry, bool http) const;
  /// `document`: whether with it.
  Json execution_data(WallTime now, const JobBook::Entry& entry, std::string_view thing, bool http,
                      bool document);
  static Json execution_state(const Execution& execution);
  [[nodiscard]] std::string thing_arn(std::string_view thing) const;
  [[nodiscard]] std::string job_arn(std::string_view id) const;

  // ---- changes, and who is told (jobs.cpp) ----

  /// What a device knows of its list: which executions, and which is the first.
  struct Seen {
    std::vector<std::pair<std::string, std::int64_t>> members;  ///< Job and number, sorted.
    std::optional<std::pair<std::string, std::int64_t>> head;
  };
  Seen look(std::string_view thing);
  /// The names of the things that an ARN stands for; nullopt: none of ours.
  [[nodiscard]] std::optional<std::vector<std::string>> things_of(std::string_view target) const;
  /// Publishes notify and notify-next when the list is not as it was seen.
  void tell(WallTime now, std::string_view thing, const Seen& before, Answers& out);
  void queue(WallTime now, Job& job, std::string_view thing);
  /// Ends an execution. Another attempt may be queued: references to executions become invalid.
  void finish(WallTime now, std::string_view id, Job& job, std::string_view thing,
              Execution& execution, ExecutionStatus status, Answers& out);
  /// Completes a job when nothing is left to do.
  void settle(WallTime now, std::string_view id, Job& job, Answers& out);
  void job_event(WallTime now, std::string_view id, const Job& job, std::string_view operation,
                 Answers& out);
  void execution_event(WallTime now, std::string_view id, std::string_view thing,
                       const Execution& execution, std::string_view operation, Answers& out);

  JobsSettings settings_;
  const EventConfigurations* events_ = nullptr;
  const JobsWorld& world_;
  Presigner* presigner_;
  env::Random& random_;
  JobBook book_;
  struct Budget {
    std::int64_t second = 0;
    std::uint32_t used = 0;
  };
  Budget reads_;
  Budget writes_;
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
