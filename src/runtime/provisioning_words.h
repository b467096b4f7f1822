// What is said to AWS IoT Core's provisioning API, and what its answers mean.
//
// Threads: pure functions.
// Errors:  of what the service says: a ProvisionTrouble with words for people. Nothing of a key or
//          an ownership token is in them.
// Source:  AWS IoT Core, "Device provisioning MQTT API", payload format JSON.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "env/engine.h"
#include "holdfast/result.h"
#include "identity/provisioning.h"

namespace holdfast::runtime {

inline constexpr std::string_view kTopicCreate = "$aws/certificates/create/json";
inline constexpr std::string_view kTopicCreateFromCsr = "$aws/certificates/create-from-csr/json";
/// Answers have at most so many bytes (the service: 128 KiB).
inline constexpr std::size_t kAnswerMax = 128 * 1024;

[[nodiscard]] std::string topic_register(std::string_view template_name);

using Parameters = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] std::string csr_payload(std::string_view request);
[[nodiscard]] std::string register_payload(std::string_view token, const Parameters& parameters);

/// A certificate: fills in certificate, certificate_id, token, and key if the answer has one.
[[nodiscard]] identity::ProvisionOutcome read_certificate(std::string_view answer);
/// A registration: fills in thing and configuration.
[[nodiscard]] identity::ProvisionOutcome read_registration(std::string_view answer);
/// The answer on …/rejected.
[[nodiscard]] identity::ProvisionTrouble read_rejection(std::string_view answer);

/// The answer of CreateProvisioningClaim: certificate and key, as one PEM text.
/// Errors: corrupt, with what is missing.
[[nodiscard]] Result<Secret> read_claim(std::string_view text);

/// Why a connection failed or ended, `whose` being for people: "the claim certificate".
[[nodiscard]] identity::ProvisionTrouble trouble_of(const env::Failure& failure,
                                                    std::string_view whose);

}  // namespace holdfast::runtime
