#include "lab/iot/iam.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "lab/iot/http.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kIdLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::string_view kSecretLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kKeyIdLength = 20;
constexpr std::size_t kIdentityIdLength = 21;
constexpr std::size_t kSecretLength = 40;
constexpr std::size_t kTokenLength = 340;
constexpr std::string_view kProvider = "credentials.iot.amazonaws.com";

/// Whether `value` is `wanted`, or a list that has it.
bool names(const Json& value, std::string_view wanted) {
  const auto is_wanted = [&](const Json& one) {
    return one.is_string() && one.get_ref<const std::string&>() == wanted;
  };
  return value.is_array() ? std::any_of(value.begin(), value.end(), is_wanted) : is_wanted(value);
}

/// Whether an AssumeRolePolicyDocument lets the credential provider assume the role.
bool trusts_provider(const std::string& trust) {
  const auto document = parse_json(trust);
  if (!document || !document->is_object() || !document->contains("Statement")) return false;
  const Json& given = (*document)["Statement"];
  const Json list = given.is_array() ? given : Json::array({given});
  return std::any_of(list.begin(), list.end(), [](const Json& one) {
    return one.is_object() && one.value("Effect", Json()) == "Allow" &&
           names(one.value("Action", Json()), "sts:AssumeRole") &&
           one.value("Principal", Json()).is_object() &&
           names(one["Principal"].value("Service", Json()), kProvider);
  });
}

}  // namespace

std::string Iam::draw(std::size_t count, std::string_view alphabet) {
  std::string drawn;
  while (drawn.size() < count) drawn += alphabet[random_.below(alphabet.size())];
  return drawn;
}

std::string Iam::new_key_id(std::string_view prefix) {
  return std::string(prefix) + draw(kKeyIdLength - prefix.size(), kIdLetters);
}

std::string Iam::new_identity_id(std::string_view prefix) {
  return std::string(prefix) + draw(kIdentityIdLength - prefix.size(), kIdLetters);
}

std::string Iam::new_secret() { return draw(kSecretLength, kSecretLetters); }

const Iam::Identity* Iam::owner_of(const Key& key) const {
  const Identities& all = key.token.empty() ? users_ : roles_;
  const auto found = all.find(key.owner);
  return found == all.end() || found->second.id != key.owner_id ? nullptr : &found->second;
}

std::string Iam::principal_of(const Key& key) {
  return key.token.empty() ? key.owner_id : key.owner_id + ':' + key.session.certificate_id;
}

std::optional<AccessKey> Iam::access_key(std::string_view id) const {
  const auto found = keys_.find(id);
  if (found == keys_.end()) return std::nullopt;
  const Key& key = found->second;
  return AccessKey{found->first, key.secret, key.token, key.expires, principal_of(key)};
}

void Iam::forget_sessions(WallTime now) {
  while (!ends_.empty() &&
         (ends_.size() >= kSessions || ends_.begin()->first.ms + kRememberedMs <= now.ms)) {
    keys_.erase(ends_.begin()->second);
    ends_.erase(ends_.begin());
  }
}

std::variant<AccessKey, ApiError> Iam::assume_role(WallTime now, std::string_view role_arn,
                                                   const RoleSession& session,
                                                   std::int64_t seconds) {
  const std::string name(role_arn.substr(std::min(role_arn.rfind('/') + 1, role_arn.size())));
  const auto role = roles_.find(name);
  const std::string prefix = "arn:aws:iam::" + account_ + ":role/";
  if (role == roles_.end() || !role_arn.starts_with(prefix) ||
      !trusts_provider(role->second.trust)) {
    return ApiError{"InvalidRequestException", 400,
                    "Unable to assume the role, or the role to assume does not exist"};
  }
  if (seconds > role->second.session_most) {
    return ApiError{"InvalidRequestException", 400,
                    "The requested CredentialDurationSeconds exceeds the MaxSessionDuration set "
                    "for the role"};
  }
  forget_sessions(now);
  const std::string id = new_key_id("ASIA");
  Key& key = keys_[id];
  key = {new_secret(), draw(kTokenLength, kSecretLetters), name,   role->second.id,
         now,          {(now.ms / 1000 + seconds) * 1000}, session};
  ends_.emplace(key.expires, id);
  ++revision_;
  return AccessKey{id, key.secret, key.token, key.expires, principal_of(key)};
}

