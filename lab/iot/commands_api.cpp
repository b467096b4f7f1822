// The operations of AWS IoT Commands.
#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "base/base64.h"
#include "lab/iot/commands.h"
#include "lab/iot/jobs_book.h"
#include "lab/iot/jobs_document.h"
#include "lab/iot/page.h"
#include "lab/iot/uuid.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::array<std::string_view, 7> kOperations = {
    "CreateCommand",         "GetCommand",          "ListCommands",         "DeleteCommand",
    "StartCommandExecution", "GetCommandExecution", "ListCommandExecutions"};
constexpr std::string_view kNamespace = "AWS-IoT";
constexpr std::string_view kNotSupported[] = {"mandatoryParameters", "payloadTemplate",
                                              "parameters", "roleArn"};
constexpr std::size_t kDisplayNameLength = 256;
constexpr std::size_t kDescriptionLength = 2028;

double seconds(WallTime time) { return static_cast<double>(time.ms) / 1000; }

ApiError invalid(const std::string& complaint) { return {"ValidationException", 400, complaint}; }
ApiError not_found(const std::string& what) {
  return {"ResourceNotFoundException", 404, "there is no " + what};
}

void refuse_unsupported(Fields& in) {
  for (const std::string_view key : kNotSupported) {
    if (in.has(key)) in.complain(key, "is not supported by the lab");
  }
  if (in.text_or("namespace", std::string(kNamespace)) != kNamespace) {
    in.complain("namespace", "must be AWS-IoT");
  }
}

}  // namespace

bool Commands::has_operation(std::string_view operation) const {
  return std::find(kOperations.begin(), kOperations.end(), operation) != kOperations.end();
}

ApiResult Commands::call(WallTime now, std::string_view operation, const Json& input,
                         Answers& out) {
  if (operation == "CreateCommand") return create_command(now, input);
  if (operation == "GetCommand") return get_command(input);
  if (operation == "ListCommands") return list_commands(input);
  if (operation == "DeleteCommand") return delete_command(input);
  if (operation == "StartCommandExecution") return start_execution(now, input, out);
  if (operation == "GetCommandExecution") return get_execution(input);
  return list_executions(input);
}

ApiResult Commands::create_command(WallTime now, const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string id = in.text("commandId");
  if (!is_plain_id(id, kCommandIdLength)) in.complain("commandId", "must be [a-zA-Z0-9_-]{1,64}");
  refuse_unsupported(in);
  Command command;
  Fields payload = in.object("payload");
  const auto content = text_from_base64(payload.text("content"));
  if (!content) payload.complain("content", "must be Base64");
  command.payload = content.value_or("");
  if (command.payload.empty() || command.payload.size() > kPayloadBytes) {
    payload.complain("content", "must be 1 to 32768 bytes");
  }
  command.content_type = payload.text_or("contentType", "");
  if (command.content_type.size() > kContentTypeBytes) {
    payload.complain("contentType", "is over 256 bytes");
  }
  command.display_name = in.text_or("displayName", "");
  command.description = in.text_or("description", "");
  if (length_of(command.display_name) > kDisplayNameLength) {
    in.complain("displayName", "is too long");
  }
  if (length_of(command.description) > kDescriptionLength)
    in.complain("description", "is too long");
  command.created = now;
  if (!complaint.empty()) return invalid(complaint);
  if (!commands_.emplace(id, std::move(command)).second) {
    return ApiError{"ConflictException", 409, "there is a command " + id};
  }
  ++revision_;
  return Json{{"commandId", id}, {"commandArn", arn("command/" + id)}};
}

ApiResult Commands::get_command(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string id = in.text("commandId");
  if (!complaint.empty()) return invalid(complaint);
  const auto found = commands_.find(id);
  if (found == commands_.end()) return not_found("command " + id);
  const Command& c = found->second;
  Json result = {
      {"commandId", id}, {"commandArn", arn("command/" + id)}, {"namespace", kNamespace}};
  if (!c.display_name.empty()) result["displayName"] = c.display_name;
  if (!c.description.empty()) result["description"] = c.description;
  result["payload"] = {{"content", text_to_base64(c.payload)}};
  if (!c.content_type.empty()) result["payload"]["contentType"] = c.content_type;
  result["createdAt"] = result["lastUpdatedAt"] = seconds(c.created);
  result["deprecated"] = result["pendingDeletion"] = false;
  return result;
}

ApiResult Commands::list_commands(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  std::vector<Json> items;
  for (const auto& [id, c] : commands_) {
    items.push_back({{"commandId", id},
                     {"commandArn", arn("command/" + id)},
                     {"displayName", c.display_name},
                     {"deprecated", false},
                     {"createdAt", seconds(c.created)},
                     {"lastUpdatedAt", seconds(c.created)},
                     {"pendingDeletion", false}});
  }
  Json result = page_of(in, "commands", std::move(items));
  if (!complaint.empty()) return invalid(complaint);
  return result;
}

ApiResult Commands::delete_command(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string id = in.text("commandId");
  if (!complaint.empty()) return invalid(complaint);
  if (commands_.erase(id) == 0) return not_found("command " + id);
  ++revision_;
  return Json{{"statusCode", 204}};
}

