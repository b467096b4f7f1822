#include "lab/iot/commands.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/base64.h"
#include "lab/iot/cbor.h"
#include "lab/iot/jobs_document.h"

namespace holdfast::lab::iot {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kRoot = "$aws/commands/";
constexpr std::array kStatuses = {"CREATED"sv, "IN_PROGRESS"sv, "SUCCEEDED"sv,
                                  "FAILED"sv,  "REJECTED"sv,    "TIMED_OUT"sv};
/// Times in saved state; the bound leaves room to count on.
constexpr std::int64_t kLargestSaved = 1'000'000'000'000'000;

bool is_reason_code(std::string_view text) {
  return !text.empty() && text.size() <= Commands::kReasonCodeLength &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

WallTime time_of(Fields& in, std::string_view key) {
  const std::int64_t ms = in.number(key);
  if (ms < 0 || ms > kLargestSaved) in.complain(key, "is out of range");
  return {ms};
}

}  // namespace

std::string_view to_string(CommandStatus status) noexcept {
  return kStatuses[static_cast<std::size_t>(status)];
}

std::optional<CommandStatus> command_status_named(std::string_view name) noexcept {
  const auto* const found = std::find(kStatuses.begin(), kStatuses.end(), name);
  if (found == kStatuses.end()) return std::nullopt;
  return static_cast<CommandStatus>(found - kStatuses.begin());
}

Commands::Commands(CommandsSettings settings, std::function<bool(std::string_view)> has_thing,
                   env::Random& random)
    : settings_(std::move(settings)), has_thing_(std::move(has_thing)), random_(random) {}

Claim Commands::claims(std::string_view topic) const {
  return topic.starts_with(kRoot) ? Claim::only : Claim::none;
}

std::optional<WallTime> Commands::Execution::due() const {
  if (!is_open() || overridable) return std::nullopt;
  return WallTime{created.ms + timeout_seconds * 1000};
}

// ---- devices -----------------------------------------------------------------------------------

std::optional<Commands::Topic> Commands::topic_of(std::string_view text) {
  // things|clients / ID / executions / EXECUTION / response / FORMAT
  text.remove_prefix(kRoot.size());
  std::array<std::string, 6> levels;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const std::size_t slash = i + 1 < levels.size() ? text.find('/') : std::string_view::npos;
    levels.at(i) = text.substr(0, slash);
    text = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
  }
  const auto& [kind, target, executions, execution, response, format] = levels;
  if ((kind != "things" && kind != "clients") || target.empty() || executions != "executions" ||
      execution.empty() || response != "response") {
    return std::nullopt;
  }
  return Topic{kind, target, execution, format};
}

void Commands::check_result(Fields in, Json& result) {
  result = Json::object();
  for (const std::string& name : in.names()) {
    Fields value = in.object(name);
    const auto kinds = value.names();
    if (kinds.size() != 1) {
      in.complain(name, "must have one member: s, b or bin");
    } else if (kinds[0] == "s") {
      result[name] = {{"s", value.text("s")}};
    } else if (kinds[0] == "b") {
      result[name] = {{"b", value.flag("b")}};
    } else if (kinds[0] == "bin") {
      // CBOR has bytes of its own; they are kept as JSON writes them.
      const Json& bytes = value.any("bin");
      std::string text;
      if (bytes.is_binary()) {
        const auto& binary = bytes.get_binary();
        text = text_to_base64({reinterpret_cast<const char*>(binary.data()), binary.size()});
      } else {
        text = value.text("bin");
        if (!text_from_base64(text)) value.complain("bin", "must be Base64");
      }
      result[name] = {{"bin", text}};
    } else {
      in.complain(name, "must have one member: s, b or bin");
    }
  }
}

