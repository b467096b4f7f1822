// Goal:   a journal comes back as it was written; anything else is refused, with what is wrong and
//         without what is secret.
// Method: journals of each phase there and back; each byte of one changed, taken away, or repeated.
#include "identity/provision_journal.h"

#include <gtest/gtest.h>

namespace holdfast::identity {
namespace {

const std::string kKey = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
const std::string kCertificate = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";

ProvisionJournal sample(ProvisionPhase phase) {
  ProvisionJournal journal;
  journal.phase = phase;
  const bool certified =
      phase == ProvisionPhase::certificate || phase == ProvisionPhase::registered;
  if (certified || phase == ProvisionPhase::key) journal.key = Secret(kKey);
  if (certified) journal.certificate = kCertificate;
  if (certified || phase == ProvisionPhase::done) journal.certificate_id = "0123abcd";
  if (phase == ProvisionPhase::certificate) journal.token = Secret("to.ke-n");
  journal.received = WallTime{-5};
  journal.thing = "pump:1";
  journal.configuration = R"({"a":"b c"})";
  journal.given_up = {"id1", "id2"};
  return journal;
}

TEST(ProvisionJournal, EachPhaseComesBack) {
  for (int phase = 0; phase <= static_cast<int>(ProvisionPhase::done); ++phase) {
    const ProvisionJournal before = sample(static_cast<ProvisionPhase>(phase));
    const Secret text = to_text(before);
    const auto after = parse_provision_journal(text.text());
    ASSERT_TRUE(after) << after.error().message;
    EXPECT_EQ(after->phase, before.phase);
    EXPECT_EQ(after->key.text(), before.key.text());
    EXPECT_EQ(after->certificate, before.certificate);
    EXPECT_EQ(after->certificate_id, before.certificate_id);
    EXPECT_EQ(after->token.text(), before.token.text());
    EXPECT_EQ(after->received, before.received);
    EXPECT_EQ(after->thing, before.thing);
    EXPECT_EQ(after->configuration, before.configuration);
    EXPECT_EQ(after->given_up, before.given_up);
    EXPECT_EQ(to_text(*after).text(), text.text());
  }
}

TEST(ProvisionJournal, WhatIsTornOrForeignIsRefusedWithoutItsSecrets) {
  const std::string text = to_text(sample(ProvisionPhase::certificate)).text();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto torn = parse_provision_journal(text.substr(0, i));
    ASSERT_FALSE(torn) << i;
    EXPECT_EQ(torn.error().code, Errc::corrupt);
    EXPECT_EQ(torn.error().message.find("to.ke-n"), std::string::npos);
    std::string changed = text;
    changed[i] = '\0';
    const auto other = parse_provision_journal(changed);
    const auto configuration = text.find("configuration ") + 14;
    const bool free = i >= configuration && text[i] != '\n' && i < text.find("\ntoken");
    EXPECT_EQ(other.ok(), free) << i;
  }
  EXPECT_FALSE(parse_provision_journal(text + "x"));
  std::string padded = text;
  padded.replace(padded.find("received "), 9, "received -0");
  EXPECT_FALSE(parse_provision_journal(padded));
  EXPECT_FALSE(parse_provision_journal(std::string(kProvisionJournalMax + 1, 'x')));
}

TEST(ProvisionJournal, APhaseHasWhatItNeedsAndNothingElse) {
  const auto refused = [](ProvisionJournal journal) {
    return !parse_provision_journal(to_text(journal).text());
  };
  ProvisionJournal keyless = sample(ProvisionPhase::registered);
  keyless.key = Secret();
  EXPECT_TRUE(refused(std::move(keyless)));
  ProvisionJournal left = sample(ProvisionPhase::done);
  left.key = Secret(kKey);
  EXPECT_TRUE(refused(std::move(left)));
  ProvisionJournal tokenless = sample(ProvisionPhase::certificate);
  tokenless.token = Secret();
  EXPECT_TRUE(refused(std::move(tokenless)));
  ProvisionJournal many = sample(ProvisionPhase::none);
  many.given_up.assign(kGivenUpMax + 1, "id");
  EXPECT_TRUE(refused(std::move(many)));
}

}  // namespace
}  // namespace holdfast::identity
