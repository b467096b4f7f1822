// Policy documents: from text to statements, with the member named in every complaint.
#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <utility>

#include "lab/iot/cidr.h"
#include "lab/iot/json.h"
#include "lab/iot/policy.h"

namespace holdfast::lab::iot {
namespace {

using Condition = PolicyCondition;

/// Far more than the quota needs, as white space is not counted.
constexpr JsonLimits kDocument{std::size_t{64} * 1024, 8};

Error wrong(const std::string& member, std::string_view what) {
  return {Errc::invalid_argument, member + ' ' + std::string(what)};
}

/// Code points that are no white space.
std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    const bool continues = (static_cast<unsigned char>(c) & 0xC0) == 0x80;
    return !continues && c != ' ' && c != '\t' && c != '\n' && c != '\r';
  }));
}

Status only_members(const Json& object, const std::string& where,
                    std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return wrong(where + key, "is no member of an IoT policy");
    }
  }
  return {};
}

/// A string, or a list of strings with at least one in it. `plain`: numbers and truth values count
/// as their text.
Result<std::vector<std::string>> texts(const Json& value, const std::string& where, bool plain) {
  const auto text = [plain](const Json& one) -> std::optional<std::string> {
    if (one.is_string()) return one.get<std::string>();
    if (plain && (one.is_boolean() || one.is_number())) return dump(one);
    return std::nullopt;
  };
  if (!value.is_array()) {
    auto one = text(value);
    if (!one) return wrong(where, "must be a string or a list of strings");
    return std::vector<std::string>{std::move(*one)};
  }
  if (value.empty()) return wrong(where, "must not be empty");
  std::vector<std::string> all;
  for (std::size_t i = 0; i < value.size(); ++i) {
    auto one = text(value[i]);
    if (!one) return wrong(where + '[' + std::to_string(i) + ']', "must be a string");
    all.push_back(std::move(*one));
  }
  return all;
}

/// "ForAllValues:StringNotLike" taken apart; false: no operator of ours.
bool read_operator(std::string_view name, Condition& into) {
  constexpr std::string_view kAll = "ForAllValues:";
  constexpr std::string_view kAny = "ForAnyValue:";
  if (name.starts_with(kAll)) {
    into.quantifier = Condition::Quantifier::for_all_values;
    name.remove_prefix(kAll.size());
  } else if (name.starts_with(kAny)) {
    into.quantifier = Condition::Quantifier::for_any_value;
    name.remove_prefix(kAny.size());
  }
  struct Operator {
    std::string_view name;
    Condition::Test test;
    bool negated;
  };
  using Test = Condition::Test;
  static constexpr std::array kOperators = {
      Operator{"StringEquals", Test::equals, false},
      Operator{"StringNotEquals", Test::equals, true},
      Operator{"StringEqualsIgnoreCase", Test::equals_ignoring_case, false},
      Operator{"StringNotEqualsIgnoreCase", Test::equals_ignoring_case, true},
      Operator{"StringLike", Test::like, false},
      Operator{"StringNotLike", Test::like, true},
      Operator{"Bool", Test::boolean, false},
      Operator{"IpAddress", Test::ip_address, false},
      Operator{"NotIpAddress", Test::ip_address, true},
  };
  const auto* found = std::find_if(kOperators.begin(), kOperators.end(),
                                   [&](const Operator& one) { return one.name == name; });
  if (found == kOperators.end()) return false;
  into.test = found->test;
  into.negated = found->negated;
  return true;
}

Status check_values(const Condition& condition, const std::string& where) {
  for (const std::string& value : condition.values) {
    if (value.find("${") != std::string::npos) continue;
    if (condition.test == Condition::Test::boolean && value != "true" && value != "false") {
      return wrong(where, "must be \"true\" or \"false\"");
    }
    if (condition.test == Condition::Test::ip_address && !parse_ip(value)) {
      return wrong(where, "is no IP address or block of addresses: " + value);
    }
  }
  return {};
}

