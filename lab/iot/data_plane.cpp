#include "lab/iot/data_plane.h"

#include <optional>
#include <string>
#include <utility>

#include "base/base64.h"
#include "lab/iot/fields.h"

namespace holdfast::lab::iot {
namespace {

HttpAnswer json_answer(int status, const Json& body) {
  return {status, {{"Content-Type", "application/json"}}, dump(body)};
}

HttpAnswer error_answer(const ApiError& error) {
  HttpAnswer answer = json_answer(error.status, {{"message", error.message}});
  answer.headers.emplace_back("x-amzn-ErrorType", error.type);
  return answer;
}

HttpAnswer forbidden() { return error_answer({"ForbiddenException", 403, "Forbidden"}); }
HttpAnswer not_allowed() {
  return error_answer({"MethodNotAllowedException", 405, "This method is not for this resource"});
}
HttpAnswer not_found() { return error_answer({"ResourceNotFoundException", 404, "Not found"}); }
HttpAnswer invalid(std::string message) {
  return error_answer({"InvalidRequestException", 400, std::move(message)});
}

const std::string* value_of(const Target& target, std::string_view name) {
  for (const auto& [key, value] : target.query) {
    if (key == name) return &value;
  }
  return nullptr;
}

/// Takes "WORD/" off the front of `path`.
bool take(std::string_view& path, std::string_view word) {
  if (!path.starts_with(word)) return false;
  path.remove_prefix(word.size());
  return true;
}

/// A body that is nothing, or an object.
std::optional<Json> object_of(const std::string& body) {
  if (body.empty()) return Json::object();
  auto value = parse_json(body);
  if (!value || !value->is_object()) return std::nullopt;
  return std::move(*value);
}

/// Adds a member that is a text in the query: a whole number, or true or false.
void add_query(Json& input, const Target& target, const std::string& name) {
  const std::string* value = value_of(target, name);
  if (value == nullptr) return;
  if (*value == "true" || *value == "false") {
    input[name] = *value == "true";
  } else {
    input[name] = *value;
  }
}

}  // namespace

std::string DataPlane::signing_name(std::string_view target) {
  const std::string path = parse_target(target).path;
  const bool of_jobs = path.starts_with("/things/") && path.find("/jobs") != std::string::npos;
  return of_jobs ? "iot-jobs-data" : "iotdata";
}

HttpAnswer DataPlane::answer(const HttpQuestion& question) const {
  if (question.principal.empty()) return forbidden();
  const Target target = parse_target(question.target);
  std::string_view path = target.path;
  if (take(path, "/topics/")) return publish(question, path, target);
  if (take(path, "/api/things/shadow/ListNamedShadowsForThing/")) {
    const auto thing = decode_percent(path);
    if (!thing) return invalid("a path that is not percent-encoded");
    if (question.method != "GET") return not_allowed();
    return operate(question, "iot:ListNamedShadowsForThing", "thing/" + *thing,
                   "ListNamedShadowsForThing", {{"thingName", *thing}});
  }
  if (!take(path, "/things/")) return not_found();
  const std::size_t slash = path.find('/');
  const auto thing = decode_percent(path.substr(0, slash));
  if (!thing || slash == std::string_view::npos) return not_found();
  path.remove_prefix(slash);
  if (path == "/shadow") return shadow(question, *thing, target);
  if (path == "/jobs") return jobs(question, *thing, {}, target);
  if (!take(path, "/jobs/")) return not_found();
  const auto job = decode_percent(path);
  return job && !job->empty() ? jobs(question, *thing, *job, target) : not_found();
}

HttpAnswer DataPlane::operate(const HttpQuestion& question, std::string_view action,
                              const std::string& resource, std::string_view operation,
                              const Json& input) const {
  if (!world_.allows(question, action, resource)) return forbidden();
  const ApiResult result = world_.call(operation, input);
  if (const auto* error = std::get_if<ApiError>(&result)) return error_answer(*error);
  const Json& output = std::get<Json>(result);
  // A shadow's document is the body itself.
  return json_answer(200, output.contains("payload") ? output["payload"] : output);
}

HttpAnswer DataPlane::publish(const HttpQuestion& question, std::string_view topic,
                              const Target& target) const {
  if (question.method != "POST") return not_allowed();
  const auto name = decode_percent(topic);
  if (!name) return invalid("a topic that is not percent-encoded");
  const std::string* qos = value_of(target, "qos");
  Json input = {{"topic", *name}, {"payloadBase64", text_to_base64(question.body)}};
  if (qos != nullptr) input["qos"] = *qos;
  if (const std::string* retain = value_of(target, "retain")) {
    input["retain"] = *retain == "true";
    if (*retain == "true" && !world_.allows(question, "iot:RetainPublish", "topic/" + *name)) {
      return forbidden();
    }
  }
  HttpAnswer done = operate(question, "iot:Publish", "topic/" + *name, "Publish", input);
  if (done.status == 200) done.body = R"({"message":"OK"})";
  return done;
}

HttpAnswer DataPlane::shadow(const HttpQuestion& question, const std::string& thing,
                             const Target& target) const {
  Json input = {{"thingName", thing}};
  std::string resource = "thing/" + thing;
  if (const std::string* name = value_of(target, "name")) {
    const auto decoded = decode_percent(*name);
    if (!decoded) return invalid("a name that is not percent-encoded");
    input["shadowName"] = *decoded;
    resource += "/" + *decoded;
  }
  if (question.method == "GET") {
    return operate(question, "iot:GetThingShadow", resource, "GetThingShadow", input);
  }
  if (question.method == "DELETE") {
    return operate(question, "iot:DeleteThingShadow", resource, "DeleteThingShadow", input);
  }
  if (question.method != "POST") return not_allowed();
  input["payload"] = question.body;
  return operate(question, "iot:UpdateThingShadow", resource, "UpdateThingShadow", input);
}

HttpAnswer DataPlane::jobs(const HttpQuestion& question, const std::string& thing,
                           const std::string& job, const Target& target) const {
  const std::string resource = "thing/" + thing;
  auto input = object_of(question.body);
  if (!input) return invalid("a body that is no JSON object");
  (*input)["thingName"] = thing;
  if (job.empty()) {
    if (question.method != "GET") return not_allowed();
    return operate(question, "iotjobsdata:GetPendingJobExecutions", resource,
                   "GetPendingJobExecutions", *input);
  }
  if (question.method == "PUT" && job == "$next") {
    return operate(question, "iotjobsdata:StartNextPendingJobExecution", resource,
                   "StartNextPendingJobExecution", *input);
  }
  (*input)["jobId"] = job;
  if (question.method == "GET") {
    add_query(*input, target, "executionNumber");
    add_query(*input, target, "includeJobDocument");
    return operate(question, "iotjobsdata:DescribeJobExecution", resource,
                   "jobs-data:DescribeJobExecution", *input);
  }
  if (question.method != "POST") return not_allowed();
  return operate(question, "iotjobsdata:UpdateJobExecution", resource, "UpdateJobExecution",
                 *input);
}

}  // namespace holdfast::lab::iot