std::optional<Commands::Refusal> Commands::read_report(const Json& input, Report& report) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = in.text("status");
  const auto status = command_status_named(name);
  if (!status) in.complain("status", "is none");
  report.status = status.value_or(CommandStatus::created);
  if (in.text_or("clientToken", "").size() > kClientTokenBytes) {
    in.complain("clientToken", "is over 64 bytes");
  }
  if (in.has("statusReason")) {
    Fields reason = in.object("statusReason");
    const std::string code = reason.text("reasonCode");
    if (!is_reason_code(code)) reason.complain("reasonCode", "must be [A-Z0-9_-]{1,64}");
    report.reason = {{"reasonCode", code}};
    if (reason.has("reasonDescription")) {
      const std::string description = reason.text("reasonDescription");
      if (length_of(description) > kReasonDescriptionLength) {
        reason.complain("reasonDescription", "is over 1024 characters");
      }
      report.reason["reasonDescription"] = description;
    }
  }
  if (in.has("result")) check_result(in.object("result"), report.result.emplace());
  if (!complaint.empty()) return Refusal{"InvalidRequest", complaint};
  if (report.status == CommandStatus::created) {
    return Refusal{"InvalidStateTransition", "a device cannot set CREATED"};
  }
  return std::nullopt;
}

std::optional<Commands::Refusal> Commands::accept(WallTime now, const Topic& topic,
                                                  const Json& input, Answers& out) {
  Report report;
  if (auto refusal = read_report(input, report)) return refusal;
  const auto found = executions_.find(topic.execution);
  if (found == executions_.end() || found->second.kind != topic.kind ||
      found->second.target != topic.target) {
    return Refusal{"ResourceNotFound", "there is no such execution for this device"};
  }
  Execution& e = found->second;
  if (!e.is_open() && !e.overridable) {
    return Refusal{"TerminalStateReached", "the execution is " + std::string(to_string(e.status))};
  }
  e.reason = std::move(report.reason);
  if (report.result) e.result = *std::move(report.result);
  if (report.status == CommandStatus::in_progress && !e.started) e.started = now;
  // A late IN_PROGRESS has no time limit any more.
  e.overridable = e.overridable && report.status == CommandStatus::in_progress;
  set_status(now, found->first, e, report.status, out);
  return std::nullopt;
}

void Commands::on_request(WallTime now, const Requester& /*from*/, const mqtt::Publish& message,
                          Answers& out) {
  const auto topic = topic_of(message.topic);
  if (!topic) return;  // nowhere to answer to
  const bool cbor = topic->format == "cbor";
  Answers events;
  std::optional<Refusal> refusal;
  Json input;
  if (!cbor && topic->format != "json") {
    refusal = Refusal{"InvalidTopic", "the topic must end with /json or /cbor"};
  } else {
    auto parsed = cbor ? parse_cbor(message.payload, {}, true) : parse_json(message.payload);
    if (parsed) {
      input = *std::move(parsed);
      refusal = accept(now, *topic, input, events);
    } else {
      refusal = Refusal{cbor ? "InvalidCbor" : "InvalidJson", parsed.error().message};
    }
  }
  Json reply = Json::object();
  const std::string* token = string_in(input, "clientToken");
  if (refusal && token != nullptr && token->size() <= kClientTokenBytes) {
    reply["clientToken"] = *token;
  }
  reply["executionId"] = topic->execution;
  if (refusal) {
    reply["error"] = refusal->error;
    reply["errorMessage"] = refusal->message;
    reply["timestamp"] = now.ms;
  }
  Answer answer;
  if (settings_.acknowledge_requester) answer.to = Answer::To::requester;
  answer.topic = std::string(kRoot) + topic->kind + '/' + topic->target + "/executions/" +
                 topic->execution + "/response/" + (refusal ? "rejected" : "accepted");
  if (settings_.format_in_acknowledgement) answer.topic += cbor ? "/cbor" : "/json";
  answer.payload = cbor ? to_cbor(reply) : dump(reply);
  out.all.push_back(std::move(answer));
  for (Answer& one : events.all) out.all.push_back(std::move(one));
}

void Commands::set_status(WallTime now, const std::string& id, Execution& execution,
                          CommandStatus status, Answers& out) {
  execution.status = status;
  execution.updated = now;
  execution.completed.reset();
  if (!execution.is_open()) execution.completed = now;
  ++revision_;
  if (!settings_.events) return;
  Json event = {{"executionId", id}, {"status", to_string(status)}};
  if (!execution.reason.is_null()) event["statusReason"] = execution.reason;
  event["eventType"] = "COMMAND_EXECUTION";
  event["commandArn"] = arn("command/" + execution.command);
  event["targetArn"] = target_arn(execution);
  event["timestamp"] = now.ms;
  out.publish(
      "$aws/events/commandExecution/" + execution.command + '/' + std::string(to_string(status)),
      event);
}

