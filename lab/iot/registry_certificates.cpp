// Certificates: made, registered, switched on and off, deleted.
#include <utility>

#include "lab/iot/registry_call.h"

namespace holdfast::lab::iot {

ApiResult Registry::Call::add_certificate(const std::string& pem, CertificateStatus status,
                                          std::string ca, bool sni_only) {
  auto facts = registry.reader_.read(pem);
  if (!facts) return ApiError{"CertificateValidationException", 400, facts.error().message};
  const std::string id = facts->id;
  if (books.certificates.contains(id)) {
    return exists("Certificate " + id + " is registered already");
  }
  books.certificates[id] = {pem, status, now, now, std::move(*facts), std::move(ca), sni_only};
  return done({{"certificateArn", registry.arn("cert/" + id)}, {"certificateId", id}});
}

Json Registry::Call::certificate_json(const std::string& id, const Certificate& one) const {
  return {{"certificateArn", registry.arn("cert/" + id)},
          {"certificateId", id},
          {"status", to_string(one.status)},
          {"certificateMode", mode_name(one.sni_only)},
          {"creationDate", api_time(one.created)}};
}

ApiResult Registry::Call::create_keys_and_certificate() {
  const bool active = in.flag_or("setAsActive", false);
  if (auto error = refused()) return *error;
  const auto issued = registry.issuer_.issue_with_new_key(now);
  if (!issued) return ApiError{"InternalFailureException", 500, issued.error().message};
  ApiResult added =
      add_certificate(issued->certificate_pem,
                      active ? CertificateStatus::active : CertificateStatus::inactive, {}, false);
  if (Json* output = std::get_if<Json>(&added)) {
    (*output)["certificatePem"] = issued->certificate_pem;
    (*output)["keyPair"] = {{"PublicKey", issued->public_key_pem},
                            {"PrivateKey", issued->private_key_pem}};
  }
  return added;
}

ApiResult Registry::Call::create_certificate_from_csr() {
  const std::string csr = in.text("certificateSigningRequest");
  const bool active = in.flag_or("setAsActive", false);
  if (auto error = refused()) return *error;
  const auto issued = registry.issuer_.issue_from_csr(now, csr);
  if (!issued) return invalid("certificateSigningRequest: " + issued.error().message);
  ApiResult added =
      add_certificate(issued->certificate_pem,
                      active ? CertificateStatus::active : CertificateStatus::inactive, {}, false);
  if (Json* output = std::get_if<Json>(&added)) {
    (*output)["certificatePem"] = issued->certificate_pem;
  }
  return added;
}

ApiResult Registry::Call::register_certificate_without_ca() {
  const std::string pem = in.text("certificatePem");
  const auto status = status_named(in.text_or("status", "INACTIVE"));
  if (!status) in.complain("status", "must be ACTIVE, INACTIVE, REVOKED or PENDING_ACTIVATION");
  // AWS registers them as SNI_ONLY. The lab says DEFAULT of those that it issued itself.
  const bool sni_only = read_mode(mode_name(true));
  if (auto error = refused()) return *error;
  return add_certificate(pem, *status, {}, sni_only);
}

ApiResult Registry::Call::update_certificate() {
  const std::string id = in.text("certificateId");
  const auto status = status_named(in.text("newStatus"));
  if (!status || *status == CertificateStatus::pending_activation) {
    in.complain("newStatus", "must be ACTIVE, INACTIVE or REVOKED");
  }
  if (auto error = refused()) return *error;
  const auto found = books.certificates.find(id);
  if (found == books.certificates.end()) return not_found("Certificate " + id + " not found");
  const bool was_active = found->second.status == CertificateStatus::active;
  found->second.status = *status;
  found->second.modified = now;
  if (was_active && *status != CertificateStatus::active) {
    const std::int64_t delay = registry.options_.disconnect_delay.count();
    if (delay == 0) {
      out.disconnect_principal(id);
    } else {
      registry.to_disconnect_[id] = {now.ms + delay};
    }
  }
  return done();
}

ApiResult Registry::Call::describe_certificate() {
  const std::string id = in.text("certificateId");
  if (auto error = refused()) return *error;
  const Certificate* found = registry.certificate(id);
  if (found == nullptr) return not_found("Certificate " + id + " not found");
  Json description = certificate_json(id, *found);
  description["certificatePem"] = found->pem;
  description["ownedBy"] = kAccount;
  description["lastModifiedDate"] = api_time(found->modified);
  description["validity"] = {{"notBefore", api_time(found->facts.not_before)},
                             {"notAfter", api_time(found->facts.not_after)}};
  if (!found->ca.empty()) description["caCertificateId"] = found->ca;
  return Json{{"certificateDescription", std::move(description)}};
}

ApiResult Registry::Call::list_certificates() {
  if (auto error = refused()) return *error;
  Json list = Json::array();
  for (const auto& [id, certificate] : books.certificates) {
    list.push_back(certificate_json(id, certificate));
  }
  return Json{{"certificates", std::move(list)}};
}

ApiResult Registry::Call::delete_certificate() {
  const std::string id = in.text("certificateId");
  const bool force = in.flag_or("forceDelete", false);
  if (auto error = refused()) return *error;
  const auto found = books.certificates.find(id);
  if (found == books.certificates.end()) return not_found("Certificate " + id + " not found");
  if (found->second.status == CertificateStatus::active) {
    return ApiError{"CertificateStateException", 406,
                    "Certificate must be deactivated (not ACTIVE) before deletion"};
  }
  if (books.things_of.contains(id)) {
    return conflict("Things must be detached before deletion (arn: " + registry.arn("cert/" + id) +
                    ')');
  }
  if (books.policies_of.contains(id) && !force) {
    return conflict("Certificate policies must be detached before deletion (arn: " +
                    registry.arn("cert/" + id) + ')');
  }
  books.policies_of.erase(id);
  books.certificates.erase(found);
  return done();
}

}  // namespace holdfast::lab::iot
