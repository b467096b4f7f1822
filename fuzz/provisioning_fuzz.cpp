// Goal:   whatever a journal's file or an answer of the provisioning service holds, it is taken
//         within its bounds or refused with words; what is taken can be written and read again.
// Method: libFuzzer over the text; the first byte says as what it is read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "identity/provision_journal.h"
#include "runtime/provisioning_words.h"

namespace {

using namespace holdfast;  // NOLINT: a short program

void require(bool holds) {
  if (!holds) std::abort();
}

void read_journal(std::string_view text) {
  const auto journal = identity::parse_provision_journal(text);
  if (!journal) return require(!journal.error().message.empty());
  require(identity::to_text(*journal).text() == text);
}

/// What comes out may go into a journal.
void journal_certificate(identity::ProvisionOutcome outcome) {
  if (!outcome.done) return require(!outcome.trouble.words.empty());
  identity::ProvisionJournal journal;
  journal.phase = identity::ProvisionPhase::certificate;
  const bool keyed = !outcome.key.text().empty();
  journal.key = keyed ? std::move(outcome.key)
                      : Secret("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n");
  journal.certificate = std::move(outcome.certificate);
  journal.certificate_id = std::move(outcome.certificate_id);
  journal.token = std::move(outcome.token);
  require(identity::parse_provision_journal(identity::to_text(journal).text()).ok());
}

void journal_registration(const identity::ProvisionOutcome& outcome) {
  if (!outcome.done) return require(!outcome.trouble.words.empty());
  identity::ProvisionJournal journal;
  journal.thing = outcome.thing;
  journal.configuration = outcome.configuration;
  require(identity::parse_provision_journal(identity::to_text(journal).text()).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      read_journal(text);
      break;
    case 1:
      journal_certificate(runtime::read_certificate(text));
      break;
    case 2:
      journal_registration(runtime::read_registration(text));
      break;
    case 3:
      require(!runtime::read_rejection(text).words.empty());
      break;
    default:
      if (const auto claim = runtime::read_claim(text); claim) {
        require(claim->text().size() <= 2 * identity::kPemMax);
      }
      break;
  }
  return 0;
}
