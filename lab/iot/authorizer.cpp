#include "lab/iot/authorizer.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "base/base64.h"
#include "lab/iot/page.h"
#include "lab/iot/policy.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::array<std::string_view, 6> kOperations = {
    "CreateAuthorizer", "DescribeAuthorizer",   "ListAuthorizers",
    "DeleteAuthorizer", "SetDefaultAuthorizer", "SetAuthorizerAnswers"};
constexpr const char* kName = "x-amz-customauthorizer-name";
constexpr const char* kSignature = "x-amz-customauthorizer-signature";
constexpr const char* kFailed = "CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR";
constexpr const char* kWrong = "CUSTOM_AUTHORIZER_PARAMETER_INVALID";

ApiError invalid(const std::string& complaint) {
  return {"InvalidRequestException", 400, complaint};
}
ApiError not_found(const std::string& name) {
  return {"ResourceNotFoundException", 404, "there is no authorizer " + name};
}

bool is_word(std::string_view text, std::size_t most, std::string_view others) {
  return !text.empty() && text.size() <= most && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           others.find(c) != std::string_view::npos;
  });
}

/// Time in [kShortest, kLongest]; nullopt: missing or out of range.
std::optional<std::int64_t> lifetime(const Json& answer, std::string_view key) {
  const auto value = number_in(answer, key);
  if (!value || *value < Authorizers::kShortest || *value > Authorizers::kLongest) {
    return std::nullopt;
  }
  return value;
}

/// What a Lambda's answer grants, or how the service calls one that it cannot use.
std::variant<CustomAuthorizer::Answer, std::string> granted(const Json& answer) {
  if (!answer.is_object()) return kFailed;
  const auto authenticated = answer.find("isAuthenticated");
  if (authenticated == answer.end() || !authenticated->is_boolean()) return kFailed;
  if (*authenticated == Json(false)) return std::string("NOT_AUTHENTICATED");
  const std::string* principal = string_in(answer, "principalId");
  const auto disconnect = lifetime(answer, "disconnectAfterInSeconds");
  const auto documents = answer.find("policyDocuments");
  if (principal == nullptr || !is_word(*principal, Authorizers::kNameLength, "") || !disconnect ||
      !lifetime(answer, "refreshAfterInSeconds") || documents == answer.end() ||
      !documents->is_array() || documents->size() > Authorizers::kDocuments) {
    return kFailed;
  }
  CustomAuthorizer::Answer result{{*principal, std::chrono::seconds(*disconnect)}, {}};
  for (const Json& document : *documents) {
    const auto* text = document.get_ptr<const std::string*>();
    auto parsed = parse_policy(text != nullptr ? *text : dump(document));
    if (!parsed) return kFailed;
    result.documents.push_back(std::move(parsed).value());
  }
  return result;
}

}  // namespace

std::string authorizer_parameters(const HttpQuestion& question) {
  std::string parameters;
  const auto add = [&](std::string_view name, std::string_view value) {
    parameters += parameters.empty() ? '?' : '&';
    parameters.append(name) += '=';
    parameters.append(value);
  };
  for (const auto& [name, value] : question.headers)
    add(encode_percent(name), encode_percent(value));
  for (const auto& [name, value] : parse_target(question.target).query) add(name, value);
  return parameters;
}

Authorizers::Authorizers(std::string region, std::string account, const Crypto& crypto)
    : region_(std::move(region)), account_(std::move(account)), crypto_(crypto) {}

std::string Authorizers::arn(std::string_view name) const {
  return "arn:aws:iot:" + region_ + ':' + account_ + ":authorizer/" + std::string(name);
}

bool Authorizers::is_signed(const Authorizer& one, const std::string& token,
                            const std::string& signature) const {
  const auto bytes = text_from_base64(signature);
  return bytes && std::any_of(one.public_keys.begin(), one.public_keys.end(), [&](const auto& key) {
           return crypto_.verify_rsa_sha256(key.second, token, *bytes);
         });
}

std::variant<CustomAuthorizer::Answer, std::string> Authorizers::judge(
    WallTime /*now*/, std::string_view username, std::string_view /*password*/) {
  // Names of headers come in any case of letters, and the first of a name counts.
  std::map<std::string, std::string> given;
  for (const auto& [name, value] : parse_target(username).query) {
    const auto decoded = decode_percent(value);
    if (!decoded) return kWrong;
    given.emplace(lower_case(name), *decoded);
  }
  const std::string& name = given.contains(kName) ? given[kName] : default_;
  const auto found = authorizers_.find(name);
  if (found == authorizers_.end() || !found->second.active) {
    return std::string("CUSTOM_AUTHORIZER_NOT_FOUND");
  }
  const Authorizer& one = found->second;
  const auto token = given.find(lower_case(one.token_key));
  const std::string value = token == given.end() ? "" : token->second;
  if (!one.signing_disabled) {
    if (value.empty() || !given.contains(kSignature)) return kWrong;
    if (!is_signed(one, value, given[kSignature])) {
      return std::string("SECURITY_TOKEN_SIGNATURE_MISMATCH");
    }
  }
  const auto answer = one.answers.find(value);
  return granted(answer == one.answers.end() ? one.otherwise : answer->second);
}

bool Authorizers::has_operation(std::string_view operation) const {
  return std::find(kOperations.begin(), kOperations.end(), operation) != kOperations.end();
}

