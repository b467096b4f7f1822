// Any text as a policy, and any pattern against any resource: nothing crashes, what a policy
// decides does not depend on the order of documents, a Deny of everything always wins, and
// wildcards match as a slow and simple matcher says.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "lab/iot/policy.h"

using namespace holdfast::lab::iot;  // NOLINT: a fuzz target's only file

namespace {

constexpr std::string_view kArn = "arn:aws:iot:eu-central-1:123456789012:";

PolicyDocument document(const std::string& statement) {
  auto parsed = parse_policy(R"({"Version":"2012-10-17","Statement":)" + statement + '}');
  HF_CHECK(parsed.ok());
  return *parsed;
}

PolicyFacts facts_of(std::string_view text) {
  PolicyFacts facts;
  facts.client_id = text.substr(0, text.size() / 2);
  facts.certificate_id = "cafe";
  facts.certificate_fields = {{"Subject.CommonName", std::string(text)},
                              {"Subject.Country", "DE"},
                              {"Subject.Country", "FR"}};
  if (text.size() % 2 == 0) facts.thing = PolicyThing{facts.client_id, "pump", {{"site", "a"}}};
  facts.source_ip = text.size() % 3 == 0 ? "2001:db8::7" : "192.0.2.7";
  if (text.size() % 5 == 0) facts.connect_attributes = {"PersistentConnect", "LastWill"};
  return facts;
}

/// The text behind the first zero byte is a resource, and facts are made of it.
void try_text(std::string_view input) {
  const std::size_t zero = input.find('\0');
  const std::string_view rest =
      zero == std::string_view::npos ? std::string_view{} : input.substr(zero + 1);
  const auto parsed = parse_policy(input.substr(0, zero));
  if (!parsed) {
    HF_CHECK(!parsed.error().message.empty());
    return;
  }
  const std::string resource = std::string(kArn) + std::string(rest);
  const PolicyFacts facts = facts_of(rest);
  const PolicyDocument allow = document(R"({"Effect":"Allow","Action":"*","Resource":"*"})");
  const PolicyDocument deny = document(R"({"Effect":"Deny","Action":"*","Resource":"*"})");
  for (const char* action : {"iot:Connect", "iot:Publish"}) {
    const auto decide = [&](const std::vector<NamedPolicy>& policies) {
      return evaluate(policies, action, resource, facts).decision;
    };
    const auto alone = decide({{"p", &*parsed}});
    HF_CHECK(decide({{"p", &*parsed}, {"allow", &allow}}) ==
             decide({{"allow", &allow}, {"p", &*parsed}}));
    HF_CHECK((alone == Verdict::Decision::explicit_deny) ==
             (decide({{"allow", &allow}, {"p", &*parsed}}) == Verdict::Decision::explicit_deny));
    HF_CHECK(decide({{"p", &*parsed}, {"deny", &deny}}) == Verdict::Decision::explicit_deny);
  }
}

/// Exponential, but for short patterns it will do.
bool slowly_matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    return slowly_matches(pattern.substr(1), text) ||
           (!text.empty() && slowly_matches(pattern, text.substr(1)));
  }
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         slowly_matches(pattern.substr(1), text.substr(1));
}

void try_pattern(std::string_view input) {
  constexpr std::size_t kLongest = 12;
  static constexpr std::string_view kLetters = "ab/*?+#";
  std::string words;
  for (const char c : input.substr(0, 2 * kLongest)) {
    words += kLetters[static_cast<unsigned char>(c) % kLetters.size()];
  }
  const std::string pattern = words.substr(0, words.size() / 2);
  const std::string text = words.substr(words.size() / 2);
  const PolicyDocument one = document(R"({"Effect":"Allow","Action":"iot:Publish","Resource":")" +
                                      std::string(kArn) + pattern + "\"}");
  HF_CHECK(evaluate({{"p", &one}}, "iot:Publish", std::string(kArn) + text, {}).allowed() ==
           slowly_matches(pattern, text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try_text(input);
  try_pattern(input);
  return 0;
}
