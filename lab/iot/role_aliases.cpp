#include "lab/iot/role_aliases.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "lab/iot/page.h"

namespace holdfast::lab::iot {
namespace {

constexpr PageWords kPage{"pageSize", "marker", "nextMarker"};

/// As the API shows a time: seconds.
double api_time(WallTime time) { return static_cast<double>(time.ms) / 1000; }

ApiError invalid(const std::string& complaint) {
  return {"InvalidRequestException", 400, complaint};
}
ApiError not_found(const std::string& name) {
  return {"ResourceNotFoundException", 404, "there is no role alias " + name};
}

std::string read_name(Fields& in) {
  std::string name = in.text("roleAlias");
  const bool good = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("_=,@-").find(c) != std::string_view::npos;
  });
  if (name.empty() || name.size() > RoleAliases::kNameLength || !good) {
    in.complain("roleAlias", "must be 1 to 128 letters, digits or any of _=,@-");
  }
  return name;
}

std::string read_arn(Fields& in) {
  std::string arn = in.text("roleArn");
  if (arn.size() < RoleAliases::kArnLeast || arn.size() > RoleAliases::kArnMost ||
      !arn.starts_with("arn:") || arn.find(":role/") == std::string::npos) {
    in.complain("roleArn", "must be the ARN of a role, arn:aws:iam::ACCOUNT:role/NAME");
  }
  return arn;
}

std::int64_t read_seconds(Fields& in, std::int64_t fallback) {
  const std::int64_t seconds = in.number_if("credentialDurationSeconds").value_or(fallback);
  if (seconds < RoleAliases::kShortest || seconds > RoleAliases::kLongest) {
    in.complain("credentialDurationSeconds", "must be 900 to 43200");
  }
  return seconds;
}

}  // namespace

struct RoleAliases::Operation {
  std::string_view name;
  ApiResult (RoleAliases::*call)(WallTime now, const Json& input);
};

const RoleAliases::Operation* RoleAliases::named(std::string_view operation) {
  static constexpr std::array kOperations = {
      Operation{"CreateRoleAlias", &RoleAliases::create},
      Operation{"DescribeRoleAlias", &RoleAliases::describe},
      Operation{"ListRoleAliases", &RoleAliases::list},
      Operation{"UpdateRoleAlias", &RoleAliases::update},
      Operation{"DeleteRoleAlias", &RoleAliases::remove},
  };
  const auto found = std::find_if(kOperations.begin(), kOperations.end(),
                                  [&](const Operation& one) { return one.name == operation; });
  return found == kOperations.end() ? nullptr : &*found;
}

const RoleAlias* RoleAliases::role_alias(std::string_view name) const {
  const auto found = aliases_.find(name);
  return found == aliases_.end() ? nullptr : &found->second;
}

bool RoleAliases::has_operation(std::string_view operation) const {
  return named(operation) != nullptr;
}

ApiResult RoleAliases::call(WallTime now, std::string_view operation, const Json& input,
                            Answers& /*out*/) {
  return (this->*named(operation)->call)(now, input);
}

Json RoleAliases::reference(const std::string& name) const {
  return {{"roleAlias", name},
          {"roleAliasArn", "arn:aws:iot:" + region_ + ':' + account_ + ":rolealias/" + name}};
}

ApiResult RoleAliases::create(WallTime now, const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = read_name(in);
  const RoleAlias alias{read_arn(in), read_seconds(in, RoleAlias{}.seconds), now, now};
  (void)in.any("tags");
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  if (!aliases_.try_emplace(name, alias).second) {
    return ApiError{"ResourceAlreadyExistsException", 409, "there is a role alias " + name};
  }
  ++revision_;
  return reference(name);
}

ApiResult RoleAliases::describe(WallTime /*now*/, const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = read_name(in);
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  const RoleAlias* found = role_alias(name);
  if (found == nullptr) return not_found(name);
  Json description = reference(name);
  description["roleArn"] = found->role_arn;
  description["owner"] = account_;
  description["credentialDurationSeconds"] = found->seconds;
  description["creationDate"] = api_time(found->created);
  description["lastModifiedDate"] = api_time(found->modified);
  return Json{{"roleAliasDescription", std::move(description)}};
}

ApiResult RoleAliases::list(WallTime /*now*/, const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  std::vector<Json> names;
  for (const auto& [name, alias] : aliases_) names.emplace_back(name);
  if (!in.flag_or("ascendingOrder", true)) std::reverse(names.begin(), names.end());
  Json result = page_of(in, "roleAliases", std::move(names), kPage);
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  return result;
}

ApiResult RoleAliases::update(WallTime now, const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = read_name(in);
  const RoleAlias* found = role_alias(name);
  RoleAlias changed = found == nullptr ? RoleAlias{} : *found;
  if (in.has("roleArn")) changed.role_arn = read_arn(in);
  changed.seconds = read_seconds(in, changed.seconds);
  changed.modified = now;
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  if (found == nullptr) return not_found(name);
  aliases_[name] = std::move(changed);
  ++revision_;
  return reference(name);
}

ApiResult RoleAliases::remove(WallTime /*now*/, const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = read_name(in);
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  if (aliases_.erase(name) == 0) return not_found(name);
  ++revision_;
  return Json::object();
}

Json RoleAliases::save() const {
  Json all = Json::object();
  for (const auto& [name, alias] : aliases_) {
    all[name] = {{"roleArn", alias.role_arn},
                 {"credentialDurationSeconds", alias.seconds},
                 {"created", alias.created.ms},
                 {"modified", alias.modified.ms}};
  }
  return all;
}

Status RoleAliases::load(const Json& state) {
  std::string complaint;
  Fields in(state, complaint);
  std::map<std::string, RoleAlias, std::less<>> all;
  in.each([&](const std::string& name, Fields one) {
    all[name] = {read_arn(one),
                 one.number("credentialDurationSeconds"),
                 {one.number("created")},
                 {one.number("modified")}};
    one.no_others();
  });
  if (Status status = state_status(complaint); !status) return status;
  aliases_ = std::move(all);
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
