// The device's side of fleet provisioning, and what time does to tokens and claims.
#include "lab/iot/provisioning.h"

#include <algorithm>
#include <utility>

#include "base/base64.h"
#include "lab/iot/cbor.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kCertificates = "$aws/certificates/";
constexpr std::string_view kTemplates = "$aws/provisioning-templates/";
constexpr std::string_view kCertificate = "AWS::IoT::Certificate::";
constexpr int kTokenWords = 8;  ///< Of 64 bits each.

/// Fields of a certificate, and the parameters AWS::IoT::Certificate::… of just-in-time templates.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kSubjectParameters = {{
    {"Subject.Country", "Country"},
    {"Subject.Organization", "Organization"},
    {"Subject.OrganizationalUnit", "OrganizationalUnit"},
    {"Subject.DistinguishedNameQualifier", "DistinguishedNameQualifier"},
    {"Subject.State", "StateName"},
    {"Subject.CommonName", "CommonName"},
    {"Subject.SerialNumber", "SerialNumber"},
}};

const Json& member(const Json& object, std::string_view key) {
  static const Json nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(std::string(key));
  return found == object.end() ? nothing : *found;
}

/// Takes texts only; false when there is something else, or too much.
bool read_parameters(const Json& from, ProvisioningParameters& into) {
  if (from.is_null()) return true;
  if (!from.is_object() || from.size() > Provisioning::kParameters) return false;
  for (const auto& [name, value] : from.items()) {
    const auto* text = value.get_ptr<const std::string*>();
    if (text == nullptr) return false;
    into[name] = *text;
  }
  return true;
}

/// Whether a parameter is one of those that a hook of the kind allowList lets in.
bool is_listed(const Json& hook, const ProvisioningParameters& parameters) {
  const std::string* name = string_in(hook, "parameter");
  const auto given = name == nullptr ? parameters.end() : parameters.find(*name);
  if (given == parameters.end()) return false;
  const Json& values = member(hook, "values");
  return std::any_of(values.begin(), values.end(),
                     [&](const Json& value) { return value == given->second; });
}

}  // namespace

Provisioning::Provisioning(ProvisioningSettings settings, Service& registry,
                           CertificateIssuer& issuer, ProvisioningHook* hook, env::Random& random)
    : settings_(std::move(settings)),
      registry_(registry),
      issuer_(issuer),
      hook_(hook),
      random_(random) {}

std::string Provisioning::arn(std::string_view resource) const {
  return "arn:aws:iot:" + settings_.region + ':' + settings_.account + ':' + std::string(resource);
}

std::optional<Provisioning::Topic> Provisioning::topic_of(std::string_view text) {
  Topic topic;
  const std::size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view format = text.substr(slash + 1);
  topic.cbor = format == "cbor";
  if (!topic.cbor && format != "json") return std::nullopt;
  text = text.substr(0, slash);
  if (text.starts_with(kCertificates)) {
    text.remove_prefix(kCertificates.size());
    if (text != "create" && text != "create-from-csr") return std::nullopt;
    topic.request = text == "create" ? Request::create : Request::create_from_csr;
    return topic;
  }
  constexpr std::string_view kEnd = "/provision";
  if (!text.starts_with(kTemplates) || !text.ends_with(kEnd)) return std::nullopt;
  text.remove_prefix(kTemplates.size());
  if (text.size() <= kEnd.size()) return std::nullopt;
  text.remove_suffix(kEnd.size());
  if (text.find('/') != std::string_view::npos) return std::nullopt;
  topic.request = Request::register_thing;
  topic.template_name = text;
  return topic;
}

Claim Provisioning::claims(std::string_view topic) const {
  return topic_of(topic) ? Claim::only : Claim::none;
}

void Provisioning::on_switches(const Switches& switches) {
  settings_.token_seconds = switches.ownership_token_seconds;
  settings_.creates_per_second = static_cast<std::uint32_t>(switches.creates_per_second);
  settings_.csrs_per_second = static_cast<std::uint32_t>(switches.csrs_per_second);
  settings_.registers_per_second = static_cast<std::uint32_t>(switches.registers_per_second);
  settings_.denied_code = switches.provisioning_denied_code;
}

void Provisioning::on_request(WallTime now, const Requester& from, const mqtt::Publish& message,
                              Answers& out) {
  const auto topic = topic_of(message.topic);
  if (!topic) return;
  // Tokens end before anything is asked of them.
  on_time(now, out);
  Result<Json> input = Json::object();
  if (topic->request != Request::create) {
    input = topic->cbor ? parse_cbor(message.payload) : parse_json(message.payload);
  }
  Outcome outcome = Refusal{400, "InvalidPayload", "The payload could not be read"};
  if (input && input->is_object()) outcome = handle(now, from, *topic, *input, out);

  const auto* refusal = std::get_if<Refusal>(&outcome);
  const Json answer = refusal == nullptr ? std::get<Json>(outcome)
                                         : Json{{"statusCode", refusal->status},
                                                {"errorCode", refusal->code},
                                                {"errorMessage", refusal->message}};
  out.reply(message.topic + (refusal == nullptr ? "/accepted" : "/rejected"), answer);
  if (topic->cbor) out.all.back().payload = to_cbor(answer);
}

