// The operations of the IAM API that the lab has.
#include <algorithm>
#include <array>
#include <utility>

#include "base/calendar.h"
#include "lab/iot/iam.h"

namespace holdfast::lab::iot {

/// One call. Users and roles have the same operations, under their own words.
struct Iam::Call {
  using Function = ApiResult (Call::*)();
  struct Operation {
    std::string_view name;
    Function function;
    bool of_role;
  };
  static const Operation* named(std::string_view operation);

  Call(Iam& owner, WallTime time, const Json& input, bool of_role)
      : iam(owner),
        now(time),
        word(of_role ? "Role" : "User"),
        all(of_role ? owner.roles_ : owner.users_),
        role(of_role),
        in(input, complaint) {}

  ApiResult create();
  ApiResult list();
  ApiResult remove();
  ApiResult put_policy();
  ApiResult get_policy();
  ApiResult list_policies();
  ApiResult delete_policy();
  ApiResult create_key();
  ApiResult list_keys();
  ApiResult delete_key();

  /// Reads the member; complains when it is no name.
  std::string name(const std::string& member, std::size_t most = kNameLength);
  /// Reads whose call it is.
  std::string owner() { return name(word + "Name"); }
  [[nodiscard]] static bool is_of(const Key& key, const std::string& user) {
    return key.token.empty() && key.owner == user;
  }
  [[nodiscard]] std::optional<ApiError> refused();
  [[nodiscard]] ApiError not_found(const std::string& what) const {
    return {"NoSuchEntity", 404, "there is no " + what};
  }
  [[nodiscard]] Json describe(const std::string& name_of, const Identity& one) const;
  ApiResult done(Json output = Json::object()) {
    ++iam.revision_;
    return output;
  }

  Iam& iam;
  WallTime now;
  std::string word;
  Identities& all;
  bool role;
  std::string complaint;
  Fields in;
};

const Iam::Call::Operation* Iam::Call::named(std::string_view operation) {
  static constexpr std::array kOperations = {
      Operation{"CreateUser", &Call::create, false},
      Operation{"ListUsers", &Call::list, false},
      Operation{"DeleteUser", &Call::remove, false},
      Operation{"PutUserPolicy", &Call::put_policy, false},
      Operation{"GetUserPolicy", &Call::get_policy, false},
      Operation{"ListUserPolicies", &Call::list_policies, false},
      Operation{"DeleteUserPolicy", &Call::delete_policy, false},
      Operation{"CreateRole", &Call::create, true},
      Operation{"ListRoles", &Call::list, true},
      Operation{"DeleteRole", &Call::remove, true},
      Operation{"PutRolePolicy", &Call::put_policy, true},
      Operation{"GetRolePolicy", &Call::get_policy, true},
      Operation{"ListRolePolicies", &Call::list_policies, true},
      Operation{"DeleteRolePolicy", &Call::delete_policy, true},
      Operation{"CreateAccessKey", &Call::create_key, false},
      Operation{"ListAccessKeys", &Call::list_keys, false},
      Operation{"DeleteAccessKey", &Call::delete_key, false},
  };
  const auto found = std::find_if(kOperations.begin(), kOperations.end(),
                                  [&](const Operation& one) { return one.name == operation; });
  return found == kOperations.end() ? nullptr : &*found;
}

bool Iam::has_operation(std::string_view operation) const {
  return Call::named(operation) != nullptr;
}

ApiResult Iam::call(WallTime now, std::string_view operation, const Json& input, Answers& /*out*/) {
  const Call::Operation& known = *Call::named(operation);
  Call call(*this, now, input, known.of_role);
  return (call.*known.function)();
}

std::string Iam::Call::name(const std::string& member, std::size_t most) {
  std::string given = in.text(member);
  const bool good = std::all_of(given.begin(), given.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_+=,.@-").find(c) != std::string_view::npos;
  });
  if (given.empty() || given.size() > most || !good) {
    in.complain(member,
                "must be 1 to " + std::to_string(most) + " letters, digits or any of _+=,.@-");
  }
  return given;
}

std::optional<ApiError> Iam::Call::refused() {
  in.no_others();
  if (complaint.empty()) return std::nullopt;
  return ApiError{"ValidationError", 400, complaint};
}

Json Iam::Call::describe(const std::string& name_of, const Identity& one) const {
  Json described = {
      {word + "Name", name_of},
      {word + "Id", one.id},
      {"Arn", "arn:aws:iam::" + iam.account_ + (role ? ":role/" : ":user/") + name_of},
      {"CreateDate", iso_time(one.created)}};
  if (role) described["MaxSessionDuration"] = one.session_most;
  return described;
}

ApiResult Iam::Call::create() {
  const std::string name_given = owner();
  Identity made{{}, now, {}, {}, kSessionLeast};
  if (role) {
    made.trust = in.text("AssumeRolePolicyDocument");
    if (!parse_json(made.trust)) in.complain("AssumeRolePolicyDocument", "is no JSON");
    made.session_most = in.number_if("MaxSessionDuration").value_or(kSessionLeast);
    if (made.session_most < kSessionLeast || made.session_most > kSessionMost) {
      in.complain("MaxSessionDuration", "must be 3600 to 43200");
    }
  }
  if (auto error = refused()) return *error;
  if (all.contains(name_given)) {
    return ApiError{"EntityAlreadyExists", 409, "there is a " + word + ' ' + name_given};
  }
  made.id = iam.new_identity_id(role ? "AROA" : "AIDA");
  const auto at = all.emplace(name_given, std::move(made)).first;
  return done({{word, describe(name_given, at->second)}});
}