ApiResult Authorizers::call(WallTime /*now*/, std::string_view operation, const Json& input,
                            Answers& /*out*/) {
  if (operation == "CreateAuthorizer") return create(input);
  if (operation == "DescribeAuthorizer") return describe(input);
  if (operation == "ListAuthorizers") return list(input);
  if (operation == "DeleteAuthorizer") return remove(input);
  if (operation == "SetDefaultAuthorizer") return set_default(input);
  return set_answers(input);
}

Authorizers::Authorizer Authorizers::read(Fields& in) {
  Authorizer one;
  one.function = in.text("authorizerFunctionArn");
  one.signing_disabled = in.flag_or("signingDisabled", false);
  one.token_key = in.text_or("tokenKeyName", "");
  if (in.has("tokenSigningPublicKeys")) {
    Fields keys = in.object("tokenSigningPublicKeys");
    for (const std::string& key : keys.names()) one.public_keys[key] = keys.text(key);
  }
  const std::string status = in.text_or("status", "ACTIVE");
  if (status != "ACTIVE" && status != "INACTIVE") {
    in.complain("status", "must be ACTIVE or INACTIVE");
  }
  one.active = status == "ACTIVE";
  if (!one.signing_disabled) {
    if (!is_word(one.token_key, kNameLength, "_-")) {
      in.complain("tokenKeyName", "must be [a-zA-Z0-9_-]{1,128}");
    }
    if (one.public_keys.empty()) in.complain("tokenSigningPublicKeys", "is missing");
  }
  return one;
}

void Authorizers::read_answers(Fields& in, Authorizer& into) {
  if (in.has("answers")) {
    Fields answers = in.object("answers");
    for (const std::string& token : answers.names()) into.answers[token] = answers.any(token);
  }
  into.otherwise = in.any("otherwise");
}

ApiResult Authorizers::create(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = in.text("authorizerName");
  if (!is_word(name, kNameLength, "_=,@-")) in.complain("authorizerName", "is no such name");
  Authorizer one = read(in);
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  if (authorizers_.contains(name)) {
    return ApiError{"ResourceAlreadyExistsException", 409, "there is an authorizer " + name};
  }
  authorizers_[name] = std::move(one);
  ++revision_;
  return Json{{"authorizerName", name}, {"authorizerArn", arn(name)}};
}

ApiResult Authorizers::set_answers(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = in.text("authorizerName");
  Authorizer answers;
  read_answers(in, answers);
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  const auto found = authorizers_.find(name);
  if (found == authorizers_.end()) return not_found(name);
  found->second.answers = std::move(answers.answers);
  found->second.otherwise = std::move(answers.otherwise);
  ++revision_;
  return Json::object();
}

ApiResult Authorizers::set_default(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = in.text("authorizerName");
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  if (!authorizers_.contains(name)) return not_found(name);
  default_ = name;
  ++revision_;
  return Json{{"authorizerName", name}, {"authorizerArn", arn(name)}};
}

Json Authorizers::write(const Authorizer& one) {
  return {{"authorizerFunctionArn", one.function},
          {"tokenKeyName", one.token_key},
          {"tokenSigningPublicKeys", one.public_keys},
          {"status", one.active ? "ACTIVE" : "INACTIVE"},
          {"signingDisabled", one.signing_disabled}};
}

ApiResult Authorizers::describe(const Json& input) const {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = in.text("authorizerName");
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  const auto found = authorizers_.find(name);
  if (found == authorizers_.end()) return not_found(name);
  Json description = write(found->second);
  description["authorizerName"] = name;
  description["authorizerArn"] = arn(name);
  return Json{{"authorizerDescription", std::move(description)}};
}

ApiResult Authorizers::list(const Json& input) const {
  std::string complaint;
  Fields in(input, complaint);
  std::vector<Json> items;
  for (const auto& [name, one] : authorizers_) {
    items.push_back({{"authorizerName", name}, {"authorizerArn", arn(name)}});
  }
  Json result = page_of(in, "authorizers", std::move(items));
  if (!complaint.empty()) return invalid(complaint);
  return result;
}

ApiResult Authorizers::remove(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string name = in.text("authorizerName");
  in.no_others();
  if (!complaint.empty()) return invalid(complaint);
  const auto found = authorizers_.find(name);
  if (found == authorizers_.end()) return not_found(name);
  if (found->second.active) {
    return ApiError{"DeleteConflictException", 409, "an ACTIVE authorizer cannot be deleted"};
  }
  authorizers_.erase(found);
  if (default_ == name) default_.clear();
  ++revision_;
  return Json::object();
}

Json Authorizers::save() const {
  Json all = Json::object();
  for (const auto& [name, one] : authorizers_) {
    Json saved = write(one);
    saved["answers"] = one.answers;
    saved["otherwise"] = one.otherwise;
    all[name] = std::move(saved);
  }
  return {{"authorizers", std::move(all)}, {"default", default_}};
}

Status Authorizers::load(const Json& state) {
  std::string complaint;
  Fields in(state, complaint);
  std::map<std::string, Authorizer, std::less<>> all;
  in.object("authorizers").each([&](const std::string& name, Fields one) {
    Authorizer& made = all[name];
    made = read(one);
    read_answers(one, made);
    one.no_others();
  });
  const std::string by_default = in.text("default");
  if (!by_default.empty() && !all.contains(by_default)) in.complain("default", "is none of them");
  in.no_others();
  if (Status status = state_status(complaint); !status) return status;
  authorizers_ = std::move(all);
  default_ = by_default;
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
