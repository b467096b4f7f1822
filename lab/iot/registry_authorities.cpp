// CA certificates of customers, and certificates of devices that they signed.
#include <algorithm>
#include <array>
#include <utility>

#include "lab/iot/provisioning_template.h"
#include "lab/iot/registry_call.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kSniOnly = "SNI_ONLY";
constexpr std::string_view kDefault = "DEFAULT";
constexpr std::size_t kCodeLength = 64;

ApiError not_valid(std::string message) {
  return {"CertificateValidationException", 400, std::move(message)};
}
ApiError wrong_state(std::string message) {
  return {"CertificateStateException", 406, std::move(message)};
}

std::string make_code(env::Random& random) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string code;
  while (code.size() < kCodeLength) code += kDigits[random.below(kDigits.size())];
  return code;
}

/// The text of a field that comes once; empty: it does not.
std::string field(const CertificateFacts& facts, std::string_view name) {
  for (const auto& [known, value] : facts.fields) {
    if (known == name) return value;
  }
  return {};
}

}  // namespace

std::string_view mode_name(bool sni_only) noexcept { return sni_only ? kSniOnly : kDefault; }

bool Registry::Call::read_mode(std::string_view fallback) {
  const std::string mode = in.text_or("certificateMode", std::string(fallback));
  if (mode != kSniOnly && mode != kDefault) {
    in.complain("certificateMode", "must be DEFAULT or SNI_ONLY");
  }
  return mode == kSniOnly;
}

Json Registry::Call::read_registration() {
  Fields config = in.object("registrationConfig");
  Json read = Json::object();
  for (const char* key : {"templateBody", "templateName", "roleArn"}) {
    if (config.has(key)) read[key] = config.text(key);
  }
  config.no_others();
  const std::string* body = string_in(read, "templateBody");
  if ((body != nullptr) == read.contains("templateName")) {
    in.complain("registrationConfig", "must have templateBody or templateName");
  }
  if (body == nullptr) return read;
  const auto parsed = parse_json(*body, {kTemplateBytes});
  const Status checked = parsed ? check_template(*parsed) : Status(parsed.error());
  if (!checked) config.complain("templateBody", "is refused: " + checked.error().message);
  return read;
}

std::optional<ApiError> Registry::Call::missing_template(const Json& registration) const {
  const std::string* wanted = string_in(registration, "templateName");
  if (wanted == nullptr) return std::nullopt;
  if (registry.peers_ != nullptr && registry.peers_->has_template(*wanted)) return std::nullopt;
  return not_found("Provisioning template " + *wanted + " of the type JITP not found");
}

std::optional<ApiError> Registry::Call::unproven(const std::string& verification,
                                                 const std::string& ca_pem) const {
  const auto shown = registry.reader_.read(verification);
  if (!shown) return not_valid("verificationCertificate: " + shown.error().message);
  if (!registry.reader_.is_signed_by(verification, ca_pem)) {
    return not_valid("The verification certificate is not signed by the CA certificate");
  }
  const std::string name = field(*shown, "Subject.CommonName");
  if (!name.empty() && name == books.registration_code) return std::nullopt;
  return ApiError{"RegistrationCodeValidationException", 400,
                  "The common name of the verification certificate is not the registration code"};
}

ApiResult Registry::Call::get_registration_code() {
  if (auto error = refused()) return *error;
  if (books.registration_code.empty()) books.registration_code = make_code(registry.random_);
  return done({{"registrationCode", books.registration_code}});
}

ApiResult Registry::Call::register_ca_certificate() {
  Authority authority;
  authority.pem = in.text("caCertificate");
  authority.active = in.flag_or("setAsActive", false);
  authority.auto_registration = in.flag_or("allowAutoRegistration", false);
  authority.sni_only = read_mode(kDefault);
  authority.created = authority.modified = now;
  const std::string verification = in.text_or("verificationCertificate", "");
  if (verification.empty() != authority.sni_only) {
    in.complain("verificationCertificate", authority.sni_only
                                               ? "must be empty in the mode SNI_ONLY"
                                               : "must not be empty in the mode DEFAULT");
  }
  if (in.has("registrationConfig")) authority.registration = read_registration();
  if (auto error = refused()) return *error;
  auto facts = registry.reader_.read(authority.pem);
  if (!facts) return not_valid("caCertificate: " + facts.error().message);
  if (!facts->is_ca) return not_valid("caCertificate is not the certificate of a CA");
  if (now < facts->not_before || facts->not_after <= now) {
    return not_valid("caCertificate is not valid now");
  }
  if (!authority.sni_only) {
    if (auto error = unproven(verification, authority.pem)) return *error;
  }
  const std::string id = facts->id;
  if (books.authorities.contains(id))
    return exists("CA certificate " + id + " is registered already");
  const auto alike =
      std::count_if(books.authorities.begin(), books.authorities.end(),
                    [&](const auto& one) { return one.second.facts.subject == facts->subject; });
  if (static_cast<std::size_t>(alike) >= kAuthoritiesPerSubject) {
    return ApiError{"LimitExceededException", 410,
                    "There are 10 CA certificates with the subject " + facts->subject};
  }
  if (auto error = missing_template(authority.registration)) return *error;
  authority.facts = std::move(*facts);
  books.authorities[id] = std::move(authority);
  return done({{"certificateArn", registry.arn("cacert/" + id)}, {"certificateId", id}});
}

