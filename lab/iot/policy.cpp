#include "lab/iot/policy.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "lab/iot/cidr.h"

namespace holdfast::lab::iot {
namespace {

using Condition = PolicyCondition;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

/// `text` behind `prefix`, in any case of letters; nullopt when it does not begin so.
std::optional<std::string_view> behind(std::string_view text, std::string_view prefix) {
  if (lower(text.substr(0, prefix.size())) != lower(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

using Values = std::vector<std::string>;

Values one_of(const std::string& value) { return value.empty() ? Values{} : Values{value}; }

/// A key behind "iot:Certificate.": a field's first value, with ".1" its second, with ".List" all.
Values certificate_values(std::string_view key, const PolicyFacts& facts) {
  bool all = false;
  std::size_t index = 0;
  const std::size_t dot = key.rfind('.');
  if (dot != std::string_view::npos) {
    const std::string_view last = key.substr(dot + 1);
    const auto [end, failure] = std::from_chars(last.data(), last.data() + last.size(), index);
    all = lower(last) == "list";
    if (all || (failure == std::errc{} && end == last.data() + last.size())) {
      key = key.substr(0, dot);
    } else {
      index = 0;
    }
  }
  Values found;
  for (const auto& [name, value] : facts.certificate_fields) {
    if (lower(name) == lower(key)) found.push_back(value);
  }
  if (all) return found;
  return index < found.size() ? Values{found[index]} : Values{};
}

/// A key behind "iot:Connection.Thing.".
Values thing_values(std::string_view key, const PolicyFacts& facts) {
  if (lower(key) == "isattached") return {facts.thing ? "true" : "false"};
  if (!facts.thing) return {};
  if (lower(key) == "thingname") return one_of(facts.thing->name);
  if (lower(key) == "thingtypename") return one_of(facts.thing->type);
  const auto attribute = behind(key, "Attributes[");
  if (!attribute || !attribute->ends_with(']')) return {};
  const auto found =
      facts.thing->attributes.find(std::string(attribute->substr(0, attribute->size() - 1)));
  return found == facts.thing->attributes.end() ? Values{} : Values{found->second};
}

/// What a condition key or a policy variable stands for; empty: it has no value.
Values values_of(std::string_view key, const PolicyFacts& facts) {
  if (const auto thing = behind(key, "iot:Connection.Thing.")) return thing_values(*thing, facts);
  if (const auto field = behind(key, "iot:Certificate.")) return certificate_values(*field, facts);
  const std::string name = lower(key);
  if (name == "iot:clientid") return one_of(facts.client_id);
  if (name == "iot:certificateid") return one_of(facts.certificate_id);
  if (name == "iot:domainname") return one_of(facts.domain_name);
  if (name == "iot:connectattributes") return facts.connect_attributes;
  if (name == "aws:sourceip") return one_of(facts.source_ip);
  const auto found = facts.iam.find(name);
  return found == facts.iam.end() ? Values{} : one_of(found->second);
}

/// A pattern whose variables have been replaced. Only some of its '*' and '?' are wildcards.
struct Pattern {
  std::string text;
  std::vector<bool> wild;  ///< As long as `text`.

  void add(char c, bool is_wild) {
    text += c;
    wild.push_back(is_wild);
  }
  void add_literal(std::string_view piece) {
    for (const char c : piece) add(c, false);
  }
};

/// nullopt: a variable has no value.
std::optional<Pattern> expand(std::string_view source, bool wildcards, const PolicyFacts& facts) {
  Pattern pattern;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const std::size_t end =
        source.substr(i).starts_with("${") ? source.find('}', i) : std::string_view::npos;
    if (end == std::string_view::npos) {
      pattern.add(source[i], wildcards && (source[i] == '*' || source[i] == '?'));
      continue;
    }
    const std::string_view variable = source.substr(i + 2, end - i - 2);
    if (variable == "*" || variable == "?" || variable == "$") {
      pattern.add_literal(variable);
    } else {
      const Values values = values_of(variable, facts);
      if (values.empty()) return std::nullopt;
      pattern.add_literal(values.front());
    }
    i = end;
  }
  return pattern;
}

/// Without recursion: only the last '*' has to be tried again.
bool matches(const Pattern& pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::optional<std::size_t> star;
  std::size_t resumed = 0;
  while (t < text.size()) {
    const bool wild = p < pattern.text.size() && pattern.wild[p];
    if (wild && pattern.text[p] == '*') {
      star = p++;
      resumed = t;
    } else if (p < pattern.text.size() && (wild || pattern.text[p] == text[t])) {
      ++p;
      ++t;
    } else if (star) {
      p = *star + 1;
      t = ++resumed;
    } else {
      return false;
    }
  }
  while (p < pattern.text.size() && pattern.wild[p] && pattern.text[p] == '*') ++p;
  return p == pattern.text.size();
}

/// Whether one value of the connection meets one value of the policy, negation aside.
bool meets(Condition::Test test, const Pattern& wanted, const std::string& value) {
  switch (test) {
    case Condition::Test::equals:
      return wanted.text == value;
    case Condition::Test::equals_ignoring_case:
    case Condition::Test::boolean:
      return lower(wanted.text) == lower(value);
    case Condition::Test::like:
      return matches(wanted, value);
    case Condition::Test::ip_address: {
      const auto block = parse_ip(wanted.text);
      const auto address = parse_ip(value);
      return block && address && block->contains(*address);
    }
  }
  return false;
}

bool holds(const Condition& condition, const PolicyFacts& facts) {
  std::vector<Pattern> wanted;
  for (const std::string& value : condition.values) {
    auto pattern = expand(value, condition.test == Condition::Test::like, facts);
    if (!pattern) return false;
    wanted.push_back(std::move(*pattern));
  }
  const Values values = values_of(condition.key, facts);
  const auto one_holds = [&](const std::string& value) {
    const bool met = std::any_of(wanted.begin(), wanted.end(), [&](const Pattern& pattern) {
      return meets(condition.test, pattern, value);
    });
    return met != condition.negated;
  };
  switch (condition.quantifier) {
    case Condition::Quantifier::for_all_values:
      return std::all_of(values.begin(), values.end(), one_holds);  // true of no values
    case Condition::Quantifier::for_any_value:
      return std::any_of(values.begin(), values.end(), one_holds);
    case Condition::Quantifier::none:
      break;
  }
  // A key without value: nothing equals it, so that only a negation holds. Several values (only
  // iot:ConnectAttributes has them): one that meets is enough, and a negation wants none.
  if (condition.negated) return std::all_of(values.begin(), values.end(), one_holds);
  return std::any_of(values.begin(), values.end(), one_holds);
}

bool action_matches(const std::string& allowed, std::string_view action) {
  Pattern pattern;
  for (const char c : lower(allowed)) pattern.add(c, c == '*' || c == '?');
  return matches(pattern, lower(action));
}

bool applies(const PolicyStatement& statement, std::string_view action, std::string_view resource,
             const PolicyFacts& facts) {
  return std::any_of(statement.actions.begin(), statement.actions.end(),
                     [&](const std::string& one) { return action_matches(one, action); }) &&
         std::any_of(statement.resources.begin(), statement.resources.end(),
                     [&](const std::string& one) {
                       const auto pattern = expand(one, true, facts);
                       return pattern && matches(*pattern, resource);
                     }) &&
         std::all_of(statement.conditions.begin(), statement.conditions.end(),
                     [&](const Condition& one) { return holds(one, facts); });
}

}  // namespace

std::string to_string(const Verdict& verdict) {
  if (verdict.decision == Verdict::Decision::implicit_deny) return "no statement allows it";
  return (verdict.allowed() ? "allowed by statement " : "denied by statement ") +
         std::to_string(verdict.statement) + " of policy " + verdict.policy;
}

Verdict evaluate(const std::vector<NamedPolicy>& policies, std::string_view action,
                 std::string_view resource, const PolicyFacts& facts) {
  Verdict verdict;
  for (const NamedPolicy& policy : policies) {
    const auto& statements = policy.document->statements;
    for (std::size_t i = 0; i < statements.size(); ++i) {
      const bool deny = statements[i].deny;
      if (!deny && verdict.allowed()) continue;  // only a Deny could change it
      if (!applies(statements[i], action, resource, facts)) continue;
      verdict = {deny ? Verdict::Decision::explicit_deny : Verdict::Decision::allowed,
                 std::string(policy.name), i};
      if (deny) return verdict;
    }
  }
  return verdict;
}

}  // namespace holdfast::lab::iot