ApiResult Iam::Call::list() {
  if (auto error = refused()) return *error;
  Json listed = Json::array();
  for (const auto& [name_of, one] : all) listed.push_back(describe(name_of, one));
  return Json{{word + 's', std::move(listed)}};
}

ApiResult Iam::Call::remove() {
  const std::string name_given = owner();
  if (auto error = refused()) return *error;
  const auto found = all.find(name_given);
  if (found == all.end()) return not_found(word + ' ' + name_given);
  const bool has_keys = std::any_of(iam.keys_.begin(), iam.keys_.end(),
                                    [&](const auto& one) { return is_of(one.second, name_given); });
  if (!found->second.policies.empty() || (!role && has_keys)) {
    return ApiError{"DeleteConflict", 409, "delete its policies and access keys first"};
  }
  all.erase(found);
  return done();
}

ApiResult Iam::Call::put_policy() {
  const std::string name_given = owner();
  const std::string policy_name = name("PolicyName", kPolicyNameLength);
  auto policy = policy_of(in.text("PolicyDocument"));
  if (auto error = refused()) return *error;
  if (!policy) return ApiError{"MalformedPolicyDocument", 400, policy.error().message};
  const auto found = all.find(name_given);
  if (found == all.end()) return not_found(word + ' ' + name_given);
  found->second.policies[policy_name] = std::move(*policy);
  return done();
}

ApiResult Iam::Call::get_policy() {
  const std::string name_given = owner();
  const std::string policy_name = name("PolicyName", kPolicyNameLength);
  if (auto error = refused()) return *error;
  const auto found = all.find(name_given);
  if (found == all.end()) return not_found(word + ' ' + name_given);
  const auto policy = found->second.policies.find(policy_name);
  if (policy == found->second.policies.end()) return not_found("policy " + policy_name);
  return Json{{word + "Name", name_given},
              {"PolicyName", policy_name},
              {"PolicyDocument", policy->second.text}};
}

ApiResult Iam::Call::list_policies() {
  const std::string name_given = owner();
  if (auto error = refused()) return *error;
  const auto found = all.find(name_given);
  if (found == all.end()) return not_found(word + ' ' + name_given);
  Json listed = Json::array();
  for (const auto& [policy_name, policy] : found->second.policies) listed.push_back(policy_name);
  return Json{{"PolicyNames", std::move(listed)}};
}

ApiResult Iam::Call::delete_policy() {
  const std::string name_given = owner();
  const std::string policy_name = name("PolicyName", kPolicyNameLength);
  if (auto error = refused()) return *error;
  const auto found = all.find(name_given);
  if (found == all.end()) return not_found(word + ' ' + name_given);
  if (found->second.policies.erase(policy_name) == 0) return not_found("policy " + policy_name);
  return done();
}

ApiResult Iam::Call::create_key() {
  const std::string name_given = owner();
  if (auto error = refused()) return *error;
  const auto found = all.find(name_given);
  if (found == all.end()) return not_found("User " + name_given);
  const auto count = std::count_if(iam.keys_.begin(), iam.keys_.end(),
                                   [&](const auto& one) { return is_of(one.second, name_given); });
  if (count >= std::int64_t{kKeysPerUser}) {
    return ApiError{"LimitExceeded", 409, "a user has at most two access keys"};
  }
  Key key;
  key.secret = iam.new_secret();
  key.owner = name_given;
  key.owner_id = found->second.id;
  key.created = now;
  const std::string id = iam.new_key_id("AKIA");
  iam.keys_[id] = key;
  return done({{"AccessKey",
                {{"UserName", name_given},
                 {"AccessKeyId", id},
                 {"Status", "Active"},
                 {"SecretAccessKey", key.secret},
                 {"CreateDate", iso_time(now)}}}});
}

ApiResult Iam::Call::list_keys() {
  const std::string name_given = owner();
  if (auto error = refused()) return *error;
  if (!all.contains(name_given)) return not_found("User " + name_given);
  Json listed = Json::array();
  for (const auto& [id, key] : iam.keys_) {
    if (!is_of(key, name_given)) continue;
    listed.push_back({{"UserName", name_given},
                      {"AccessKeyId", id},
                      {"Status", "Active"},
                      {"CreateDate", iso_time(key.created)}});
  }
  return Json{{"AccessKeyMetadata", std::move(listed)}};
}

ApiResult Iam::Call::delete_key() {
  const std::string name_given = owner();
  const std::string id = in.text("AccessKeyId");
  if (auto error = refused()) return *error;
  const auto found = iam.keys_.find(id);
  if (found == iam.keys_.end() || !is_of(found->second, name_given)) {
    return not_found("access key " + id);
  }
  iam.keys_.erase(found);
  return done();
}

}  // namespace holdfast::lab::iot