std::string Commands::arn(std::string_view resource) const {
  return "arn:aws:iot:" + settings_.region + ':' + settings_.account + ':' + std::string(resource);
}

std::string Commands::target_arn(const Execution& execution) const {
  return arn((execution.kind == "things" ? "thing/" : "client/") + execution.target);
}

// ---- time --------------------------------------------------------------------------------------

WallTime Commands::wake() const {
  WallTime next{kNoTime};
  for (const auto& [id, e] : executions_) {
    next = std::min(next, e.due().value_or(WallTime{e.created.ms + kRetentionMs}));
  }
  return next;
}

void Commands::on_time(WallTime now, Answers& out) {
  for (auto& [id, e] : executions_) {
    const auto due = e.due();
    if (!due || *due > now) continue;
    e.overridable = true;
    e.reason = {{"reasonCode", kNoResponse}};
    set_status(now, id, e, CommandStatus::timed_out, out);
  }
  const std::size_t gone = std::erase_if(executions_, [now](const auto& one) {
    return one.second.created.ms + kRetentionMs <= now.ms;
  });
  if (gone > 0) ++revision_;
}

// ---- state -------------------------------------------------------------------------------------

Json Commands::save() const {
  Json commands = Json::object();
  for (const auto& [id, c] : commands_) {
    commands[id] = {{"payload", text_to_base64(c.payload)},
                    {"contentType", c.content_type},
                    {"displayName", c.display_name},
                    {"description", c.description},
                    {"created", c.created.ms}};
  }
  Json executions = Json::object();
  for (const auto& [id, e] : executions_) {
    Json j = {{"command", e.command},
              {"kind", e.kind},
              {"target", e.target},
              {"status", to_string(e.status)},
              {"overridable", e.overridable},
              {"result", e.result},
              {"timeoutSeconds", e.timeout_seconds},
              {"created", e.created.ms},
              {"updated", e.updated.ms}};
    if (!e.reason.is_null()) j["reason"] = e.reason;
    if (e.started) j["started"] = e.started->ms;
    if (e.completed) j["completed"] = e.completed->ms;
    executions[id] = std::move(j);
  }
  return {{"commands", std::move(commands)}, {"executions", std::move(executions)}};
}

Status Commands::load(const Json& state) {
  std::string complaint;
  Fields in(state, complaint);
  CommandMap commands;
  ExecutionMap executions;
  in.object("commands").each([&](const std::string& id, Fields one) {
    Command& c = commands[id];
    const auto payload = text_from_base64(one.text("payload"));
    if (!payload) one.complain("payload", "must be Base64");
    c.payload = payload.value_or("");
    c.content_type = one.text("contentType");
    c.display_name = one.text("displayName");
    c.description = one.text("description");
    c.created = time_of(one, "created");
    one.no_others();
  });
  in.object("executions").each([&](const std::string& id, Fields one) {
    Execution& e = executions[id];
    e.command = one.text("command");
    e.kind = one.text("kind");
    if (e.kind != "things" && e.kind != "clients")
      one.complain("kind", "must be things or clients");
    e.target = one.text("target");
    const auto status = command_status_named(one.text("status"));
    if (!status) one.complain("status", "is no status of a command");
    e.status = status.value_or(CommandStatus::created);
    e.overridable = one.flag("overridable");
    check_result(one.object("result"), e.result);
    e.timeout_seconds = one.number("timeoutSeconds");
    if (e.timeout_seconds < 1 || e.timeout_seconds > kLongestTimeoutSeconds) {
      one.complain("timeoutSeconds", "is out of range");
    }
    e.created = time_of(one, "created");
    e.updated = time_of(one, "updated");
    if (one.has("reason")) {
      e.reason = one.any("reason");
      if (!e.reason.is_object()) one.complain("reason", "must be an object");
    }
    if (one.has("started")) e.started = time_of(one, "started");
    if (one.has("completed")) e.completed = time_of(one, "completed");
    one.no_others();
  });
  in.no_others();
  if (auto status = state_status(complaint); !status) return status;
  commands_ = std::move(commands);
  executions_ = std::move(executions);
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