bool Provisioning::within_rate(WallTime now, Request request) {
  const auto index = static_cast<std::size_t>(request);
  const std::array<std::uint32_t, 3> most = {
      settings_.creates_per_second, settings_.csrs_per_second, settings_.registers_per_second};
  Rate& rate = rates_.at(index);
  const std::int64_t second = now.ms / 1000;
  if (rate.second != second) rate = {second, 0};
  return most.at(index) == 0 || rate.count++ < most.at(index);
}

Provisioning::Outcome Provisioning::handle(WallTime now, const Requester& from, const Topic& topic,
                                           const Json& input, Answers& out) {
  if (!within_rate(now, topic.request)) {
    return Refusal{429, "ThrottlingException", "Rate exceeded"};
  }
  if (topic.request == Request::register_thing) {
    return register_thing(now, from, topic.template_name, input, out);
  }
  if (tokens_.size() >= kTokens) return Refusal{429, "ThrottlingException", "Rate exceeded"};
  if (topic.request == Request::create) {
    const auto issued = issuer_.issue_with_new_key(now);
    if (!issued) return Refusal{500, "InternalFailure", issued.error().message};
    return keep(now, *issued, out);
  }
  const std::string* csr = string_in(input, "certificateSigningRequest");
  if (csr == nullptr || csr->empty()) {
    return Refusal{400, "InvalidCertificateSigningRequest",
                   "certificateSigningRequest cannot be empty"};
  }
  const auto issued = issuer_.issue_from_csr(now, *csr);
  if (!issued) return Refusal{400, "InvalidCertificateSigningRequest", issued.error().message};
  return keep(now, *issued, out);
}

std::optional<Provisioning::Refusal> Provisioning::order(WallTime now, std::string_view operation,
                                                         const Json& input, Answers& out) {
  ApiResult result = registry_.call(now, operation, input, out);
  const auto* error = std::get_if<ApiError>(&result);
  if (error == nullptr) return std::nullopt;
  return Refusal{error->status, error->type, error->message};
}

