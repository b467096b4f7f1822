// AWS IoT Commands: one instruction to one device, and its result.
//
// A request is published through the broker to the device's topic at QoS 1, so that a persistent
// session holds it until it expires; the device publishes its result. Where AWS documents nothing,
// CommandsSettings decides. One thread; nothing throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "env/random.h"
#include "lab/iot/fields.h"
#include "lab/iot/service.h"

namespace holdfast::lab::iot {

struct CommandsSettings {
  std::string region = "eu-central-1";
  std::string account = "123456789012";
  /// $aws/events/commandExecution/…, an account setting.
  bool events = false;

  // Not documented by AWS, or contradictory:
  bool format_in_acknowledgement = true;  ///< …/response/accepted/json; else …/response/accepted.
  /// Acknowledgements go to the requester, subscribed or not; else through the broker.
  bool acknowledge_requester = false;
};

enum class CommandStatus : std::uint8_t {
  created,      ///< Waits for the device. Next: any other.
  in_progress,  ///< The device works on it. Next: any terminal one, or itself.
  succeeded,    ///< Terminal.
  failed,       ///< Terminal.
  rejected,     ///< Terminal.
  timed_out,    ///< By the device: terminal. By the service: a late result still overrides it.
};
/// As the API writes it: "IN_PROGRESS".
[[nodiscard]] std::string_view to_string(CommandStatus status) noexcept;
[[nodiscard]] std::optional<CommandStatus> command_status_named(std::string_view name) noexcept;

class Commands final : public Service {
 public:
  static constexpr std::size_t kCommandIdLength = 64;
  static constexpr std::size_t kPayloadBytes = 32'768;
  static constexpr std::size_t kContentTypeBytes = 256;
  static constexpr std::size_t kReasonCodeLength = 64;
  static constexpr std::size_t kReasonDescriptionLength = 1024;
  static constexpr std::size_t kClientTokenBytes = 64;
  static constexpr std::size_t kConcurrentPerDevice = 100;
  static constexpr std::int64_t kDefaultTimeoutSeconds = 10;
  static constexpr std::int64_t kLongestTimeoutSeconds = 43'200;
  static constexpr std::int64_t kRetentionMs = std::int64_t{180} * 24 * 3600 * 1000;
  /// The reason of a TIMED_OUT by the service.
  static constexpr std::string_view kNoResponse = "$NO_RESPONSE_FROM_DEVICE";

  /// `has_thing`: whether a thing of this name exists. `random` must outlive it.
  Commands(CommandsSettings settings, std::function<bool(std::string_view)> has_thing,
           env::Random& random);

  void configure(CommandsSettings settings) { settings_ = std::move(settings); }
  void on_switches(const Switches& switches) override {
    settings_.events = switches.commands_events;
    settings_.format_in_acknowledgement = switches.commands_format_in_acknowledgement;
    settings_.acknowledge_requester = switches.commands_acknowledge_requester;
  }

  [[nodiscard]] std::string_view name() const override { return "commands"; }
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
  struct Command {
    std::string payload;  ///< Bytes.
    std::string content_type;
    std::string display_name;
    std::string description;
    WallTime created;
  };
  struct Execution {
    std::string command;
    std::string kind;    ///< "things" or "clients", as in the topic.
    std::string target;  ///< Name of the thing, or client id.
    CommandStatus status = CommandStatus::created;
    bool overridable = false;  ///< TIMED_OUT by the service.
    Json reason;               ///< Null: none.
    Json result = Json::object();
    std::int64_t timeout_seconds = kDefaultTimeoutSeconds;
    WallTime created;
    WallTime updated;
    std::optional<WallTime> started;
    std::optional<WallTime> completed;

    [[nodiscard]] bool is_open() const { return status <= CommandStatus::in_progress; }
    /// When the service gives up on it; nullopt: no more.
    [[nodiscard]] std::optional<WallTime> due() const;
  };
  using CommandMap = std::map<std::string, Command, std::less<>>;
  using ExecutionMap = std::map<std::string, Execution, std::less<>>;

  /// A topic of a device, taken apart.
  struct Topic {
    std::string kind, target, execution, format;
  };
  static std::optional<Topic> topic_of(std::string_view text);
  /// What a device reported, checked.
  struct Report {
    CommandStatus status{};
    Json reason;
    std::optional<Json> result;
  };
  struct Refusal {
    std::string error;
    std::string message;
  };
  static std::optional<Refusal> read_report(const Json& input, Report& report);
  static void check_result(Fields in, Json& result);
  std::optional<Refusal> accept(WallTime now, const Topic& topic, const Json& input, Answers& out);
  void set_status(WallTime now, const std::string& id, Execution& execution, CommandStatus status,
                  Answers& out);

  ApiResult create_command(WallTime now, const Json& input);
  ApiResult get_command(const Json& input);
  ApiResult list_commands(const Json& input);
  ApiResult delete_command(const Json& input);
  ApiResult start_execution(WallTime now, const Json& input, Answers& out);
  ApiResult get_execution(const Json& input);
  ApiResult list_executions(const Json& input);

  [[nodiscard]] std::string arn(std::string_view resource) const;
  [[nodiscard]] std::string target_arn(const Execution& execution) const;
  /// The kind and name of a target ARN of ours; empty: it is none.
  [[nodiscard]] std::pair<std::string, std::string> target_of(std::string_view text) const;

  CommandsSettings settings_;
  std::function<bool(std::string_view)> has_thing_;
  env::Random& random_;
  CommandMap commands_;
  ExecutionMap executions_;
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