ApiResult Registry::Call::describe_ca_certificate() {
  const std::string id = in.text("certificateId");
  if (auto error = refused()) return *error;
  const Authority* found = registry.authority(id);
  if (found == nullptr) return not_found("CA certificate " + id + " not found");
  Json output = {{"certificateDescription",
                  {{"certificateArn", registry.arn("cacert/" + id)},
                   {"certificateId", id},
                   {"status", found->active ? "ACTIVE" : "INACTIVE"},
                   {"certificatePem", found->pem},
                   {"ownedBy", kAccount},
                   {"creationDate", api_time(found->created)},
                   {"lastModifiedDate", api_time(found->modified)},
                   {"autoRegistrationStatus", found->auto_registration ? "ENABLE" : "DISABLE"},
                   {"certificateMode", mode_name(found->sni_only)},
                   {"validity",
                    {{"notBefore", api_time(found->facts.not_before)},
                     {"notAfter", api_time(found->facts.not_after)}}}}}};
  if (!found->registration.is_null()) output["registrationConfig"] = found->registration;
  return output;
}

ApiResult Registry::Call::list_ca_certificates() {
  const std::string of = in.text_or("templateName", "");
  if (auto error = refused()) return *error;
  Json list = Json::array();
  for (const auto& [id, authority] : books.authorities) {
    const std::string* its = string_in(authority.registration, "templateName");
    if (!of.empty() && (its == nullptr || *its != of)) continue;
    list.push_back({{"certificateArn", registry.arn("cacert/" + id)},
                    {"certificateId", id},
                    {"status", authority.active ? "ACTIVE" : "INACTIVE"},
                    {"creationDate", api_time(authority.created)}});
  }
  return Json{{"certificates", std::move(list)}};
}

ApiResult Registry::Call::update_ca_certificate() {
  const std::string id = in.text("certificateId");
  const auto found = books.authorities.find(id);
  Authority changed = found == books.authorities.end() ? Authority{} : found->second;
  const auto read_switch = [&](const char* member, std::string_view on, std::string_view off,
                               bool& into) {
    if (!in.has(member)) return;
    const std::string given = in.text(member);
    if (given != on && given != off) {
      in.complain(member, "must be " + std::string(on) + " or " + std::string(off));
    }
    into = given == on;
  };
  read_switch("newStatus", "ACTIVE", "INACTIVE", changed.active);
  read_switch("newAutoRegistrationStatus", "ENABLE", "DISABLE", changed.auto_registration);
  if (in.has("registrationConfig")) changed.registration = read_registration();
  if (in.flag_or("removeAutoRegistration", false)) {
    changed.auto_registration = false;
    changed.registration = nullptr;
  }
  if (auto error = refused()) return *error;
  if (found == books.authorities.end()) return not_found("CA certificate " + id + " not found");
  if (auto error = missing_template(changed.registration)) return *error;
  changed.modified = now;
  found->second = std::move(changed);
  return done();
}

ApiResult Registry::Call::delete_ca_certificate() {
  const std::string id = in.text("certificateId");
  if (auto error = refused()) return *error;
  const auto found = books.authorities.find(id);
  if (found == books.authorities.end()) return not_found("CA certificate " + id + " not found");
  if (found->second.active) {
    return wrong_state("CA certificate must be deactivated (not ACTIVE) before deletion");
  }
  books.authorities.erase(found);
  return done();
}

ApiResult Registry::Call::register_certificate() {
  const std::string pem = in.text("certificatePem");
  const std::string ca_pem = in.text_or("caCertificatePem", "");
  const bool active = in.flag_or("setAsActive", false);
  const auto status = status_named(in.text_or("status", active ? "ACTIVE" : "INACTIVE"));
  if (!status) in.complain("status", "must be ACTIVE, INACTIVE, REVOKED or PENDING_ACTIVATION");
  if (auto error = refused()) return *error;
  std::string only;
  if (!ca_pem.empty()) {
    const auto shown = registry.reader_.read(ca_pem);
    if (!shown) return not_valid("caCertificatePem: " + shown.error().message);
    only = shown->id;
  }
  std::vector<std::string> signers;
  for (const auto& [id, authority] : books.authorities) {
    if (!only.empty() && only != id) continue;
    if (registry.reader_.is_signed_by(pem, authority.pem)) signers.push_back(id);
  }
  if (signers.empty()) return not_valid("No registered CA certificate signed the certificate");
  if (signers.size() > 1) {
    return ApiError{"CertificateConflictException", 409,
                    "Several registered CA certificates fit; caCertificatePem says which"};
  }
  const Authority& signer = books.authorities.find(signers.front())->second;
  if (!signer.active) return wrong_state("CA certificate " + signers.front() + " is not ACTIVE");
  return add_certificate(pem, *status, signers.front(), signer.sni_only);
}

ApiResult Registry::Call::list_certificates_by_ca() {
  const std::string ca = in.text("caCertificateId");
  if (auto error = refused()) return *error;
  Json list = Json::array();
  for (const auto& [id, certificate] : books.certificates) {
    if (certificate.ca == ca) list.push_back(certificate_json(id, certificate));
  }
  return Json{{"certificates", std::move(list)}};
}

}  // namespace holdfast::lab::iot
