// The operations of provisioning templates and claims, and the saved state.
#include <algorithm>
#include <array>
#include <utility>

#include "lab/iot/fields.h"
#include "lab/iot/page.h"
#include "lab/iot/provisioning.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::array<std::string_view, 6> kOperations = {
    "CreateProvisioningTemplate", "DescribeProvisioningTemplate", "ListProvisioningTemplates",
    "DeleteProvisioningTemplate", "CreateProvisioningClaim",      "SetProvisioningHook"};
constexpr std::string_view kFleet = "FLEET_PROVISIONING";
constexpr std::string_view kJustInTime = "JITP";
/// Times in saved state; the bound leaves room to count on.
constexpr std::int64_t kLargestTime = 1'000'000'000'000'000;

double seconds(WallTime time) { return static_cast<double>(time.ms) / 1000; }

ApiError invalid(const std::string& complaint) {
  return {"InvalidRequestException", 400, complaint};
}
ApiError not_found(const std::string& name) {
  return {"ResourceNotFoundException", 404, "there is no provisioning template " + name};
}

bool is_template_name(std::string_view name) {
  return !name.empty() && name.size() <= Provisioning::kTemplateNameLength &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '_' || c == '-';
         });
}

/// The body in `text`; complains of `key`, in which it came.
Json read_body(Fields& in, std::string_view key, const std::string& text) {
  auto body = parse_json(text, {kTemplateBytes});
  const Status checked = body ? check_template(*body) : Status(body.error());
  if (!checked) {
    in.complain(key, "is refused: " + checked.error().message);
    return {};
  }
  return std::move(body).value();
}

WallTime read_time(Fields& in, std::string_view key) {
  const std::int64_t ms = in.number(key);
  if (ms < 0 || ms > kLargestTime) in.complain(key, "is out of range");
  return {ms};
}

}  // namespace

bool Provisioning::has_operation(std::string_view operation) const {
  return std::find(kOperations.begin(), kOperations.end(), operation) != kOperations.end();
}

ApiResult Provisioning::call(WallTime now, std::string_view operation, const Json& input,
                             Answers& out) {
  if (operation == "CreateProvisioningTemplate") return create_template(now, input);
  if (operation == "DescribeProvisioningTemplate") return describe_template(input);
  if (operation == "ListProvisioningTemplates") return list_templates(input);
  if (operation == "DeleteProvisioningTemplate") return delete_template(input);
  if (operation == "CreateProvisioningClaim") return create_claim(now, input, out);
  return set_hook(input);
}

bool Provisioning::is_hook(const Json& hook) {
  const std::string* kind = string_in(hook, "kind");
  if (kind == nullptr) return false;
  if (*kind != "allowList") return *kind == "allow" || *kind == "deny" || *kind == "program";
  const auto values = hook.find("values");
  return string_in(hook, "parameter") != nullptr && values != hook.end() && values->is_array() &&
         std::all_of(values->begin(), values->end(), [](const Json& v) { return v.is_string(); });
}

ApiResult Provisioning::create_template(WallTime now, const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = in.text("templateName");
  if (!is_template_name(name)) in.complain("templateName", "must be [0-9A-Za-z_-]{1,36}");
  Template made;
  made.text = in.text("templateBody");
  made.body = read_body(in, "templateBody", made.text);
  made.description = in.text_or("description", "");
  made.role = in.text_or("provisioningRoleArn", "");
  made.enabled = in.flag_or("enabled", false);
  made.created = now;
  const std::string type = in.text_or("type", std::string(kFleet));
  made.just_in_time = type == kJustInTime;
  if (type != kFleet && type != kJustInTime) {
    in.complain("type", "must be FLEET_PROVISIONING or JITP");
  }
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  if (templates_.contains(name)) {
    return ApiError{"ResourceAlreadyExistsException", 409, "there is a template " + name};
  }
  templates_[name] = std::move(made);
  ++revision_;
  return Json{{"templateArn", arn("provisioningtemplate/" + name)},
              {"templateName", name},
              {"defaultVersionId", 1}};
}

ApiResult Provisioning::describe_template(const Json& input) const {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = in.text("templateName");
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  const auto found = templates_.find(name);
  if (found == templates_.end()) return not_found(name);
  const Template& one = found->second;
  Json output = {{"templateArn", arn("provisioningtemplate/" + name)},
                 {"templateName", name},
                 {"description", one.description},
                 {"creationDate", seconds(one.created)},
                 {"defaultVersionId", 1},
                 {"templateBody", one.text},
                 {"enabled", one.enabled},
                 {"provisioningRoleArn", one.role},
                 {"type", one.just_in_time ? kJustInTime : kFleet}};
  if (!one.hook.is_null()) output["hook"] = one.hook;
  return output;
}

ApiResult Provisioning::list_templates(const Json& input) const {
  std::string complaint;
  Fields in(input, complaint);
  std::vector<Json> items;
  for (const auto& [name, one] : templates_) {
    items.push_back({{"templateArn", arn("provisioningtemplate/" + name)},
                     {"templateName", name},
                     {"description", one.description},
                     {"creationDate", seconds(one.created)},
                     {"enabled", one.enabled},
                     {"type", one.just_in_time ? kJustInTime : kFleet}});
  }
  Json result = page_of(in, "templates", std::move(items));
  if (!complaint.empty()) return invalid(complaint);
  return result;
}

ApiResult Provisioning::delete_template(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = in.text("templateName");
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  if (templates_.erase(name) == 0) return not_found(name);
  ++revision_;
  return Json::object();
}

