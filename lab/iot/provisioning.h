// Fleet provisioning: devices with a claim certificate get one of their own, and a thing; and
// just-in-time provisioning: devices whose certificate a registered CA signed get a thing.
//
// Topics $aws/certificates/create/F, create-from-csr/F and
// $aws/provisioning-templates/T/provision/F, F being json or cbor. Answers go to the connection
// that asked. What is made is made by operations of the registry.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "env/random.h"
#include "lab/iot/issuer.h"
#include "lab/iot/provisioning_template.h"
#include "lab/iot/service.h"
#include "lab/iot/switches.h"

namespace holdfast::lab::iot {

/// Plays the Lambda function before provisioning.
class ProvisioningHook {
 public:
  ProvisioningHook() = default;
  ProvisioningHook(const ProvisioningHook&) = delete;
  ProvisioningHook& operator=(const ProvisioningHook&) = delete;
  virtual ~ProvisioningHook() = default;

  /// `input` and the answer as AWS defines them, payload version 2020-04-01. An error is a Lambda
  /// that failed or did not answer in time.
  [[nodiscard]] virtual Result<Json> ask(const Json& input) = 0;
};

struct ProvisioningSettings {
  std::string region = "eu-central-1";
  std::string account = "123456789012";
  std::int64_t token_seconds = 3600;
  // A second, for all devices together; 0: no limit.
  std::uint32_t creates_per_second = 10;
  std::uint32_t csrs_per_second = 20;
  std::uint32_t registers_per_second = 10;
  /// The errorCode of a refusal by hook or template; AWS does not document it.
  std::string denied_code = "AccessDenied";
};

class Provisioning final : public Service {
 public:
  static constexpr std::size_t kTemplateNameLength = 36;
  static constexpr std::size_t kParameters = 100;
  static constexpr std::size_t kTokens = 10'000;  ///< Under way at once.
  static constexpr std::int64_t kClaimMs = std::int64_t{5} * 60 * 1000;

  /// All must outlive it; `hook` may be nullptr, then hooks of the kind "program" refuse.
  Provisioning(ProvisioningSettings settings, Service& registry, CertificateIssuer& issuer,
               ProvisioningHook* hook, env::Random& random);

  void configure(ProvisioningSettings settings) { settings_ = std::move(settings); }
  void on_switches(const Switches& switches) override;

  /// Whether there is a template of the type JITP with this name.
  [[nodiscard]] bool has_just_in_time(std::string_view name) const;
  /// Just-in-time provisioning of a certificate that is registered as PENDING_ACTIVATION, by the
  /// "registrationConfig" of its CA. Returns why it failed, if it did; the certificate then stays
  /// PENDING_ACTIVATION.
  std::optional<ApiError> provision(WallTime now, const std::string& certificate,
                                    const std::vector<CertificateField>& fields,
                                    const Json& registration, Answers& out);

  [[nodiscard]] std::string_view name() const override { return "provisioning"; }
  [[nodiscard]] Claim claims(std::string_view topic) const override;
  void on_request(WallTime now, const Requester& from, const mqtt::Publish& message,
                  Answers& out) override;
  /// Besides AWS's operations: SetProvisioningHook {"templateName", "hook"}, of the lab. A hook is
  /// {"kind": "allow"|"deny"|"program"} or {"kind": "allowList", "parameter", "values"}.
  [[nodiscard]] bool has_operation(std::string_view operation) const override;
  ApiResult call(WallTime now, std::string_view operation, const Json& input,
                 Answers& out) override;
  [[nodiscard]] WallTime wake() const override;
  void on_time(WallTime now, Answers& out) override;
  [[nodiscard]] Json save() const override;
  Status load(const Json& state) override;
  [[nodiscard]] std::uint64_t revision() const override { return revision_; }

 private:
  enum class Request : std::uint8_t { create, create_from_csr, register_thing };
  struct Topic {
    Request request = Request::create;
    std::string template_name;
    bool cbor = false;
  };
  struct Template {
    std::string text;
    Json body;  ///< Parsed from `text`.
    std::string description;
    std::string role;
    bool enabled = true;
    bool just_in_time = false;  ///< The type is JITP, else FLEET_PROVISIONING.
    Json hook;                  ///< Null: none.
    WallTime created;
  };
  /// A certificate that waits to be registered.
  struct Token {
    std::string certificate;
    std::string pem;
    WallTime expires;
    std::string thing;  ///< Attached by a registration that failed later.
  };
  struct Refusal {
    int status = 400;
    std::string code;
    std::string message;
  };
  using Outcome = std::variant<Json, Refusal>;
  struct Rate {
    std::int64_t second = 0;
    std::uint32_t count = 0;
  };

  static std::optional<Topic> topic_of(std::string_view text);
  Outcome handle(WallTime now, const Requester& from, const Topic& topic, const Json& input,
                 Answers& out);
  bool within_rate(WallTime now, Request request);
  Outcome keep(WallTime now, const IssuedCertificate& issued, Answers& out);
  Outcome register_thing(WallTime now, const Requester& from, const std::string& template_name,
                         const Json& input, Answers& out);
  std::optional<Refusal> ask_hook(const Requester& from, const std::string& template_name,
                                  const Template& used, const Token& token,
                                  ProvisioningParameters& parameters);
  std::optional<Refusal> carry_out(WallTime now, const ProvisioningPlan& plan, Token& token,
                                   Answers& out);
  std::optional<Refusal> put_policy(WallTime now, const PlannedPolicy& policy, Answers& out);
  std::optional<Refusal> put_thing(WallTime now, const ProvisioningPlan& plan, Answers& out);
  /// The same for one that exists, which OverrideSettings protect.
  std::optional<Refusal> change_thing(WallTime now, const ProvisioningPlan& plan, Answers& out);
  std::optional<Refusal> put_groups(WallTime now, const ProvisioningPlan& plan, bool alone,
                                    Answers& out);
  /// Calls the registry; its error as a refusal.
  std::optional<Refusal> order(WallTime now, std::string_view operation, const Json& input,
                               Answers& out);

  ApiResult create_template(WallTime now, const Json& input);
  ApiResult describe_template(const Json& input) const;
  ApiResult list_templates(const Json& input) const;
  ApiResult delete_template(const Json& input);
  ApiResult set_hook(const Json& input);
  ApiResult create_claim(WallTime now, const Json& input, Answers& out);
  /// Makes the policy that claims of a template have, unless it is there.
  std::optional<Refusal> put_claim_policy(WallTime now, const std::string& template_name,
                                          Answers& out);
  [[nodiscard]] std::string arn(std::string_view resource) const;
  static bool is_hook(const Json& hook);

  ProvisioningSettings settings_;
  Service& registry_;
  CertificateIssuer& issuer_;
  ProvisioningHook* hook_;
  env::Random& random_;
  std::map<std::string, Template, std::less<>> templates_;
  std::map<std::string, Token, std::less<>> tokens_;
  std::map<std::string, WallTime, std::less<>> claims_;  ///< Claim certificates, until when.
  std::array<Rate, 3> rates_;
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