Provisioning::Outcome Provisioning::keep(WallTime now, const IssuedCertificate& issued,
                                         Answers& out) {
  ApiResult added = registry_.call(now, "RegisterCertificateWithoutCA",
                                   {{"certificatePem", issued.certificate_pem},
                                    {"status", "PENDING_ACTIVATION"},
                                    {"certificateMode", "DEFAULT"}},
                                   out);
  if (const auto* error = std::get_if<ApiError>(&added)) {
    return Refusal{500, "InternalFailure", error->message};
  }
  const std::string* id = string_in(std::get<Json>(added), "certificateId");
  if (id == nullptr) return Refusal{500, "InternalFailure", "the registry gave no certificate id"};
  std::string bytes;
  for (int i = 0; i < kTokenWords; ++i) {
    const std::uint64_t word = random_.next();
    for (unsigned shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(word >> shift);
  }
  const std::string token = text_to_base64(bytes);
  tokens_[token] = {*id, issued.certificate_pem, {now.ms + settings_.token_seconds * 1000}, {}};
  ++revision_;
  Json answer = {{"certificateId", *id}, {"certificatePem", issued.certificate_pem}};
  if (!issued.private_key_pem.empty()) answer["privateKey"] = issued.private_key_pem;
  answer["certificateOwnershipToken"] = token;
  return answer;
}

Provisioning::Outcome Provisioning::register_thing(WallTime now, const Requester& from,
                                                   const std::string& template_name,
                                                   const Json& input, Answers& out) {
  const std::string* token = string_in(input, "certificateOwnershipToken");
  if (token == nullptr || token->empty()) {
    return Refusal{400, "InvalidCertificateOwnershipToken",
                   "Certificate ownership token cannot be empty."};
  }
  const auto owned = tokens_.find(*token);
  if (owned == tokens_.end()) {
    return Refusal{400, "InvalidCertificateOwnershipToken", "Invalid certificate ownership token"};
  }
  const auto found = templates_.find(template_name);
  if (found == templates_.end() || !found->second.enabled || found->second.just_in_time) {
    return Refusal{400, "InvalidTemplate", "Template " + template_name + " is not enabled"};
  }
  ProvisioningParameters parameters;
  if (!read_parameters(member(input, "parameters"), parameters)) {
    return Refusal{400, "InvalidParameters", "parameters must be an object of strings"};
  }
  std::erase_if(parameters, [](const auto& one) { return one.first.starts_with("AWS::"); });
  const auto refusal = ask_hook(from, template_name, found->second, owned->second, parameters);
  if (refusal) return *refusal;
  parameters[std::string(kCertificate) + "Id"] = owned->second.certificate;
  auto plan = make_plan(found->second.body, parameters);
  if (!plan) return Refusal{400, "InvalidParameters", plan.error().message};
  if (auto failed = carry_out(now, *plan, owned->second, out)) return *failed;
  tokens_.erase(owned);
  ++revision_;
  return Json{{"deviceConfiguration", std::move(plan->device_configuration)},
              {"thingName", plan->thing}};
}

std::optional<Provisioning::Refusal> Provisioning::ask_hook(const Requester& from,
                                                            const std::string& template_name,
                                                            const Template& used,
                                                            const Token& token,
                                                            ProvisioningParameters& parameters) {
  const std::string* kind = string_in(used.hook, "kind");
  if (kind == nullptr || *kind == "allow") return std::nullopt;
  const Refusal denied{403, settings_.denied_code, "The pre-provisioning hook denied the request"};
  if (*kind == "allowList") {
    return is_listed(used.hook, parameters) ? std::nullopt : std::optional(denied);
  }
  if (*kind != "program" || hook_ == nullptr) return denied;
  const auto answer = hook_->ask({{"claimCertificateId", from.principal},
                                  {"certificateId", token.certificate},
                                  {"certificatePem", token.pem},
                                  {"templateArn", arn("provisioningtemplate/" + template_name)},
                                  {"clientId", from.client_id},
                                  {"parameters", parameters}});
  if (!answer || member(*answer, "allowProvisioning") != Json(true)) return denied;
  if (!read_parameters(member(*answer, "parameterOverrides"), parameters)) return denied;
  return std::nullopt;
}

std::optional<Provisioning::Refusal> Provisioning::carry_out(WallTime now,
                                                             const ProvisioningPlan& plan,
                                                             Token& token, Answers& out) {
  const std::string principal = arn("cert/" + token.certificate);
  for (const PlannedPolicy& policy : plan.policies) {
    if (auto failed = put_policy(now, policy, out)) return failed;
    auto failed =
        order(now, "AttachPolicy", {{"policyName", policy.name}, {"target", principal}}, out);
    if (failed) return failed;
  }
  if (!plan.thing.empty()) {
    if (auto failed = put_thing(now, plan, out)) return failed;
    if (!token.thing.empty() && token.thing != plan.thing) {
      auto failed = order(now, "DetachThingPrincipal",
                          {{"thingName", token.thing}, {"principal", principal}}, out);
      if (failed) return failed;
    }
    auto failed = order(now, "AttachThingPrincipal",
                        {{"thingName", plan.thing}, {"principal", principal}}, out);
    if (failed) return failed;
    token.thing = plan.thing;
    ++revision_;
  }
  return order(
      now, "UpdateCertificate",
      {{"certificateId", token.certificate}, {"newStatus", plan.active ? "ACTIVE" : "INACTIVE"}},
      out);
}

std::optional<Provisioning::Refusal> Provisioning::put_policy(WallTime now,
                                                              const PlannedPolicy& policy,
                                                              Answers& out) {
  if (policy.document.empty()) return std::nullopt;
  if (!order(now, "GetPolicy", {{"policyName", policy.name}}, out)) return std::nullopt;
  return order(now, "CreatePolicy",
               {{"policyName", policy.name}, {"policyDocument", policy.document}}, out);
}

std::optional<Provisioning::Refusal> Provisioning::put_thing(WallTime now,
                                                             const ProvisioningPlan& plan,
                                                             Answers& out) {
  const bool exists = !order(now, "DescribeThing", {{"thingName", plan.thing}}, out);
  if (exists) return change_thing(now, plan, out);
  Json input = {{"thingName", plan.thing}, {"attributePayload", {{"attributes", plan.attributes}}}};
  if (!plan.thing_type.empty()) input["thingTypeName"] = plan.thing_type;
  if (auto failed = order(now, "CreateThing", input, out)) return failed;
  return put_groups(now, plan, false, out);
}

std::optional<Provisioning::Refusal> Provisioning::change_thing(WallTime now,
                                                                const ProvisioningPlan& plan,
                                                                Answers& out) {
  for (const Override one : {plan.attributes_override, plan.type_override, plan.groups_override}) {
    if (one != Override::fail) continue;
    return Refusal{409, "ResourceAlreadyExists", "Thing " + plan.thing + " exists already"};
  }
  Json input = {{"thingName", plan.thing}};
  if (plan.attributes_override != Override::do_nothing) {
    input["attributePayload"] = {{"attributes", plan.attributes},
                                 {"merge", plan.attributes_override == Override::merge}};
  }
  if (plan.type_override == Override::replace && !plan.thing_type.empty()) {
    input["thingTypeName"] = plan.thing_type;
  }
  if (input.size() > 1) {
    if (auto failed = order(now, "UpdateThing", input, out)) return failed;
  }
  if (plan.groups_override == Override::do_nothing) return std::nullopt;
  return put_groups(now, plan, true, out);
}

std::optional<Provisioning::Refusal> Provisioning::put_groups(WallTime now,
                                                              const ProvisioningPlan& plan,
                                                              bool alone, Answers& out) {
  const auto order_for = [&](std::string_view operation, const std::string& group) {
    return order(now, operation, {{"thingName", plan.thing}, {"thingGroupName", group}}, out);
  };
  if (alone) {
    const ApiResult in =
        registry_.call(now, "ListThingGroupsForThing", {{"thingName", plan.thing}}, out);
    const auto* listed = std::get_if<Json>(&in);
    for (const Json& group : listed != nullptr ? member(*listed, "thingGroups") : Json::array()) {
      auto failed = order_for("RemoveThingFromThingGroup", *string_in(group, "groupName"));
      if (failed) return failed;
    }
  }
  for (const std::string& group : plan.groups) {
    if (auto failed = order_for("AddThingToThingGroup", group)) return failed;
  }
  return std::nullopt;
}

// ---- just in time ------------------------------------------------------------------------------

bool Provisioning::has_just_in_time(std::string_view name) const {
  const auto found = templates_.find(name);
  return found != templates_.end() && found->second.just_in_time;
}

std::optional<ApiError> Provisioning::provision(WallTime now, const std::string& certificate,
                                                const std::vector<CertificateField>& fields,
                                                const Json& registration, Answers& out) {
  const auto refused = [](std::string message) {
    return ApiError{"InvalidRequestException", 400, std::move(message)};
  };
  Json body;
  if (const std::string* text = string_in(registration, "templateBody")) {
    if (auto parsed = parse_json(*text, {kTemplateBytes})) body = std::move(*parsed);
  } else if (const std::string* name = string_in(registration, "templateName")) {
    const auto found = templates_.find(*name);
    if (found == templates_.end() || !found->second.just_in_time || !found->second.enabled) {
      return refused("template " + *name + " is not there, not JITP or not enabled");
    }
    body = found->second.body;
  }
  ProvisioningParameters parameters = {{std::string(kCertificate) + "Id", certificate}};
  for (const auto& [field, parameter] : kSubjectParameters) {
    for (const auto& [name, value] : fields) {
      if (name == field) parameters.try_emplace(std::string(kCertificate).append(parameter), value);
    }
  }
  if (const Status checked = check_template(body); !checked)
    return refused(checked.error().message);
  for (const std::string& name : required_parameters(body)) {
    if (!parameters.contains(name)) return refused("the certificate has no " + name);
  }
  const auto plan = make_plan(body, parameters);
  if (!plan) return refused(plan.error().message);
  Token token;
  token.certificate = certificate;
  const auto failed = carry_out(now, *plan, token, out);
  if (!failed) return std::nullopt;
  return ApiError{failed->code, failed->status, failed->message};
}

WallTime Provisioning::wake() const {
  WallTime next{kNoTime};
  for (const auto& [text, token] : tokens_) next = std::min(next, token.expires);
  for (const auto& [id, until] : claims_) next = std::min(next, until);
  return next;
}

void Provisioning::on_time(WallTime now, Answers& out) {
  // Whoever deleted a certificate or thing by hand was faster; those errors do not matter.
  for (auto it = tokens_.begin(); it != tokens_.end();) {
    const Token& token = it->second;
    if (now < token.expires) {
      ++it;
      continue;
    }
    if (!token.thing.empty()) {
      order(now, "DetachThingPrincipal",
            {{"thingName", token.thing}, {"principal", arn("cert/" + token.certificate)}}, out);
    }
    order(now, "DeleteCertificate", {{"certificateId", token.certificate}, {"forceDelete", true}},
          out);
    it = tokens_.erase(it);
    ++revision_;
  }
  for (auto it = claims_.begin(); it != claims_.end();) {
    if (now < it->second) {
      ++it;
      continue;
    }
    order(now, "UpdateCertificate", {{"certificateId", it->first}, {"newStatus", "INACTIVE"}}, out);
    order(now, "DeleteCertificate", {{"certificateId", it->first}, {"forceDelete", true}}, out);
    it = claims_.erase(it);
    ++revision_;
  }
}

}  // namespace holdfast::lab::iot
