// See messages.h.
#include "messages.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64.h"
#include "base/hex.h"
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

/// None: it is not there, or no whole number of 0 and more.
std::optional<std::uint64_t> count_of(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

constexpr std::uint64_t kFileIdMax = 255;

update::StreamDescription description_of(const json& message) {
  update::StreamDescription what;
  what.version = number_of(message, "s");
  const auto files = message.find("r");
  if (files == message.end() || !files->is_array()) return what;
  for (const json& one : *files) {
    if (!one.is_object()) continue;
    const auto id = count_of(one, "f");
    const auto size = count_of(one, "z");
    if (id && *id <= kFileIdMax && size) {
      what.files.emplace_back(static_cast<std::uint32_t>(*id), *size);
    }
  }
  return what;
}

std::optional<StreamBlock> block_of(const json& message) {
  const auto id = count_of(message, "f");
  const auto index = count_of(message, "i");
  auto bytes = text_from_base64(text_of(message, "p"));
  if (!id || *id > kFileIdMax || !index || !bytes) return std::nullopt;
  if (count_of(message, "l") != bytes->size()) return std::nullopt;
  return StreamBlock{static_cast<std::uint32_t>(*id), *index, *std::move(bytes)};
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

std::vector<std::string> StreamTopics::filters() const {
  return {prefix_ + "description/json", prefix_ + "data/json", prefix_ + "rejected/json"};
}

std::string StreamTopics::topic_of(const update::StreamQuestion& question) const {
  const bool get = question.kind == update::StreamQuestion::Kind::get;
  return prefix_ + (get ? "get/json" : "describe/json");
}

StreamMessage StreamTopics::read(std::string_view topic, std::string_view payload) const {
  if (!topic.starts_with(prefix_) || payload.size() > limits::kPayloadMax) return {};
  topic.remove_prefix(prefix_.size());
  const json message = json::parse(payload.begin(), payload.end(), nullptr, false);
  if (!message.is_object()) return {};
  StreamMessage read{text_of(message, "c"), {}};
  if (topic == "description/json") {
    read.what = description_of(message);
  } else if (topic == "data/json") {
    if (auto block = block_of(message)) read.what = *std::move(block);
  } else if (topic == "rejected/json") {
    // In short names, or in long ones.
    if (read.token.empty()) read.token = text_of(message, "clientToken");
    const std::string code = text_of(message, "o");
    read.what = StreamRefusal{code.empty() ? text_of(message, "code") : code};
  }
  return read;
}

std::string payload_of(const update::StreamQuestion& question) {
  json payload = {{"c", question.token}};
  if (question.kind == update::StreamQuestion::Kind::get) {
    payload["s"] = question.version;
    payload["f"] = question.file;
    payload["l"] = limits::kStreamBlock;
    payload["o"] = question.offset;
    // The lowest bit of the first byte is the block of the offset.
    std::string bitmap;
    for (std::uint32_t rest = question.blocks; rest != 0; rest >>= 8U) {
      bitmap += static_cast<char>(rest & 0xFFU);
    }
    payload["b"] = text_to_hex(bitmap);
  }
  return payload.dump();
}

}  // namespace holdfast::updater