ApiResult Provisioning::set_hook(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = in.text("templateName");
  const Json hook = in.any("hook");
  if (!hook.is_null() && !is_hook(hook)) {
    in.complain("hook",
                "must be null, or have a kind: allow, deny, program, or allowList with "
                "parameter and values");
  }
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  const auto found = templates_.find(name);
  if (found == templates_.end()) return not_found(name);
  found->second.hook = hook;
  ++revision_;
  return Json::object();
}

std::optional<Provisioning::Refusal> Provisioning::put_claim_policy(
    WallTime now, const std::string& template_name, Answers& out) {
  const std::string policy = "provisioning-claim-" + template_name;
  if (!order(now, "GetPolicy", {{"policyName", policy}}, out)) return std::nullopt;
  const std::string of_template = "$aws/provisioning-templates/" + template_name + "/provision/*";
  const auto allow = [](const Json& action, const Json& resource) {
    return Json{{"Effect", "Allow"}, {"Action", action}, {"Resource", resource}};
  };
  const Json document = {
      {"Version", "2012-10-17"},
      {"Statement",
       Json::array({allow("iot:Connect", "*"),
                    allow(Json::array({"iot:Publish", "iot:Receive"}),
                          Json::array({arn("topic/$aws/certificates/create/*"),
                                       arn("topic/$aws/certificates/create-from-csr/*"),
                                       arn("topic/" + of_template)})),
                    allow("iot:Subscribe",
                          Json::array({arn("topicfilter/$aws/certificates/create/*"),
                                       arn("topicfilter/$aws/certificates/create-from-csr/*"),
                                       arn("topicfilter/" + of_template)}))})}};
  return order(now, "CreatePolicy", {{"policyName", policy}, {"policyDocument", dump(document)}},
               out);
}

ApiResult Provisioning::create_claim(WallTime now, const Json& input, Answers& out) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = in.text("templateName");
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  if (!templates_.contains(name)) return not_found(name);
  if (has_just_in_time(name)) return invalid("a template of the type JITP has no claims");
  const auto issued = issuer_.issue_with_new_key(now);
  if (!issued) return ApiError{"InternalFailureException", 500, issued.error().message};
  ApiResult added = registry_.call(now, "RegisterCertificateWithoutCA",
                                   {{"certificatePem", issued->certificate_pem},
                                    {"status", "ACTIVE"},
                                    {"certificateMode", "DEFAULT"}},
                                   out);
  if (const auto* error = std::get_if<ApiError>(&added)) return *error;
  const std::string* id = string_in(std::get<Json>(added), "certificateId");
  if (id == nullptr) {
    return ApiError{"InternalFailureException", 500, "the registry gave no certificate id"};
  }
  const WallTime until{now.ms + kClaimMs};
  claims_[*id] = until;
  ++revision_;
  auto failed = put_claim_policy(now, name, out);
  if (!failed) {
    failed =
        order(now, "AttachPolicy",
              {{"policyName", "provisioning-claim-" + name}, {"target", arn("cert/" + *id)}}, out);
  }
  if (failed) return ApiError{failed->code, failed->status, failed->message};
  return Json{
      {"certificateId", *id},
      {"certificatePem", issued->certificate_pem},
      {"keyPair", {{"PublicKey", issued->public_key_pem}, {"PrivateKey", issued->private_key_pem}}},
      {"expiration", seconds(until)}};
}

Json Provisioning::save() const {
  Json templates = Json::object();
  for (const auto& [name, one] : templates_) {
    templates[name] = {
        {"body", one.text},         {"description", one.description},   {"role", one.role},
        {"enabled", one.enabled},   {"just_in_time", one.just_in_time}, {"hook", one.hook},
        {"created", one.created.ms}};
  }
  Json tokens = Json::object();
  for (const auto& [text, token] : tokens_) {
    tokens[text] = {{"certificate", token.certificate},
                    {"pem", token.pem},
                    {"expires", token.expires.ms},
                    {"thing", token.thing}};
  }
  Json claims = Json::object();
  for (const auto& [id, until] : claims_) claims[id] = {{"until", until.ms}};
  return {{"templates", std::move(templates)},
          {"tokens", std::move(tokens)},
          {"claims", std::move(claims)}};
}

Status Provisioning::load(const Json& state) {
  std::string complaint;
  Fields in(state, complaint);
  std::map<std::string, Template, std::less<>> templates;
  std::map<std::string, Token, std::less<>> tokens;
  std::map<std::string, WallTime, std::less<>> claims;
  in.object("templates").each([&](const std::string& name, Fields one) {
    if (!is_template_name(name)) one.complain("body", "is of a template with a wrong name");
    Template& made = templates[name];
    made.text = one.text("body");
    made.body = read_body(one, "body", made.text);
    made.description = one.text("description");
    made.role = one.text("role");
    made.enabled = one.flag("enabled");
    made.just_in_time = one.flag("just_in_time");
    made.hook = one.any("hook");
    if (!made.hook.is_null() && !is_hook(made.hook)) one.complain("hook", "is no hook");
    made.created = read_time(one, "created");
    one.no_others();
  });
  in.object("tokens").each([&](const std::string& text, Fields one) {
    tokens[text] = {one.text("certificate"), one.text("pem"), read_time(one, "expires"),
                    one.text("thing")};
    one.no_others();
  });
  in.object("claims").each([&](const std::string& id, Fields one) {
    claims[id] = read_time(one, "until");
    one.no_others();
  });
  in.no_others();
  if (Status status = state_status(complaint); !status) return status;
  templates_ = std::move(templates);
  tokens_ = std::move(tokens);
  claims_ = std::move(claims);
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
