#include "runtime/provisioning_words.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace holdfast::runtime {

namespace {

using identity::ProvisionOutcome;
using identity::ProvisionTrouble;
using nlohmann::json;
using Kind = ProvisionTrouble::Kind;

constexpr std::size_t kShownMax = 200;
constexpr int kDepthMax = 8;

/// An object, or null.
json read_object(std::string_view text) {
  if (text.size() > kAnswerMax) return nullptr;
  const auto shallow = [](int depth, json::parse_event_t, json&) { return depth <= kDepthMax; };
  json read = json::parse(text, shallow, false);
  return read.is_object() ? read : json(nullptr);
}

std::string text_of(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// What a stranger says, fit for a line.
std::string shown(std::string text) {
  text.resize(std::min(text.size(), kShownMax));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  return valid_utf8(text) ? text : std::string("(no text)");
}

/// One PEM text or several as this device keeps them: no carriage returns, a newline at the end.
std::string tidy_pem(std::string text) {
  std::erase(text, '\r');
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

ProvisionOutcome damaged(const char* what) {
  ProvisionOutcome outcome;
  outcome.done = false;
  outcome.trouble = {Kind::unanswered, std::string("the service's answer has no good ") + what +
                                           "; it is asked again"};
  return outcome;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

std::string topic_register(std::string_view template_name) {
  return "$aws/provisioning-templates/" + std::string(template_name) + "/provision/json";
}

std::string csr_payload(std::string_view request) {
  return json{{"certificateSigningRequest", request}}.dump();
}

std::string register_payload(std::string_view token, const Parameters& parameters) {
  json payload{{"certificateOwnershipToken", token}};
  for (const auto& [name, value] : parameters) payload["parameters"][name] = value;
  return payload.dump(-1, ' ', false, json::error_handler_t::replace);
}

ProvisionOutcome read_certificate(std::string_view answer) {
  const json object = read_object(answer);
  ProvisionOutcome outcome;
  outcome.certificate = tidy_pem(text_of(object, "certificatePem"));
  outcome.certificate_id = text_of(object, "certificateId");
  outcome.token = Secret(text_of(object, "certificateOwnershipToken"));
  outcome.key = Secret(tidy_pem(text_of(object, "privateKey")));
  if (!identity::is_pem(outcome.certificate)) return damaged("certificatePem");
  if (!identity::is_word(outcome.certificate_id, identity::kCertificateIdMax)) {
    return damaged("certificateId");
  }
  if (!identity::is_word(outcome.token.text(), identity::kTokenMax)) {
    return damaged("certificateOwnershipToken");
  }
  const bool keyed = !outcome.key.text().empty();
  return keyed && !identity::is_pem(outcome.key.text()) ? damaged("privateKey")
                                                        : std::move(outcome);
}

ProvisionOutcome read_registration(std::string_view answer) {
  const json object = read_object(answer);
  if (object.is_null()) return damaged("JSON in it");
  ProvisionOutcome outcome;
  outcome.thing = text_of(object, "thingName");
  // Registered it is, whatever the rest looks like: asking again would not make it better.
  if (!identity::is_thing_name(outcome.thing)) outcome.thing.clear();
  const auto found = object.find("deviceConfiguration");
  if (found != object.end() && found->is_object() && !found->empty()) {
    outcome.configuration = found->dump(-1, ' ', true, json::error_handler_t::replace);
    if (outcome.configuration.size() > identity::kDeviceConfigurationMax) {
      outcome.configuration.clear();
    }
  }
  return outcome;
}

ProvisionTrouble read_rejection(std::string_view answer) {
  const json object = read_object(answer);
  const auto found = object.is_object() ? object.find("statusCode") : object.end();
  const auto status = found != object.end() && found->is_number_integer() ? found->get<int>() : 0;
  const std::string code = shown(text_of(object, "errorCode"));
  const std::string message = shown(text_of(object, "errorMessage"));
  ProvisionTrouble trouble{Kind::final, "rejected: " + std::to_string(status)};
  if (!code.empty()) trouble.words += " " + code;
  if (!message.empty()) trouble.words += ": " + message;
  if (status == 429 || contains(code, "Throttl") || contains(code, "TooManyRequests")) {
    trouble.kind = Kind::throttled;
  } else if (contains(code, "OwnershipToken")) {
    trouble.kind = Kind::token;
  } else if (status == 0 || status == 408 || status >= 500 || contains(code, "Conflict")) {
    trouble.kind = Kind::passing;
  } else if (status == 403 || contains(code, "Denied")) {
    trouble.words +=
        "; ask whoever runs the fleet: the pre-provisioning hook, or a policy, refuses this device";
  } else {
    trouble.words += "; mend the template, its parameters or what else the message names";
  }
  return trouble;
}

Result<Secret> read_claim(std::string_view text) {
  const json object = read_object(text);
  if (object.is_null()) {
    return Error{Errc::corrupt, "it is no JSON object; give what CreateProvisioningClaim gave", 0};
  }
  const auto pair = object.find("keyPair");
  const std::string certificate = tidy_pem(text_of(object, "certificatePem"));
  const Secret key(tidy_pem(pair != object.end() ? text_of(*pair, "PrivateKey") : std::string()));
  if (!identity::is_pem(certificate)) return Error{Errc::corrupt, "no good certificatePem", 0};
  if (!identity::is_pem(key.text())) return Error{Errc::corrupt, "no good keyPair.PrivateKey", 0};
  return Secret(certificate + key.text());
}

ProvisionTrouble trouble_of(const env::Failure& failure, std::string_view whose) {
  ProvisionTrouble trouble{Kind::passing, std::string(to_string(failure.verdict))};
  if (!failure.detail.empty()) trouble.words += ": " + failure.detail;
  switch (failure.verdict) {
    case Verdict::tls_client_refused:
    case Verdict::bad_credentials:
      trouble.kind = Kind::refused;
      trouble.words += "; is " + std::string(whose) + " active?";
      break;
    case Verdict::not_authorized:
      trouble.kind = Kind::denied;
      trouble.words += "; does the policy of " + std::string(whose) + " allow it to connect?";
      break;
    case Verdict::server_gone:
    case Verdict::tls_failed:
    case Verdict::protocol_error:
      trouble.kind = Kind::hung_up;
      trouble.words += "; is " + std::string(whose) + " active?";
      break;
    case Verdict::throttled:
    case Verdict::quota_exceeded:
      trouble.kind = Kind::throttled;
      break;
    default:
      break;
  }
  return trouble;
}

}  // namespace holdfast::runtime
