// Goal:   what is wrong with configuration, files, certificates and clock is named with its
//         figures, and each trouble comes with advice.
// Method: facts by hand, one thing wrong at a time.
#include "health/doctor_identity.h"

#include <gtest/gtest.h>

#include "health/doctor_fixture.h"

namespace holdfast::health {

namespace {

constexpr std::int64_t kDay = 86'400'000;
constexpr WallTime kNow{1'795'000'000'000};  // 2026-11-18
constexpr auto kOk = CheckResult::ok;
constexpr auto kWarning = CheckResult::warning;
constexpr auto kFailed = CheckResult::failed;
constexpr auto kNone = CheckResult::not_applicable;

WallTime in_days(std::int64_t days) { return WallTime{kNow.ms + days * kDay}; }

CertificateFacts certificate(std::int64_t from, std::int64_t to) {
  return {"CN=pump-17", "CN=CA", in_days(from), in_days(to)};
}

CredentialFacts credentials(std::int64_t from, std::int64_t to) {
  CredentialFacts facts;
  facts.key = "EC, 256 bits";
  facts.own = {certificate(from, to)};
  facts.ca = {{"CN=CA", "CN=CA", in_days(-100), in_days(3000)}};
  facts.chain = CredentialFacts::Chain::verified;
  return facts;
}

TEST(JudgeConfiguration, TheFirstProblemIsShownAndTheOthersCounted) {
  expect_finding(judge_configuration({"h.toml", {}, false, "generic", "b:8883"}), kOk,
                 "h.toml: profile generic, endpoint b:8883");
  expect_finding(judge_configuration({"h.toml", {"h.toml:3: connection.port: is 0"}}), kFailed,
                 "h.toml:3: connection.port: is 0", "holdfast check-config h.toml");
  expect_finding(judge_configuration({"h.toml", {"a", "b", "c"}}), kFailed,
                 "a (and 2 more problems)");
  expect_finding(judge_configuration({"h.toml", {"h.toml: cannot be read"}, true}), kFailed,
                 "cannot be read", "holdfast doctor FILE");
}

TEST(JudgeFiles, MissingComesBeforeTooOpen) {
  const FileFacts good{"tls.ca_file", "/ca", "", 0644, false};
  const FileFacts open{"tls.key_file", "/key", "", 0644, true};
  const FileFacts none{"tls.cert_file", "/cert", "No such file or directory", 0, false};
  expect_finding(judge_files({}), kNone, "no files");
  expect_finding(judge_files({good}), kOk, "1 file readable: tls.ca_file");
  expect_finding(judge_files({good, open, none}), kFailed,
                 "tls.cert_file, /cert: No such file or directory", "correct tls.cert_file");
}

TEST(JudgeFiles, ASecretThatEverybodyReadsMayBeKnown) {
  expect_finding(judge_files({{"tls.key_file", "/key", "", 0644, true}}), kWarning,
                 "/key has mode 0644: everybody may read it", "chmod 600 /key");
  expect_finding(judge_files({{"tls.key_file", "/key", "", 0640, true}}), kOk, "readable");
  expect_finding(judge_files({{"tls.key_file", "/key", "", 0660, true}}), kWarning,
                 "others may write", "chmod 600 /key");
  expect_finding(judge_files({{"tls.ca_file", "/ca", "", 0666, false}}), kWarning,
                 "others may write", "chmod go-w /ca");
}

TEST(JudgeCredentials, SaysWhatFitsOrWhatDoesNot) {
  CredentialFacts facts = credentials(-1, 100);
  expect_finding(judge_credentials(facts), kOk,
                 "1 CA certificate; the key (EC, 256 bits) fits the certificate of CN=pump-17");
  facts.ca.clear();
  facts.own.clear();
  expect_finding(judge_credentials(facts), kOk, "the system's CA store; no certificate");
  facts.problem = "key /k: does not fit the certificate /c";
  expect_finding(judge_credentials(facts), kFailed, "does not fit", "made together");
  facts.tls = false;
  expect_finding(judge_credentials(facts), kNone, "tls.enabled is false");
}

TEST(JudgeChain, OnlyASignatureThatDoesNotHoldIsAFailure) {
  CredentialFacts facts = credentials(-1, 100);
  expect_finding(judge_chain(facts), kOk, "signed by a CA of tls.ca_file: CN=CA");
  facts.chain = CredentialFacts::Chain::unknown_issuer;
  expect_finding(judge_chain(facts), kOk, "need not be");
  facts.out_of_order = true;
  expect_finding(judge_chain(facts), kWarning, "did not issue", "first");
  facts.chain = CredentialFacts::Chain::broken;
  facts.chain_problem = "certificate signature failure";
  expect_finding(judge_chain(facts), kFailed, "signature failure", "intermediate");
  facts.own.clear();
  expect_finding(judge_chain(facts), kNone, "no certificate");
}

TEST(JudgeDates, CountsTheDaysThatAreLeft) {
  const Finding good = judge_dates(credentials(-1, 100), kNow);
  expect_finding(good, kOk, "100 days left");
  ASSERT_EQ(good.figures.size(), 2u);
  EXPECT_EQ(good.figures[1].name, "days_left");
  EXPECT_EQ(std::get<std::int64_t>(good.figures[1].value), 100);
  expect_finding(judge_dates(credentials(-1, 30), kNow), kOk, "30 days left");
  expect_finding(judge_dates(credentials(-1, 29), kNow), kWarning, "29 days left", "renew");
  expect_finding(judge_dates(credentials(-9, -3), kNow), kFailed, "3 days ago", "new certificate");
  expect_finding(judge_dates(credentials(1, 9), kNow), kFailed, "not valid before", "clock");
}

TEST(JudgeDates, TheChainAndTheCaCountToo) {
  CredentialFacts facts = credentials(-1, 100);
  facts.own.push_back(certificate(-100, 3));
  expect_finding(judge_dates(facts, kNow), kWarning, "3 days left", "renew");
  facts.own.pop_back();
  facts.ca.push_back({"CN=Old CA", "CN=Old CA", in_days(-100), in_days(-1)});
  expect_finding(judge_dates(facts, kNow), kWarning, "CN=Old CA is not valid today", "tls.ca_file");
  facts.own.clear();
  expect_finding(judge_dates(facts, kNow), kWarning, "CN=Old CA", "tls.ca_file");
  facts.ca.pop_back();
  expect_finding(judge_dates(facts, kNow), kOk, "CA certificates are valid");
  facts.ca.clear();
  expect_finding(judge_dates(facts, kNow), kNone, "no certificate");
}

TEST(JudgeClock, ATimeBeforeTheBuildOrBeforeTheLastFileIsWrong) {
  expect_finding(judge_clock({kNow, in_days(-3), {}, ""}), kOk, "2026-11-18");
  expect_finding(judge_clock({in_days(-4), in_days(-3), {}, ""}), kFailed,
                 "this program was built on", "set the clock");
  expect_finding(judge_clock({kNow, in_days(-3), in_days(2), "/outbox/1"}), kFailed,
                 "/outbox/1 was written on", "set the clock");
  expect_finding(judge_clock({kNow, in_days(-3), WallTime{kNow.ms + 30'000}, "/outbox/1"}), kOk,
                 "2026-11-18");
}

TEST(JudgeTimeSync, TellsWhoKeepsTheTime) {
  expect_finding(judge_time_sync({true, {"chronyd"}}), kOk, "synchronized (chronyd)");
  expect_finding(judge_time_sync({true, {}}), kOk, "is synchronized");
  expect_finding(judge_time_sync({false, {"chronyd"}}), kWarning, "chronyd runs", "UDP port 123");
  expect_finding(judge_time_sync({false, {}}), kWarning, "no time service", "systemd-timesyncd");
}

}  // namespace

}  // namespace holdfast::health
