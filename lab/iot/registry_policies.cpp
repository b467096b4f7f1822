// Policies, their versions, and the certificates that they are attached to.
#include <algorithm>
#include <utility>

#include "lab/iot/registry_call.h"

namespace holdfast::lab::iot {
namespace {

ApiError malformed(const Error& error) { return {"MalformedPolicyException", 400, error.message}; }

}  // namespace

ApiResult Registry::Call::create_policy() {
  const std::string policy_name = name("policyName", kPolicyNameOthers);
  const std::string text = in.text("policyDocument");
  if (auto error = refused()) return *error;
  if (books.policies.contains(policy_name)) {
    return exists("Policy cannot be created - name already exists (name=" + policy_name + ')');
  }
  auto document = parse_policy(text);
  if (!document) return malformed(document.error());
  books.policies[policy_name].versions[1] = {text, now, std::move(*document)};
  return done({{"policyName", policy_name},
               {"policyArn", registry.arn("policy/" + policy_name)},
               {"policyDocument", text},
               {"policyVersionId", "1"}});
}

ApiResult Registry::Call::create_policy_version() {
  const std::string policy_name = in.text("policyName");
  const std::string text = in.text("policyDocument");
  const bool as_default = in.flag_or("setAsDefault", false);
  if (auto error = refused()) return *error;
  const auto found = books.policies.find(policy_name);
  if (found == books.policies.end()) return not_found("Policy " + policy_name + " not found");
  auto document = parse_policy(text);
  if (!document) return malformed(document.error());
  Policy& policy = found->second;
  if (policy.versions.size() >= kVersionsPerPolicy) {
    return ApiError{"VersionsLimitExceededException", 409,
                    "The policy " + policy_name + " already has the maximum number of versions (" +
                        std::to_string(kVersionsPerPolicy) + ')'};
  }
  const std::int64_t number = ++policy.last_version;
  policy.versions[number] = {text, now, std::move(*document)};
  if (as_default) policy.default_version = number;
  return done({{"policyArn", registry.arn("policy/" + policy_name)},
               {"policyDocument", text},
               {"policyVersionId", std::to_string(number)},
               {"isDefaultVersion", as_default}});
}

ApiResult Registry::Call::get_policy() {
  const std::string policy_name = in.text("policyName");
  if (auto error = refused()) return *error;
  const auto found = books.policies.find(policy_name);
  if (found == books.policies.end()) return not_found("Policy " + policy_name + " not found");
  const Policy& policy = found->second;
  return Json{{"policyName", policy_name},
              {"policyArn", registry.arn("policy/" + policy_name)},
              {"policyDocument", policy.versions.at(policy.default_version).text},
              {"defaultVersionId", std::to_string(policy.default_version)},
              {"creationDate", api_time(policy.versions.begin()->second.created)},
              {"lastModifiedDate", api_time(policy.versions.rbegin()->second.created)}};
}

ApiResult Registry::Call::list_policies() {
  if (auto error = refused()) return *error;
  Json list = Json::array();
  for (const auto& [policy_name, policy] : books.policies) {
    list.push_back(
        {{"policyName", policy_name}, {"policyArn", registry.arn("policy/" + policy_name)}});
  }
  return Json{{"policies", std::move(list)}};
}

ApiResult Registry::Call::list_policy_versions() {
  const std::string policy_name = in.text("policyName");
  if (auto error = refused()) return *error;
  const auto found = books.policies.find(policy_name);
  if (found == books.policies.end()) return not_found("Policy " + policy_name + " not found");
  Json list = Json::array();
  for (const auto& [number, version] : found->second.versions) {
    list.push_back({{"versionId", std::to_string(number)},
                    {"isDefaultVersion", number == found->second.default_version},
                    {"createDate", api_time(version.created)}});
  }
  return Json{{"policyVersions", std::move(list)}};
}

ApiResult Registry::Call::set_default_policy_version() {
  const std::string policy_name = in.text("policyName");
  const std::int64_t number = in.number("policyVersionId");
  if (auto error = refused()) return *error;
  const auto found = books.policies.find(policy_name);
  if (found == books.policies.end() || !found->second.versions.contains(number)) {
    return not_found("Policy " + policy_name + " has no version " + std::to_string(number));
  }
  found->second.default_version = number;
  return done();
}

ApiResult Registry::Call::delete_policy_version() {
  const std::string policy_name = in.text("policyName");
  const std::int64_t number = in.number("policyVersionId");
  if (auto error = refused()) return *error;
  const auto found = books.policies.find(policy_name);
  if (found == books.policies.end() || !found->second.versions.contains(number)) {
    return not_found("Policy " + policy_name + " has no version " + std::to_string(number));
  }
  if (number == found->second.default_version) {
    return conflict("Cannot delete the default version of a policy");
  }
  found->second.versions.erase(number);
  return done();
}

ApiResult Registry::Call::delete_policy() {
  const std::string policy_name = in.text("policyName");
  if (auto error = refused()) return *error;
  const auto found = books.policies.find(policy_name);
  if (found == books.policies.end()) return not_found("Policy " + policy_name + " not found");
  const auto has_it = [&](const std::set<std::string>& names) {
    return names.contains(policy_name);
  };
  const bool attached =
      std::any_of(books.policies_of.begin(), books.policies_of.end(),
                  [&](const auto& entry) { return has_it(entry.second); }) ||
      std::any_of(books.groups.begin(), books.groups.end(),
                  [&](const auto& entry) { return has_it(entry.second.policies); });
  if (attached) {
    return conflict(
        "The policy cannot be deleted as the policy is attached to one or more "
        "principals (name=" +
        policy_name + ')');
  }
  if (found->second.versions.size() > 1) {
    return conflict(
        "Cannot delete the policy because it has one or more policy versions attached "
        "to it (name=" +
        policy_name + ')');
  }
  books.policies.erase(found);
  return done();
}

// "target" is an ARN of a certificate or of a thing group.
Registry::Call::Target Registry::Call::target() {
  const std::string given = in.text("target");
  const std::string of_group = registry.arn("thinggroup/");
  Target target;
  if (given.starts_with(of_group)) {
    target.group = given.substr(of_group.size());
  } else {
    target.certificate = principal("target");
  }
  return target;
}

std::optional<ApiError> Registry::Call::missing(const Target& target) const {
  if (!target.group.empty()) {
    if (books.groups.contains(target.group)) return std::nullopt;
    return not_found("Thing group " + target.group + " not found");
  }
  if (registry.certificate(target.certificate) != nullptr) return std::nullopt;
  return not_found("Certificate " + target.certificate + " not found");
}

ApiResult Registry::Call::attach_policy() {
  const std::string policy_name = in.text("policyName");
  const Target to = target();
  if (auto error = refused()) return *error;
  if (!books.policies.contains(policy_name)) {
    return not_found("Policy " + policy_name + " not found");
  }
  if (auto error = missing(to)) return *error;
  const bool group = !to.group.empty();
  std::set<std::string>& names =
      group ? books.groups.find(to.group)->second.policies : books.policies_of[to.certificate];
  const std::size_t most = group ? kPoliciesPerGroup : kPoliciesPerPrincipal;
  if (!names.contains(policy_name) && names.size() >= most) {
    return ApiError{"LimitExceededException", 410,
                    "The maximum number of policies attached to a " +
                        std::string(group ? "thing group" : "principal") + " is " +
                        std::to_string(most)};
  }
  names.insert(policy_name);
  return done();
}

ApiResult Registry::Call::detach_policy() {
  const std::string policy_name = in.text("policyName");
  const Target from = target();
  if (auto error = refused()) return *error;
  if (!books.policies.contains(policy_name)) {
    return not_found("Policy " + policy_name + " not found");
  }
  if (!from.group.empty()) {
    if (auto error = missing(from)) return *error;
    books.groups.find(from.group)->second.policies.erase(policy_name);
    return done();
  }
  const auto known = books.policies_of.find(from.certificate);
  if (known != books.policies_of.end()) {
    known->second.erase(policy_name);
    if (known->second.empty()) books.policies_of.erase(known);
  }
  return done();
}

// "recursive" adds the policies of the groups above.
ApiResult Registry::Call::list_attached_policies() {
  const Target of = target();
  const bool recursive = in.flag_or("recursive", false);
  if (auto error = refused()) return *error;
  if (auto error = missing(of)) return *error;
  std::set<std::string> names;
  if (const auto known = books.policies_of.find(of.certificate); known != books.policies_of.end()) {
    names = known->second;
  }
  for (const std::string& group : registry.lineage(of.group)) {
    if (group != of.group && !recursive) continue;
    const auto& more = books.groups.find(group)->second.policies;
    names.insert(more.begin(), more.end());
  }
  Json list = Json::array();
  for (const std::string& policy_name : names) {
    list.push_back(
        {{"policyName", policy_name}, {"policyArn", registry.arn("policy/" + policy_name)}});
  }
  return Json{{"policies", std::move(list)}};
}

// The verdicts are those that the front door would get, for a connection of the given client id.
ApiResult Registry::Call::test_authorization() {
  const Requester who{0, in.text_or("clientId", ""), principal("principal")};
  struct Question {
    std::string type;
    std::string action;
    std::string resource;
  };
  std::vector<Question> questions;
  const std::string prefix = registry.arn("");
  in.each_item("authInfos", [&](Fields info) {
    const std::string type = info.text("actionType");
    static constexpr std::pair<std::string_view, std::string_view> kActions[] = {
        {"PUBLISH", "iot:Publish"},
        {"SUBSCRIBE", "iot:Subscribe"},
        {"RECEIVE", "iot:Receive"},
        {"CONNECT", "iot:Connect"}};
    const auto* action = std::find_if(std::begin(kActions), std::end(kActions),
                                      [&](const auto& one) { return one.first == type; });
    if (action == std::end(kActions)) {
      info.complain("actionType", "must be PUBLISH, SUBSCRIBE, RECEIVE or CONNECT");
      return;
    }
    for (const std::string& resource : info.texts("resources")) {
      if (!resource.starts_with(prefix)) info.complain("resources", "must begin with " + prefix);
      questions.push_back({type, std::string(action->second),
                           resource.substr(std::min(prefix.size(), resource.size()))});
    }
    info.no_others();
  });
  if (auto error = refused()) return *error;
  if (registry.certificate(who.principal) == nullptr) {
    return not_found("Certificate " + who.principal + " not found");
  }
  Json results = Json::array();
  for (const Question& question : questions) {
    const Verdict verdict = registry.allows(who, question.action, question.resource, {});
    const bool denied = verdict.decision == Verdict::Decision::explicit_deny;
    results.push_back({{"authInfo",
                        {{"actionType", question.type},
                         {"resources", Json::array({registry.arn(question.resource)})}}},
                       {"authDecision", verdict.allowed() ? "ALLOWED"
                                        : denied          ? "EXPLICIT_DENY"
                                                          : "IMPLICIT_DENY"},
                       {"reason", to_string(verdict)}});
  }
  return Json{{"authResults", std::move(results)}};
}

}  // namespace holdfast::lab::iot