std::pair<std::string, std::string> Commands::target_of(std::string_view text) const {
  for (const auto& [resource, kind] : {std::pair("thing/", "things"), {"client/", "clients"}}) {
    const std::string prefix = arn(resource);
    if (text.starts_with(prefix)) return {kind, std::string(text.substr(prefix.size()))};
  }
  return {};
}

ApiResult Commands::start_execution(WallTime now, const Json& input, Answers& out) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string command_arn = in.text("commandArn");
  const std::string target_text = in.text("targetArn");
  refuse_unsupported(in);
  Execution e;
  e.timeout_seconds = in.number_if("executionTimeoutSeconds").value_or(kDefaultTimeoutSeconds);
  if (e.timeout_seconds < 1 || e.timeout_seconds > kLongestTimeoutSeconds) {
    in.complain("executionTimeoutSeconds", "must be 1 to 43200");
  }
  std::tie(e.kind, e.target) = target_of(target_text);
  if (e.target.empty() || e.target.find_first_of("/+#") != std::string::npos) {
    in.complain("targetArn", "must be the ARN of a thing or a client");
  }
  if (!complaint.empty()) return invalid(complaint);

  const std::string prefix = arn("command/");
  const auto found = command_arn.starts_with(prefix)
                         ? commands_.find(std::string_view(command_arn).substr(prefix.size()))
                         : commands_.end();
  if (found == commands_.end()) return not_found(command_arn);
  if (e.kind == "things" && !has_thing_(e.target)) return not_found("thing " + e.target);
  const auto open = std::count_if(executions_.begin(), executions_.end(), [&](const auto& one) {
    return one.second.is_open() && one.second.kind == e.kind && one.second.target == e.target;
  });
  if (static_cast<std::size_t>(open) >= kConcurrentPerDevice) {
    return ApiError{"ServiceQuotaExceededException", 402,
                    "the device has 100 executions that are not over"};
  }
  e.command = found->first;
  e.created = now;
  const std::string id = make_uuid(random_);

  const Command& command = found->second;
  Answer request;
  request.topic = "$aws/commands/" + e.kind + '/' + e.target + "/executions/" + id + "/request";
  if (command.content_type == "application/json") request.topic += "/json";
  if (command.content_type == "application/cbor") request.topic += "/cbor";
  request.payload = command.payload;
  if (!command.content_type.empty()) {
    request.properties.set(mqtt::PropertyId::content_type, command.content_type);
  }
  request.properties.set(mqtt::PropertyId::message_expiry_interval,
                         static_cast<std::uint32_t>(e.timeout_seconds));
  out.all.push_back(std::move(request));
  set_status(now, id, executions_[id] = std::move(e), CommandStatus::created, out);
  return Json{{"executionId", id}};
}

ApiResult Commands::get_execution(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string id = in.text("executionId");
  const std::string target = in.text("targetArn");
  const bool with_result = in.flag_or("includeResult", false);
  if (!complaint.empty()) return invalid(complaint);
  const auto found = executions_.find(id);
  if (found == executions_.end() || target_arn(found->second) != target) {
    return not_found("execution " + id);
  }
  const Execution& e = found->second;
  Json result = {{"executionId", id},
                 {"commandArn", arn("command/" + e.command)},
                 {"targetArn", target},
                 {"status", to_string(e.status)}};
  if (!e.reason.is_null()) result["statusReason"] = e.reason;
  if (with_result) {
    // The operations of the API have long names for what a device names in short.
    for (const auto& [name, value] : e.result.items()) {
      Json& one = result["result"][name];
      for (const auto& [kind, content] : value.items()) {
        one[kind == "s" ? "S" : kind == "b" ? "B" : "BIN"] = content;
      }
    }
  }
  result["executionTimeoutSeconds"] = e.timeout_seconds;
  result["createdAt"] = seconds(e.created);
  result["lastUpdatedAt"] = seconds(e.updated);
  if (e.started) result["startedAt"] = seconds(*e.started);
  if (e.completed) result["completedAt"] = seconds(*e.completed);
  result["timeToLive"] = seconds({e.created.ms + kRetentionMs});
  return result;
}

ApiResult Commands::list_executions(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string command = in.text_or("commandArn", "");
  const std::string target = in.text_or("targetArn", "");
  const std::string status = in.text_or("status", "");
  if (command.empty() && target.empty()) in.complain("commandArn", "or targetArn must be given");
  std::vector<Json> items;
  for (const auto& [id, e] : executions_) {
    Json one = {{"commandArn", arn("command/" + e.command)},
                {"executionId", id},
                {"targetArn", target_arn(e)},
                {"status", to_string(e.status)},
                {"createdAt", seconds(e.created)}};
    if (e.started) one["startedAt"] = seconds(*e.started);
    if (e.completed) one["completedAt"] = seconds(*e.completed);
    const bool wanted = (command.empty() || one["commandArn"] == command) &&
                        (target.empty() || one["targetArn"] == target) &&
                        (status.empty() || one["status"] == status);
    if (wanted) items.push_back(std::move(one));
  }
  Json result = page_of(in, "commandExecutions", std::move(items));
  if (!complaint.empty()) return invalid(complaint);
  return result;
}

}  // namespace holdfast::lab::iot