Status read_conditions(const Json& block, const std::string& where,
                       std::vector<Condition>& conditions) {
  if (!block.is_object()) return wrong(where, "must be an object");
  for (const auto& [name, keys] : block.items()) {
    Condition condition;
    const std::string inside = where + '.' + name;
    if (!read_operator(name, condition)) return wrong(inside, "is no known condition operator");
    if (!keys.is_object() || keys.empty()) {
      return wrong(inside, "must be an object with a condition key");
    }
    for (const auto& [key, value] : keys.items()) {
      auto values = texts(value, inside + '.' + key, true);
      if (!values) return std::move(values).error();
      condition.key = key;
      condition.values = std::move(*values);
      if (Status valid = check_values(condition, inside + '.' + key); !valid) return valid;
      conditions.push_back(condition);
    }
  }
  return {};
}

Status check_action(const std::string& action, const std::string& where) {
  const std::size_t colon = action.find(':');
  if (action == "*" || (colon != std::string::npos && colon > 0 && colon + 1 < action.size())) {
    return {};
  }
  return wrong(where, "has no action like \"iot:Connect\": " + action);
}

Status check_resource(const std::string& resource, const std::string& where) {
  if (resource == "*") return {};
  // arn:partition:service:region:account:what
  if (resource.starts_with("arn:") && std::count(resource.begin(), resource.end(), ':') >= 5) {
    return {};
  }
  return wrong(where, "has no ARN and no \"*\": " + resource);
}

Result<PolicyStatement> read_statement(const Json& value, const std::string& where) {
  if (!value.is_object()) return wrong(where, "must be an object");
  const Status members =
      only_members(value, where + '.', {"Sid", "Effect", "Action", "Resource", "Condition"});
  if (!members) return members.error();
  PolicyStatement statement;
  if (value.contains("Sid")) {
    const std::string* sid = string_in(value, "Sid");
    if (sid == nullptr) return wrong(where + ".Sid", "must be a string");
    statement.sid = *sid;
  }
  const std::string* effect = string_in(value, "Effect");
  if (effect == nullptr || (*effect != "Allow" && *effect != "Deny")) {
    return wrong(where + ".Effect", "must be \"Allow\" or \"Deny\"");
  }
  statement.deny = *effect == "Deny";
  struct Part {
    const char* name;
    std::vector<std::string>* into;
    Status (*check)(const std::string&, const std::string&);
  };
  for (const Part& part : {Part{"Action", &statement.actions, check_action},
                           Part{"Resource", &statement.resources, check_resource}}) {
    const std::string member = where + '.' + part.name;
    if (!value.contains(part.name)) return wrong(member, "is missing");
    auto all = texts(value[part.name], member, false);
    if (!all) return std::move(all).error();
    for (const std::string& one : *all) {
      if (Status valid = part.check(one, member); !valid) return valid.error();
    }
    *part.into = std::move(*all);
  }
  if (value.contains("Condition")) {
    const Status read =
        read_conditions(value["Condition"], where + ".Condition", statement.conditions);
    if (!read) return read.error();
  }
  return statement;
}

}  // namespace

Result<PolicyDocument> parse_policy(std::string_view text, std::size_t most) {
  const std::size_t length = characters(text);
  if (length > most) {
    return Error{Errc::too_large, "policy of " + std::to_string(length) +
                                      " characters without white space; at most " +
                                      std::to_string(most) + " are allowed"};
  }
  const auto parsed = parse_json(text, kDocument);
  if (!parsed) return parsed.error();
  const Json& json = *parsed;
  if (!json.is_object()) return Error{Errc::invalid_argument, "policy must be an object"};
  if (const Status members = only_members(json, "", {"Version", "Id", "Statement"}); !members) {
    return members.error();
  }
  const std::string* version = string_in(json, "Version");
  if (version == nullptr || *version != "2012-10-17") {
    return wrong("Version", "must be \"2012-10-17\"");
  }
  if (!json.contains("Statement")) return wrong("Statement", "is missing");
  const Json& given = json["Statement"];
  const Json list = given.is_object() ? Json::array({given}) : given;
  if (!list.is_array() || list.empty()) {
    return wrong("Statement", "must be a list with a statement in it");
  }
  PolicyDocument document;
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto statement = read_statement(list[i], "Statement[" + std::to_string(i) + ']');
    if (!statement) return std::move(statement).error();
    document.statements.push_back(std::move(*statement));
  }
  return document;
}

}  // namespace holdfast::lab::iot
