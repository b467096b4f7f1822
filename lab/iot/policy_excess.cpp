// What is too much in a policy: the home version of Device Advisor's Security_Device_Policies.
#include <algorithm>
#include <array>
#include <string>

#include "lab/iot/policy.h"

namespace holdfast::lab::iot {
namespace {

/// The sixth part of an ARN; "*" stays "*".
std::string_view behind_account(std::string_view resource) {
  for (int colons = 0; colons < 5; ++colons) {
    const std::size_t at = resource.find(':');
    if (at == std::string_view::npos) return resource;
    resource.remove_prefix(at + 1);
  }
  return resource;
}

/// `resource` without its variables, so that the '*' and '?' left are wildcards.
std::string without_variables(std::string_view resource) {
  std::string rest;
  while (!resource.empty()) {
    const std::size_t begin = resource.find("${");
    const std::size_t end = begin == std::string_view::npos ? begin : resource.find('}', begin);
    if (end == std::string_view::npos) return rest.append(resource);
    rest.append(resource.substr(0, begin));
    resource.remove_prefix(end + 1);
  }
  return rest;
}

/// Whether a variable in it stands for this one device.
bool names_the_device(std::string_view resource) {
  static constexpr std::array<std::string_view, 4> kIdentities = {
      "${iot:Connection.Thing.", "${iot:ClientId}", "${iot:CertificateId}", "${iot:Certificate."};
  return std::any_of(kIdentities.begin(), kIdentities.end(), [&](std::string_view variable) {
    return resource.find(variable) != std::string_view::npos;
  });
}

std::string list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// Of an Allow.
void find_in_resource(const PolicyStatement& statement, const std::string& who,
                      const std::string& resource, std::vector<std::string>& findings) {
  const std::string_view what = behind_account(resource);
  const std::size_t slash = what.find('/');
  const std::string_view kind = what.substr(0, slash);
  const std::string_view rest =
      slash == std::string_view::npos ? std::string_view{} : what.substr(slash + 1);
  const std::string actions = list(statement.actions);
  if (what == "*" || kind.find('*') != std::string_view::npos) {
    findings.push_back(who + " allows " + actions + " on every resource");
    return;
  }
  if (rest == "*" || (kind == "topicfilter" && rest == "#")) {
    findings.push_back(who + " allows " + actions + " on every " + std::string(kind));
    return;
  }
  if (kind == "client" && statement.conditions.empty() &&
      rest.find("${iot:ClientId}") != std::string_view::npos) {
    findings.push_back(who + " allows " + actions +
                       " under any client id, as ${iot:ClientId} is whatever the client says");
    return;
  }
  if (names_the_device(what)) return;
  const std::string plain = without_variables(rest);
  const bool filter = kind == "topicfilter" && plain.find_first_of("+#") != std::string::npos;
  if (filter || plain.find_first_of("*?") != std::string::npos) {
    findings.push_back(who + " allows " + actions + " on " + std::string(what) +
                       ", which has a wildcard and names no device");
  }
}

}  // namespace

std::vector<std::string> find_excess(const PolicyDocument& document) {
  std::vector<std::string> findings;
  for (std::size_t i = 0; i < document.statements.size(); ++i) {
    const PolicyStatement& statement = document.statements[i];
    const std::string who = "Statement[" + std::to_string(i) + ']';
    if (statement.deny) {
      for (const std::string& resource : statement.resources) {
        const std::string_view what = behind_account(resource);
        if (without_variables(what).find_first_of("+#") != std::string::npos) {
          findings.push_back(who + " denies " + std::string(what) +
                             ", but + and # are plain characters in a policy");
        }
      }
      continue;
    }
    for (const std::string& action : statement.actions) {
      if (action == "*" || action == "iot:*") {
        findings.push_back(who + " allows every action");
      } else if (action.find_first_of("*?") != std::string::npos) {
        findings.push_back(who + " allows actions by wildcard: " + action);
      }
    }
    for (const std::string& resource : statement.resources) {
      find_in_resource(statement, who, resource, findings);
    }
  }
  return findings;
}

}  // namespace holdfast::lab::iot
