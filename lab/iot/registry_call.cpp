#include "lab/iot/registry_call.h"

#include <algorithm>
#include <array>

namespace holdfast::lab::iot {

Registry::Call::Function Registry::Call::named(std::string_view operation) {
  static constexpr std::array kOperations = {
      std::pair{std::string_view("CreateThing"), &Call::create_thing},
      std::pair{std::string_view("DescribeThing"), &Call::describe_thing},
      std::pair{std::string_view("UpdateThing"), &Call::update_thing},
      std::pair{std::string_view("ListThings"), &Call::list_things},
      std::pair{std::string_view("DeleteThing"), &Call::delete_thing},
      std::pair{std::string_view("AttachThingPrincipal"), &Call::attach_thing_principal},
      std::pair{std::string_view("DetachThingPrincipal"), &Call::detach_thing_principal},
      std::pair{std::string_view("ListThingPrincipals"), &Call::list_thing_principals},
      std::pair{std::string_view("ListPrincipalThings"), &Call::list_principal_things},
      std::pair{std::string_view("CreateThingType"), &Call::create_thing_type},
      std::pair{std::string_view("DescribeThingType"), &Call::describe_thing_type},
      std::pair{std::string_view("ListThingTypes"), &Call::list_thing_types},
      std::pair{std::string_view("DeprecateThingType"), &Call::deprecate_thing_type},
      std::pair{std::string_view("DeleteThingType"), &Call::delete_thing_type},
      std::pair{std::string_view("CreateThingGroup"), &Call::create_thing_group},
      std::pair{std::string_view("DescribeThingGroup"), &Call::describe_thing_group},
      std::pair{std::string_view("UpdateThingGroup"), &Call::update_thing_group},
      std::pair{std::string_view("DeleteThingGroup"), &Call::delete_thing_group},
      std::pair{std::string_view("ListThingGroups"), &Call::list_thing_groups},
      std::pair{std::string_view("AddThingToThingGroup"), &Call::add_thing_to_thing_group},
      std::pair{std::string_view("RemoveThingFromThingGroup"),
                &Call::remove_thing_from_thing_group},
      std::pair{std::string_view("ListThingsInThingGroup"), &Call::list_things_in_thing_group},
      std::pair{std::string_view("ListThingGroupsForThing"), &Call::list_thing_groups_for_thing},
      std::pair{std::string_view("CreatePolicy"), &Call::create_policy},
      std::pair{std::string_view("CreatePolicyVersion"), &Call::create_policy_version},
      std::pair{std::string_view("GetPolicy"), &Call::get_policy},
      std::pair{std::string_view("ListPolicies"), &Call::list_policies},
      std::pair{std::string_view("ListPolicyVersions"), &Call::list_policy_versions},
      std::pair{std::string_view("SetDefaultPolicyVersion"), &Call::set_default_policy_version},
      std::pair{std::string_view("DeletePolicyVersion"), &Call::delete_policy_version},
      std::pair{std::string_view("DeletePolicy"), &Call::delete_policy},
      std::pair{std::string_view("AttachPolicy"), &Call::attach_policy},
      std::pair{std::string_view("DetachPolicy"), &Call::detach_policy},
      std::pair{std::string_view("ListAttachedPolicies"), &Call::list_attached_policies},
      std::pair{std::string_view("TestAuthorization"), &Call::test_authorization},
      std::pair{std::string_view("CreateKeysAndCertificate"), &Call::create_keys_and_certificate},
      std::pair{std::string_view("CreateCertificateFromCsr"), &Call::create_certificate_from_csr},
      std::pair{std::string_view("RegisterCertificateWithoutCA"),
                &Call::register_certificate_without_ca},
      std::pair{std::string_view("UpdateCertificate"), &Call::update_certificate},
      std::pair{std::string_view("DescribeCertificate"), &Call::describe_certificate},
      std::pair{std::string_view("ListCertificates"), &Call::list_certificates},
      std::pair{std::string_view("DeleteCertificate"), &Call::delete_certificate},
      std::pair{std::string_view("GetRegistrationCode"), &Call::get_registration_code},
      std::pair{std::string_view("RegisterCACertificate"), &Call::register_ca_certificate},
      std::pair{std::string_view("DescribeCACertificate"), &Call::describe_ca_certificate},
      std::pair{std::string_view("ListCACertificates"), &Call::list_ca_certificates},
      std::pair{std::string_view("UpdateCACertificate"), &Call::update_ca_certificate},
      std::pair{std::string_view("DeleteCACertificate"), &Call::delete_ca_certificate},
      std::pair{std::string_view("RegisterCertificate"), &Call::register_certificate},
      std::pair{std::string_view("ListCertificatesByCA"), &Call::list_certificates_by_ca},
  };
  for (const auto& [name, function] : kOperations) {
    if (name == operation) return function;
  }
  return nullptr;
}

std::optional<ApiError> Registry::Call::refused() {
  in.no_others();
  if (complaint.empty()) return std::nullopt;
  return invalid(complaint);
}

ApiError Registry::Call::invalid(std::string message) {
  return {"InvalidRequestException", 400, std::move(message)};
}

ApiError Registry::Call::not_found(std::string message) {
  return {"ResourceNotFoundException", 404, std::move(message)};
}

ApiError Registry::Call::exists(std::string message) {
  return {"ResourceAlreadyExistsException", 409, std::move(message)};
}

ApiError Registry::Call::conflict(std::string message) {
  return {"DeleteConflictException", 409, std::move(message)};
}

ApiResult Registry::Call::done(Json output) {
  ++registry.revision_;
  return output;
}

std::string Registry::Call::principal(std::string_view member) {
  const std::string given = in.text(member);
  const std::string prefix = registry.arn("cert/");
  if (given.starts_with(prefix) && given.size() > prefix.size()) return given.substr(prefix.size());
  in.complain(member, "must be the ARN of a certificate, " + prefix + "ID");
  return {};
}

std::string Registry::Call::name(std::string_view member, std::string_view others) {
  std::string given = in.text(member);
  const bool good = std::all_of(given.begin(), given.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
  if (given.empty() || given.size() > kNameLength || !good) {
    in.complain(member, "must be 1 to 128 letters, digits or any of " + std::string(others));
  }
  return given;
}

}  // namespace holdfast::lab::iot
