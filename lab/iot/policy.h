// AWS IoT policies: documents read and checked, requests decided.
//
// Semantics of AWS: an explicit Deny wins, what nothing allows is denied. '*' spans any characters,
// '/' included; '?' is one character; '+' and '#' of MQTT are plain characters. Variables
// ("${iot:ClientId}") stand for facts of the connection, as literal text. One that has no value
// makes its resource, or the statement whose condition it is in, match nothing. Plain values;
// nothing throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/result.h"
#include "lab/iot/issuer.h"

namespace holdfast::lab::iot {

/// One line of a Condition block: operator, key, values.
struct PolicyCondition {
  enum class Quantifier : std::uint8_t { none, for_all_values, for_any_value };
  enum class Test : std::uint8_t { equals, equals_ignoring_case, like, boolean, ip_address };
  Quantifier quantifier = Quantifier::none;
  Test test = Test::equals;
  bool negated = false;  ///< StringNotEquals, StringNotLike, NotIpAddress.
  std::string key;       ///< "iot:Connection.Thing.IsAttached".
  std::vector<std::string> values;
};

struct PolicyStatement {
  std::string sid;  ///< May be empty.
  bool deny = false;
  std::vector<std::string> actions;
  std::vector<std::string> resources;
  std::vector<PolicyCondition> conditions;
};

struct PolicyDocument {
  std::vector<PolicyStatement> statements;
};

/// The quota of a document, white space not counted.
inline constexpr std::size_t kPolicyCharacters = 2048;

/// Fails with Errc::corrupt (no JSON), Errc::too_large, or Errc::invalid_argument with the member:
/// "Statement[0].Effect must be \"Allow\" or \"Deny\"".
[[nodiscard]] Result<PolicyDocument> parse_policy(std::string_view text,
                                                  std::size_t most = kPolicyCharacters);

/// The thing that a connection speaks for.
struct PolicyThing {
  std::string name;
  std::string type;  ///< Empty: none.
  std::map<std::string, std::string> attributes;
};

/// What policy variables and condition keys are looked up in. Empty: has no value.
struct PolicyFacts {
  std::string client_id;
  std::string certificate_id;
  std::vector<CertificateField> certificate_fields;
  std::optional<PolicyThing> thing;  ///< Only when it is attached to the principal.
  std::string source_ip;
  std::string domain_name;
  /// Of iot:Connect: "PersistentConnect", "LastWill".
  std::vector<std::string> connect_attributes;
  /// What IAM adds for who signed, by names in small letters: "aws:userid",
  /// "credentials-iot:thingname".
  std::map<std::string, std::string> iam = {};
};

/// A document under the name that a verdict calls it by.
struct NamedPolicy {
  std::string_view name;
  const PolicyDocument* document = nullptr;
};

struct Verdict {
  enum class Decision : std::uint8_t { allowed, implicit_deny, explicit_deny };
  Decision decision = Decision::implicit_deny;
  std::string policy;         ///< Whose statement decided; empty when none did.
  std::size_t statement = 0;  ///< Its index there.

  [[nodiscard]] bool allowed() const noexcept { return decision == Decision::allowed; }
};
/// For a trace: "denied by statement 2 of policy pumps", "allowed by …", "no statement allows it".
[[nodiscard]] std::string to_string(const Verdict& verdict);

/// Whether `action` ("iot:Publish") on `resource` (a whole ARN) is allowed.
[[nodiscard]] Verdict evaluate(const std::vector<NamedPolicy>& policies, std::string_view action,
                               std::string_view resource, const PolicyFacts& facts);

}  // namespace holdfast::lab::iot