bool Iam::allows(std::string_view access_key, std::string_view action, std::string_view resource,
                 const AccessFacts& facts) const {
  const auto found = keys_.find(access_key);
  if (found == keys_.end()) return false;
  const Key& key = found->second;
  const Identity* owner = owner_of(key);
  if (owner == nullptr) return false;
  // Variables of AWS IoT policies, such as iot:ClientId, have no value in those of IAM.
  PolicyFacts known;
  known.source_ip = facts.address;
  known.domain_name = facts.domain;
  known.iam = {{"aws:userid", principal_of(key)},
               {"credentials-iot:thingname", key.session.thing},
               {"credentials-iot:thingtypename", key.session.thing_type},
               {"credentials-iot:awscertificateid", key.session.certificate_id}};
  if (key.token.empty()) known.iam["aws:username"] = key.owner;
  std::vector<NamedPolicy> policies;
  for (const auto& [name, policy] : owner->policies) policies.push_back({name, &policy.document});
  const std::string arn = "arn:aws:iot:" + region_ + ':' + account_ + ':' + std::string(resource);
  return evaluate(policies, action, arn, known).allowed();
}

// ---- state ----

Result<Iam::Policy> Iam::policy_of(std::string text) {
  auto parsed = parse_policy(text, kPolicyCharacters);
  if (!parsed) return std::move(parsed).error();
  return Policy{std::move(text), std::move(*parsed)};
}

Json Iam::save() const {
  const auto saved = [](const Identities& identities) {
    Json all = Json::object();
    for (const auto& [name, one] : identities) {
      Json policies = Json::object();
      for (const auto& [policy_name, policy] : one.policies) policies[policy_name] = policy.text;
      all[name] = {{"id", one.id},
                   {"created", one.created.ms},
                   {"policies", std::move(policies)},
                   {"trust", one.trust},
                   {"sessionMost", one.session_most}};
    }
    return all;
  };
  Json keys = Json::object();
  for (const auto& [id, key] : keys_) {
    keys[id] = {{"secret", key.secret},
                {"token", key.token},
                {"owner", key.owner},
                {"ownerId", key.owner_id},
                {"created", key.created.ms},
                {"expires", key.expires.ms},
                {"certificateId", key.session.certificate_id},
                {"thing", key.session.thing},
                {"thingType", key.session.thing_type}};
  }
  return {{"users", saved(users_)}, {"roles", saved(roles_)}, {"keys", std::move(keys)}};
}

void Iam::load_identities(Fields in, Identities& into) {
  in.each([&](const std::string& name, Fields one) {
    Identity& identity = into[name];
    identity.id = one.text("id");
    identity.created = {one.number("created")};
    Fields policies = one.object("policies");
    for (const std::string& policy : policies.names()) {
      auto read = policy_of(policies.text(policy));
      if (read) {
        identity.policies[policy] = std::move(*read);
      } else {
        policies.complain(policy, "is no policy: " + read.error().message);
      }
    }
    identity.trust = one.text("trust");
    identity.session_most = one.number("sessionMost");
    one.no_others();
  });
}

void Iam::load_keys(Fields in, Keys& into) {
  in.each([&](const std::string& id, Fields one) {
    into[id] = {one.text("secret"),
                one.text("token"),
                one.text("owner"),
                one.text("ownerId"),
                {one.number("created")},
                {one.number("expires")},
                {one.text("certificateId"), one.text("thing"), one.text("thingType")}};
    one.no_others();
  });
}

Status Iam::load(const Json& state) {
  std::string complaint;
  Fields in(state, complaint);
  Identities users;
  Identities roles;
  Keys keys;
  load_identities(in.object("users"), users);
  load_identities(in.object("roles"), roles);
  load_keys(in.object("keys"), keys);
  in.no_others();
  if (Status status = state_status(complaint); !status) return status;
  users_ = std::move(users);
  roles_ = std::move(roles);
  keys_ = std::move(keys);
  ends_.clear();
  for (const auto& [id, key] : keys_) {
    if (!key.token.empty()) ends_.emplace(key.expires, id);
  }
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
