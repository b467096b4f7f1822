#include "lab/iot/credentials.h"

#include <optional>
#include <string>

#include "base/calendar.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kBefore = "/role-aliases/";
constexpr std::string_view kBehind = "/credentials";
constexpr std::string_view kThingName = "x-amzn-iot-thingname";

// Words and numbers of refusals are those that the service was seen to answer with, recorded by
// awslabs' aws-iot-core-credential-provider-session-helper.
ApiError denied(std::string message) { return {"AccessDeniedException", 403, std::move(message)}; }

HttpAnswer answer_of(int status, const Json& body) {
  return {status, {{"Content-Type", "application/json"}}, dump(body)};
}

HttpAnswer answer_of(const ApiError& error) {
  HttpAnswer answer = answer_of(error.status, {{"message", error.message}});
  answer.headers.emplace_back("x-amzn-ErrorType", error.type);
  return answer;
}

/// The alias that a path names; nullopt: it is not one of these.
std::optional<std::string> alias_in(std::string_view path) {
  if (path.size() <= kBefore.size() + kBehind.size() || !path.ends_with(kBehind)) {
    return std::nullopt;
  }
  path.remove_prefix(kBefore.size());
  path.remove_suffix(kBehind.size());
  return decode_percent(path);
}

}  // namespace

bool CredentialProvider::claims(std::string_view target) { return target.starts_with(kBefore); }

HttpAnswer CredentialProvider::answer(BootTime now, WallTime wall, const HttpQuestion& question) {
  const auto alias = alias_in(parse_target(question.target).path);
  if (!alias) return answer_of({"ResourceNotFoundException", 404, "Not found"});
  if (question.method != "GET") {
    return answer_of({"MethodNotAllowedException", 405, "This method is not for this resource"});
  }
  if (!given_.take(now, world_.switches.assume_role_per_second)) {
    return answer_of({"ThrottlingException", 429, "Rate exceeded"});
  }
  const auto assumed = assume(wall, question, *alias);
  if (const auto* error = std::get_if<ApiError>(&assumed)) return answer_of(*error);
  const AccessKey& key = std::get<AccessKey>(assumed);
  return answer_of(200, {{"credentials",
                          {{"accessKeyId", key.id},
                           {"secretAccessKey", key.secret},
                           {"sessionToken", key.session_token},
                           {"expiration", iso_time(key.expires)}}}});
}

std::variant<AccessKey, ApiError> CredentialProvider::assume(WallTime wall,
                                                             const HttpQuestion& question,
                                                             std::string_view alias) {
  if (question.principal.empty()) return denied("Certificate is invalid on this endpoint");
  RoleSession session{question.principal, {}, {}};
  if (const std::string* thing = header_of(question.headers, kThingName)) {
    const bool attached =
        !thing->empty() && world_.registry.thing_of(question.principal, *thing) == *thing;
    if (!attached) return denied("Invalid thing name passed");
    session.thing = *thing;
    session.thing_type = world_.registry.thing(*thing)->type;
  }
  // Policies look for the thing under the name that a connection would have.
  Requester who;
  who.principal = question.principal;
  who.client_id = session.thing;
  if (!world_.access.allows(who, "iot:AssumeRoleWithCertificate", "rolealias/" + std::string(alias),
                            {})) {
    return denied("Access Denied");
  }
  const RoleAlias* known = world_.aliases.role_alias(alias);
  if (known == nullptr) {
    return ApiError{"ResourceNotFoundException", 404, "Role alias does not exist"};
  }
  const std::int64_t shorter = world_.switches.assumed_seconds;
  return world_.iam.assume_role(wall, known->role_arn, session,
                                shorter != 0 ? shorter : known->seconds);
}

}  // namespace holdfast::lab::iot
