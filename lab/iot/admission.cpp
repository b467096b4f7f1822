#include "lab/iot/admission.h"

namespace holdfast::lab::iot {

const Authority* Admission::sponsor(const Shown& shown) const {
  const Certificate* known = registry_.certificate(shown.id);
  if (known != nullptr && known->status != CertificateStatus::pending_activation) return nullptr;
  const Authority* signer =
      registry_.authority(known != nullptr ? known->ca : registry_.authority_of(shown.pem));
  return signer != nullptr && signer->active && signer->auto_registration ? signer : nullptr;
}

Admission::Verdict Admission::look(WallTime now, const Shown& shown) const {
  const Certificate* known = registry_.certificate(shown.id);
  const bool active = known != nullptr && known->status == CertificateStatus::active;
  if (!active && sponsor(shown) == nullptr) {
    return known == nullptr ? Verdict::unknown : Verdict::inactive;
  }
  const auto facts =
      known != nullptr ? Result<CertificateFacts>(known->facts) : reader_.read(shown.pem);
  if (!facts) return Verdict::unknown;
  const bool valid = facts->not_before <= now && now < facts->not_after;
  return valid ? Verdict::fine : Verdict::expired;
}

std::optional<std::string> Admission::turn_away(WallTime now, const Shown& shown, Answers& out) {
  const Certificate* known = registry_.certificate(shown.id);
  const bool active = known != nullptr && known->status == CertificateStatus::active;
  if (shown.server_name.empty() && (!active || known->sni_only)) {
    return "without SNI: only certificates of the mode DEFAULT come in so";
  }
  if (active) return std::nullopt;
  const Authority* signer = sponsor(shown);
  if (signer == nullptr) return "the certificate is not ACTIVE";
  if (known == nullptr) {
    const ApiResult added = registry_.call(now, "RegisterCertificate",
                                           {{"certificatePem", shown.pem},
                                            {"caCertificatePem", signer->pem},
                                            {"status", "PENDING_ACTIVATION"}},
                                           out);
    if (const auto* error = std::get_if<ApiError>(&added)) return error->message;
    known = registry_.certificate(shown.id);
    if (known == nullptr) return "the certificate has another id";
  }
  out.publish("$aws/events/certificates/registered/" + signer->facts.id,
              {{"certificateId", shown.id},
               {"caCertificateId", signer->facts.id},
               {"timestamp", now.ms},
               {"certificateStatus", to_string(known->status)},
               {"awsAccountId", Registry::kAccount},
               {"certificateRegistrationTimestamp", std::to_string(known->created.ms)}});
  if (signer->registration.is_null()) return "registered just in time: PENDING_ACTIVATION";
  const auto failed =
      provisioning_.provision(now, shown.id, known->facts.fields, signer->registration, out);
  if (failed) return "not provisioned just in time: " + failed->message;
  return "provisioned just in time";
}

}  // namespace holdfast::lab::iot
