// The part of AWS IAM and STS that devices meet: users with access keys, roles that are assumed for
// a time, and their policies, which decide for connections that are signed.
//
// Operations have the names and members of the IAM API. A key and its secret come from the random
// source that is passed in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "env/random.h"
#include "lab/iot/access.h"
#include "lab/iot/fields.h"
#include "lab/iot/policy.h"
#include "lab/iot/service.h"
#include "lab/iot/sigv4.h"

namespace holdfast::lab::iot {

/// What the credential provider knows of whom it assumes a role for; policies ask for it as
/// "credentials-iot:AwsCertificateId" and so on.
struct RoleSession {
  std::string certificate_id;
  std::string thing;       ///< Empty: not told.
  std::string thing_type;  ///< Empty: none.
};

class Iam final : public Service, public AccessKeys {
 public:
  static constexpr std::size_t kNameLength = 64;
  static constexpr std::size_t kPolicyNameLength = 128;
  static constexpr std::size_t kPolicyCharacters = 10'240;  ///< White space not counted.
  static constexpr std::size_t kKeysPerUser = 2;
  static constexpr std::int64_t kSessionLeast = 3600;  ///< MaxSessionDuration, in seconds.
  static constexpr std::int64_t kSessionMost = 43'200;
  /// Temporary keys that are remembered; a new one beyond takes the place of the one that ends
  /// first.
  static constexpr std::size_t kSessions = 10'000;
  /// How long a temporary key is remembered after its end, to be told from one that never was.
  static constexpr std::int64_t kRememberedMs = std::int64_t{24} * 3600 * 1000;

  /// `random` outlives it.
  Iam(std::string region, std::string account, env::Random& random)
      : region_(std::move(region)), account_(std::move(account)), random_(random) {}

  [[nodiscard]] std::optional<AccessKey> access_key(std::string_view id) const override;
  /// A key that is good for so many seconds. REQUIRES: 0 < seconds.
  /// Errors, with the words of the credential provider: no such role or one that does not trust it,
  /// and more seconds than the role's MaxSessionDuration.
  std::variant<AccessKey, ApiError> assume_role(WallTime now, std::string_view role_arn,
                                                const RoleSession& session, std::int64_t seconds);
  /// Whether the policies of the one whose key it is allow `action` on `resource` ("topic/a/b").
  [[nodiscard]] bool allows(std::string_view access_key, std::string_view action,
                            std::string_view resource, const AccessFacts& facts) const;

  [[nodiscard]] std::string_view name() const override { return "iam"; }
  /// Devices have no topics here.
  [[nodiscard]] Claim claims(std::string_view /*topic*/) const override { return Claim::none; }
  void on_request(WallTime /*now*/, const Requester& /*from*/, const mqtt::Publish& /*message*/,
                  Answers& /*out*/) override {}
  [[nodiscard]] bool has_operation(std::string_view operation) const override;
  ApiResult call(WallTime now, std::string_view operation, const Json& input,
                 Answers& out) override;
  [[nodiscard]] Json save() const override;
  Status load(const Json& state) override;
  [[nodiscard]] std::uint64_t revision() const override { return revision_; }

 private:
  struct Policy {
    std::string text;
    PolicyDocument document;  ///< Parsed from `text`.
  };
  /// A user or a role.
  struct Identity {
    std::string id;  ///< "AIDA…" or "AROA…".
    WallTime created;
    std::map<std::string, Policy> policies;
    // Of a role:
    std::string trust;  ///< AssumeRolePolicyDocument.
    std::int64_t session_most = kSessionLeast;
  };
  struct Key {
    std::string secret;
    std::string token;     ///< Of a session; else empty.
    std::string owner;     ///< Name of the role or, without token, of the user.
    std::string owner_id;  ///< As it was then: one of that name that was made anew is another.
    WallTime created;
    WallTime expires{INT64_MAX};
    RoleSession session;
  };
  using Identities = std::map<std::string, Identity, std::less<>>;
  using Keys = std::map<std::string, Key, std::less<>>;
  struct Call;  ///< One call of an operation; iam_api.cpp.

  [[nodiscard]] const Identity* owner_of(const Key& key) const;
  [[nodiscard]] static std::string principal_of(const Key& key);
  static void load_identities(Fields in, Identities& into);
  static void load_keys(Fields in, Keys& into);
  static Result<Policy> policy_of(std::string text);
  /// So many characters out of `alphabet`, whose length divides 2^64.
  [[nodiscard]] std::string draw(std::size_t count, std::string_view alphabet);
  [[nodiscard]] std::string new_key_id(std::string_view prefix);
  [[nodiscard]] std::string new_identity_id(std::string_view prefix);
  [[nodiscard]] std::string new_secret();
  void forget_sessions(WallTime now);

  std::string region_, account_;
  env::Random& random_;
  Identities users_, roles_;
  Keys keys_;
  std::multimap<WallTime, std::string> ends_;  ///< Of temporary keys.
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
