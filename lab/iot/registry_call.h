// One call of a registry operation: its input, and a function for each operation of the AWS API.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "lab/iot/fields.h"
#include "lab/iot/registry.h"

namespace holdfast::lab::iot {

/// Lives for one call. The functions end with refused() once all input is read.
struct Registry::Call {
  Call(Registry& owner, WallTime time, const Json& input, Answers& answers)
      : registry(owner), books(owner.books_), now(time), out(answers), in(input, complaint) {}

  using Function = ApiResult (Call::*)();
  /// nullptr: no operation of the registry.
  static Function named(std::string_view operation);

  ApiResult create_thing();
  ApiResult describe_thing();
  ApiResult update_thing();
  ApiResult list_things();
  ApiResult delete_thing();
  ApiResult attach_thing_principal();
  ApiResult detach_thing_principal();
  ApiResult list_thing_principals();
  ApiResult list_principal_things();

  ApiResult create_thing_type();
  ApiResult describe_thing_type();
  ApiResult list_thing_types();
  ApiResult deprecate_thing_type();
  ApiResult delete_thing_type();

  ApiResult create_thing_group();
  ApiResult describe_thing_group();
  ApiResult update_thing_group();
  ApiResult delete_thing_group();
  ApiResult list_thing_groups();
  ApiResult add_thing_to_thing_group();
  ApiResult remove_thing_from_thing_group();
  ApiResult list_things_in_thing_group();
  ApiResult list_thing_groups_for_thing();

  ApiResult create_policy();
  ApiResult create_policy_version();
  ApiResult get_policy();
  ApiResult list_policies();
  ApiResult list_policy_versions();
  ApiResult set_default_policy_version();
  ApiResult delete_policy_version();
  ApiResult delete_policy();
  ApiResult attach_policy();
  ApiResult detach_policy();
  ApiResult list_attached_policies();
  ApiResult test_authorization();

  ApiResult create_keys_and_certificate();
  ApiResult create_certificate_from_csr();
  ApiResult register_certificate_without_ca();
  ApiResult update_certificate();
  ApiResult describe_certificate();
  ApiResult list_certificates();
  ApiResult delete_certificate();

  ApiResult get_registration_code();
  ApiResult register_ca_certificate();
  ApiResult describe_ca_certificate();
  ApiResult list_ca_certificates();
  ApiResult update_ca_certificate();
  ApiResult delete_ca_certificate();
  ApiResult register_certificate();
  ApiResult list_certificates_by_ca();

  // ---- what they share ----

  /// Why the input is refused; empty: it is as it should be.
  [[nodiscard]] std::optional<ApiError> refused();
  [[nodiscard]] static ApiError invalid(std::string message);
  [[nodiscard]] static ApiError not_found(std::string message);
  [[nodiscard]] static ApiError exists(std::string message);
  [[nodiscard]] static ApiError conflict(std::string message);
  ApiResult done(Json output = Json::object());
  /// The certificate id of the ARN in `member`, when it is one of this account and Region.
  std::string principal(std::string_view member);
  /// Reads a name, and complains when it is empty, too long, or has characters that are neither
  /// letters nor digits nor in `others`.
  std::string name(std::string_view member, std::string_view others);
  ApiResult add_certificate(const std::string& pem, CertificateStatus status, std::string ca,
                            bool sni_only);
  /// What a policy is attached to: one of both.
  struct Target {
    std::string certificate;  ///< Its id.
    std::string group;
  };
  Target target();
  [[nodiscard]] std::optional<ApiError> missing(const Target& target) const;
  /// Applies "attributePayload" of `from`: without "merge" it replaces all; an empty value takes
  /// one away.
  static void read_attributes(Fields& from, std::map<std::string, std::string>& attributes);
  /// "CREATED", "UPDATED", "DELETED".
  void thing_event(const std::string& name, const Thing& thing, std::string_view operation);
  /// Why the thing cannot have its type, or not so many attributes without one.
  [[nodiscard]] std::optional<ApiError> check_type(const Thing& thing) const;
  /// "thingGroupProperties".
  void read_properties(ThingGroup& group);
  /// The names that "thingName" or "thingArn", "thingGroupName" or "thingGroupArn" give.
  std::string name_or_arn(std::string_view name, std::string_view arn, std::string_view kind);
  [[nodiscard]] Json group_json(const std::string& name) const;
  [[nodiscard]] Json certificate_json(const std::string& id, const Certificate& one) const;
  /// "certificateMode": whether it is SNI_ONLY.
  bool read_mode(std::string_view fallback);
  /// "registrationConfig".
  Json read_registration();
  /// An error when the registration names a template that is not there.
  [[nodiscard]] std::optional<ApiError> missing_template(const Json& registration) const;
  /// Why a verification certificate does not prove that its owner has the key of a CA.
  [[nodiscard]] std::optional<ApiError> unproven(const std::string& verification,
                                                 const std::string& ca_pem) const;
  void tell_groups_changed(std::string_view thing);

  Registry& registry;
  Books& books;
  WallTime now;
  Answers& out;
  std::string complaint;
  Fields in;
};

inline constexpr std::string_view kThingNameOthers = ":_-";
inline constexpr std::string_view kPolicyNameOthers = "_+=,.@-";

/// "SNI_ONLY" or "DEFAULT".
[[nodiscard]] std::string_view mode_name(bool sni_only) noexcept;
[[nodiscard]] Json json_of(const std::map<std::string, std::string>& texts);

/// As the API shows a time: seconds.
[[nodiscard]] inline double api_time(WallTime time) { return static_cast<double>(time.ms) / 1000; }

/// A status by its name in the API.
[[nodiscard]] std::optional<CertificateStatus> status_named(std::string_view name) noexcept;

}  // namespace holdfast::lab::iot
