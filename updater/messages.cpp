// See messages.h.
#include "messages.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/limits.h"

namespace holdfast::updater {
namespace {

using nlohmann::json;
using update::JobAnswer;
using update::JobExecution;
using update::JobQuestion;
using Kind = JobQuestion::Kind;

constexpr std::size_t kPayloadMax = 2 * limits::kJobDocumentMax + 32 * limits::kKiB;

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t number_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

/// Nothing is pending where there is none, or an empty one.
std::optional<JobExecution> execution_of(const json& message) {
  const auto found = message.find("execution");
  if (found == message.end() || !found->is_object() || text_of(*found, "jobId").empty()) {
    return std::nullopt;
  }
  JobExecution one{text_of(*found, "jobId"), number_of(*found, "executionNumber"),
                   number_of(*found, "versionNumber"), text_of(*found, "status"), ""};
  // Over MQTT it is an object, over HTTP a text.
  if (const auto document = found->find("jobDocument"); document != found->end()) {
    one.document = document->is_string() ? document->get<std::string>() : document->dump();
  }
  return one;
}

JobAnswer answer_of(const json& message, bool accepted) {
  JobAnswer answer;
  answer.token = text_of(message, "clientToken");
  answer.accepted = accepted;
  answer.code = text_of(message, "code");
  answer.execution = execution_of(message);
  if (const auto state = message.find("executionState");
      state != message.end() && state->is_object()) {
    answer.status = text_of(*state, "status");
    if (state->contains("versionNumber")) answer.version = number_of(*state, "versionNumber");
  }
  return answer;
}

}  // namespace

std::vector<std::string> JobTopics::filters() const {
  return {prefix_ + "notify", prefix_ + "notify-next", prefix_ + "start-next/+",
          prefix_ + "+/update/+", prefix_ + "+/get/+"};
}

std::string JobTopics::topic_of(const JobQuestion& question) const {
  switch (question.kind) {
    case Kind::start_next:
      return prefix_ + "start-next";
    case Kind::describe:
      return prefix_ + question.job + "/get";
    case Kind::update:
      return prefix_ + question.job + "/update";
  }
  return "";
}

ServiceMessage JobTopics::read(std::string_view topic, std::string_view payload) const {
  if (!topic.starts_with(prefix_) || payload.size() > kPayloadMax) return {};
  topic.remove_prefix(prefix_.size());
  const json message = json::parse(payload.begin(), payload.end(), nullptr, false);
  if (!message.is_object()) return {};
  if (topic == "notify") return Change{};
  if (topic == "notify-next") return Announcement{execution_of(message)};
  const bool accepted = topic.ends_with("/accepted");
  if (!accepted && !topic.ends_with("/rejected")) return {};
  return answer_of(message, accepted);
}

std::string payload_of(const JobQuestion& question) {
  json payload = {{"clientToken", question.token}};
  if (question.kind == Kind::describe) {
    payload["executionNumber"] = question.execution;
    payload["includeJobDocument"] = question.document;
  }
  if (question.kind == Kind::update) {
    payload["status"] = update::name_of(question.status);
    payload["executionNumber"] = question.execution;
    payload["includeJobExecutionState"] = true;
    if (question.version > 0) payload["expectedVersion"] = std::to_string(question.version);
    if (question.step_minutes != 0) payload["stepTimeoutInMinutes"] = question.step_minutes;
    for (const auto& [name, value] : question.details) payload["statusDetails"][name] = value;
  }
  return payload.dump();
}

}  // namespace holdfast::updater
