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
  ApiResult add_certificate(const IssuedCertificate& issued, CertificateStatus status);

  Registry& registry;
  Books& books;
  WallTime now;
  Answers& out;
  std::string complaint;
  Fields in;
};

inline constexpr std::string_view kThingNameOthers = ":_-";
inline constexpr std::string_view kPolicyNameOthers = "_+=,.@-";

/// As the API shows a time: seconds.
[[nodiscard]] inline double api_time(WallTime time) { return static_cast<double>(time.ms) / 1000; }

/// A status by its name in the API.
[[nodiscard]] std::optional<CertificateStatus> status_named(std::string_view name) noexcept;

}  // namespace holdfast::lab::iot
