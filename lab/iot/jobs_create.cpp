// CreateJob: everything is read and checked before anything is queued.
#include <algorithm>
#include <set>
#include <utility>

#include "lab/iot/jobs_call.h"

namespace holdfast::lab::iot {
namespace {

/// Members of CreateJob that are about more than one Region's worth of devices. They are refused
/// instead of ignored.
constexpr std::string_view kRefused[] = {"jobExecutionsRolloutConfig", "abortConfig",
                                         "schedulingConfig", "namespaceId",
                                         "destinationPackageVersions"};
constexpr std::string_view kShownAgain[] = {
    "description",        "documentSource",           "documentParameters", "timeoutConfig",
    "presignedUrlConfig", "jobExecutionsRetryConfig", "jobTemplateArn"};

}  // namespace

std::string Jobs::Call::short_text(std::string_view key, std::size_t longest) {
  std::string text = in.text_or(key, "");
  if (length_of(text) > longest) in.complain(key, "is too long");
  return text;
}

void Jobs::Call::check_range(Fields& of, std::string_view key, std::int64_t least,
                             std::int64_t most) {
  const auto value = of.number_if(key);
  if (value && (*value < least || *value > most)) {
    of.complain(key, "must be " + std::to_string(least) + " to " + std::to_string(most));
  }
}

void Jobs::Call::read_targets(std::vector<std::string>& targets, std::vector<std::string>& things) {
  targets = in.texts("targets");
  if (targets.empty() || targets.size() > kTargetsPerJob) {
    in.complain("targets", "must be 1 to 100 ARNs");
  }
  std::set<std::string> all;
  for (const std::string& target : targets) {
    const auto found = jobs.things_of(target);
    if (found) {
      all.insert(found->begin(), found->end());
    } else if (!target.starts_with(jobs.thing_arn("").substr(0, jobs.thing_arn("").size() - 1))) {
      in.complain("targets", "must be ARNs of things or thing groups of this account and Region");
    } else if (error.type.empty()) {
      error = {std::string(kNotFound), 404, "there is no " + target};
    }
  }
  things.assign(all.begin(), all.end());
}

void Jobs::Call::read_parameters(const ManagedTemplate* managed, Json& parameters) {
  if (in.has("documentParameters")) {
    Fields given = in.object("documentParameters");
    for (const std::string& name : given.names()) {
      const std::string value = given.text(name);
      parameters[name] = value;
      if (managed == nullptr) continue;
      const bool optional =
          std::count(managed->optional.begin(), managed->optional.end(), name) > 0;
      const bool required =
          std::count(managed->required.begin(), managed->required.end(), name) > 0;
      if (!optional && !required) given.complain(name, "is no parameter of the template");
      if (optional && length_of(value) > kHandlerParameterLength) {
        given.complain(name, "must have at most 256 characters");
      }
    }
  }
  if (managed == nullptr) return;
  for (const std::string& name : managed->required) {
    if (!parameters.contains(name)) in.complain("documentParameters." + name, "is missing");
  }
}

void Jobs::Call::read_document(Job& job) {
  const ManagedTemplate* managed = nullptr;
  Json document;
  if (in.has("jobTemplateArn")) {
    const std::string arn = in.text("jobTemplateArn");
    managed = managed_template(jobs.settings_.region, arn);
    if (managed == nullptr) {
      if (error.type.empty()) error = {std::string(kNotFound), 404, "there is no template " + arn};
      return;
    }
    if (in.has("document") || in.has("documentSource")) {
      return in.complain("document", "cannot be given with jobTemplateArn");
    }
    document = managed->document;
  } else {
    if (in.has("document") == in.has("documentSource")) {
      return in.complain("document", "or documentSource must be given, and not both");
    }
    std::string text;
    if (in.has("documentSource")) {
      const auto found =
          jobs.world_.read_document(short_text("documentSource", kDocumentSourceLength));
      if (!found) return in.complain("documentSource", "cannot be read");
      text = *found;
    } else {
      text = in.text("document");
    }
    if (text.size() > kDocumentBytes) return in.complain("document", "is over 32768 bytes");
    auto parsed = parse_json(text);
    if (!parsed) return in.complain("document", "is wrong: " + parsed.error().message);
    if (!parsed->is_object()) return in.complain("document", "must be a JSON object");
    document = *std::move(parsed);
  }
  Json parameters = Json::object();
  read_parameters(managed, parameters);
  job.document = dump(with_parameters(document, parameters, jobs.settings_.omitted_parameter));
  if (job.document.size() > kDocumentBytes) in.complain("document", "is over 32768 bytes");
}

void Jobs::Call::read_timers() {
  if (in.has("timeoutConfig")) {
    Fields config = in.object("timeoutConfig");
    check_range(config, "inProgressTimeoutInMinutes", 1, kLongestTimerMinutes);
  }
  if (in.has("presignedUrlConfig")) {
    Fields config = in.object("presignedUrlConfig");
    check_range(config, "expiresInSec", kShortestPresigned, kLongestPresigned);
  }
}

void Jobs::Call::read_retries() {
  if (!in.has("jobExecutionsRetryConfig")) return;
  std::int64_t sum = 0;
  std::set<std::string> types;
  Fields config = in.object("jobExecutionsRetryConfig");
  config.each_item("criteriaList", [&](Fields one) {
    const std::string type = one.text("failureType");
    if (type != "FAILED" && type != "TIMED_OUT" && type != "ALL") {
      one.complain("failureType", "must be FAILED, TIMED_OUT or ALL");
    }
    if (!types.insert(type).second) one.complain("failureType", "comes twice");
    const std::int64_t retries = one.number("numberOfRetries");
    check_range(one, "numberOfRetries", 0, kMostRetries);
    sum += std::clamp<std::int64_t>(retries, 0, kMostRetries + 1);
  });
  if (types.empty() || (types.contains("ALL") && types.size() > 1)) {
    config.complain("criteriaList", "must have FAILED and TIMED_OUT, or ALL alone");
  }
  if (sum > kMostRetries) config.complain("criteriaList", "has more than 10 retries");
}

ApiResult Jobs::Call::create_job() {
  const std::string id = in.text("jobId");
  if (!is_plain_id(id, kJobIdLength)) in.complain("jobId", "must be [a-zA-Z0-9_-]{1,64}");
  for (const std::string_view key : kRefused) {
    if (in.has(key)) in.complain(key, "is not supported by the lab");
  }
  Job job;
  std::vector<std::string> things;
  read_targets(job.targets, things);
  const std::string selection = in.text_or("targetSelection", "SNAPSHOT");
  if (selection != "SNAPSHOT" && selection != "CONTINUOUS") {
    in.complain("targetSelection", "must be SNAPSHOT or CONTINUOUS");
  }
  const std::string description = short_text("description", kDescriptionLength);
  read_document(job);
  read_timers();
  read_retries();
  if (!complaint.empty()) return invalid(complaint);
  if (!error.type.empty()) return error;
  if (jobs.book_.find(id) != nullptr) {
    return ApiError{"ResourceAlreadyExistsException", 409, "there is a job " + id};
  }

  job.continuous = selection == "CONTINUOUS";
  for (const std::string_view key : kShownAgain) {
    if (in.has(key)) job.given[std::string(key)] = in.any(key);
  }
  job.created = job.updated = now;
  Job& kept = jobs.book_.jobs.emplace(id, std::move(job)).first->second;
  for (const std::string& thing : things) {
    const Seen before = jobs.look(thing);
    jobs.queue(now, kept, thing);
    jobs.tell(now, thing, before, out);
  }
  jobs.settle(now, id, kept, out);
  ++jobs.revision_;
  Json result = {{"jobArn", jobs.job_arn(id)}, {"jobId", id}};
  if (!description.empty()) result["description"] = description;
  return result;
}

}  // namespace holdfast::lab::iot
