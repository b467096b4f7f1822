#include "identity/provision_journal.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/fields.h"

namespace holdfast::identity {
namespace {

constexpr std::string_view kHead = "holdfast-provisioning 1\n";
constexpr std::array<std::string_view, 5> kPhases{"none", "key", "certificate", "registered",
                                                  "done"};

Error corrupt(std::string text) { return Error{Errc::corrupt, std::move(text), 0}; }

bool printable(char c) { return c > ' ' && c <= '~'; }

/// Names of fields in the order of the file, each with what takes it; false: not as it must be.
struct Field {
  std::string_view name;
  bool (*take)(ProvisionJournal& journal, std::string_view value);
};

bool take_given_up(ProvisionJournal& journal, std::string_view value) {
  while (!value.empty()) {
    const std::size_t blank = std::min(value.find(' '), value.size());
    if (!is_word(value.substr(0, blank), kCertificateIdMax)) return false;
    journal.given_up.emplace_back(value.substr(0, blank));
    value.remove_prefix(std::min(blank + 1, value.size()));
  }
  return journal.given_up.size() <= kGivenUpMax;
}

constexpr std::array kFields{
    Field{"phase",
          [](ProvisionJournal& journal, std::string_view value) {
            const auto* const found = std::find(kPhases.begin(), kPhases.end(), value);
            journal.phase = static_cast<ProvisionPhase>(found - kPhases.begin());
            return found != kPhases.end();
          }},
    Field{"certificate-id",
          [](ProvisionJournal& journal, std::string_view value) {
            journal.certificate_id = value;
            return value.empty() || is_word(value, kCertificateIdMax);
          }},
    Field{"received", [](ProvisionJournal& journal,
                         std::string_view value) { return to_number(value, journal.received.ms); }},
    Field{"thing",
          [](ProvisionJournal& journal, std::string_view value) {
            journal.thing = value;
            return value.empty() || is_thing_name(value);
          }},
    Field{"given-up", take_given_up},
    Field{"configuration",
          [](ProvisionJournal& journal, std::string_view value) {
            journal.configuration = value;
            return value.size() <= kDeviceConfigurationMax;
          }},
    Field{"token",
          [](ProvisionJournal& journal, std::string_view value) {
            journal.token = Secret(std::string(value));
            return value.empty() || is_word(value, kTokenMax);
          }},
};

/// Whether it has what its phase needs, and nothing else.
bool consistent(const ProvisionJournal& journal) {
  using Phase = ProvisionPhase;
  const Phase phase = journal.phase;
  const bool has_certificate = phase == Phase::certificate || phase == Phase::registered;
  return (has_certificate || phase == Phase::key) != journal.key.text().empty() &&
         has_certificate != journal.certificate.empty() &&
         (phase == Phase::certificate) != journal.token.text().empty() &&
         (has_certificate || phase == Phase::done) != journal.certificate_id.empty();
}

}  // namespace

bool is_pem(std::string_view text) {
  return text.size() <= kPemMax && text.starts_with("-----BEGIN ") && text.ends_with("-----\n") &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c == '\n' || c == ' ' || printable(c); });
}

bool is_word(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most && std::all_of(text.begin(), text.end(), printable);
}

bool is_thing_name(std::string_view text) {
  return !text.empty() && text.size() <= kThingNameMax &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == ':' || c == '_' || c == '-';
         });
}

Secret to_text(const ProvisionJournal& journal) {
  std::string text(kHead);
  text.reserve(kProvisionJournalMax);  // it does not move, and leave copies of the key behind
  const auto put = [&text](std::string_view name, std::string_view value) {
    text.append(name).append(" ").append(value).append("\n");
  };
  std::string given_up;
  for (const std::string& id : journal.given_up) given_up += (given_up.empty() ? "" : " ") + id;
  put("phase", kPhases.at(static_cast<std::size_t>(journal.phase)));
  put("certificate-id", journal.certificate_id);
  put("received", std::to_string(journal.received.ms));
  put("thing", journal.thing);
  put("given-up", given_up);
  put("configuration", journal.configuration);
  put("token", journal.token.text());
  put("bytes",
      std::to_string(journal.certificate.size()) + ' ' + std::to_string(journal.key.text().size()));
  text.append(journal.certificate).append(journal.key.text());
  return Secret(std::move(text));
}

Result<ProvisionJournal> parse_provision_journal(std::string_view text) {
  const std::string_view whole = text;
  if (text.size() > kProvisionJournalMax) return corrupt("too long");
  if (!text.starts_with(kHead)) return corrupt("it does not begin as it must");
  text.remove_prefix(kHead.size());
  ProvisionJournal journal;
  for (const Field& field : kFields) {
    const auto value = take_line(text, field.name);
    if (!value || !field.take(journal, *value)) {
      return corrupt("no good line '" + std::string(field.name) + "'");
    }
  }
  const auto bytes = take_line(text, "bytes");
  const std::size_t blank = bytes ? bytes->find(' ') : std::string_view::npos;
  std::size_t certificate = 0;
  std::size_t key = 0;
  if (blank == std::string_view::npos || !to_number(bytes->substr(0, blank), certificate) ||
      !to_number(bytes->substr(blank + 1), key)) {
    return corrupt("no good line 'bytes'");
  }
  if (certificate > kPemMax || key > kPemMax || certificate + key != text.size()) {
    return corrupt("certificate and key are not as long as it says");
  }
  journal.certificate = text.substr(0, certificate);
  journal.key = Secret(std::string(text.substr(certificate)));
  const bool pem =
      (certificate == 0 || is_pem(journal.certificate)) && (key == 0 || is_pem(journal.key.text()));
  if (!pem) return corrupt("certificate or key is no PEM text");
  if (!consistent(journal)) return corrupt("its phase does not fit what is in it");
  // Numbers and lists have one way to be written.
  if (to_text(journal).text() != whole) return corrupt("it is not as it was written");
  return journal;
}

}  // namespace holdfast::identity
