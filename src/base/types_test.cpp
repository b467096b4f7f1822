// Goal: every word of the public vocabulary has its own name and, for verdicts, its own sentence;
//       the ledger's balance tells right from wrong.
// Method: walks all enumerators up to the counts that the headers promise, and one beyond.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast {
namespace {

/// Names of the first `count` enumerators must be there, differ, and read like identifiers.
template <class Enum>
void expect_distinct_names(std::size_t count) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name(to_string(static_cast<Enum>(i)));
    EXPECT_NE(name, "?") << i;
    EXPECT_FALSE(name.empty()) << i;
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos) << name;
    EXPECT_TRUE(seen.insert(name).second) << name << " names two things";
  }
  EXPECT_EQ(to_string(static_cast<Enum>(count)), "?") << "a name without an enumerator";
  EXPECT_EQ(to_string(static_cast<Enum>(255)), "?");
}

TEST(Vocabulary, EveryEnumeratorHasItsOwnName) {
  expect_distinct_names<Errc>(static_cast<std::size_t>(Errc::internal) + 1);
  expect_distinct_names<RejectReason>(kRejectReasons);
  expect_distinct_names<DropReason>(kDropReasons);
  expect_distinct_names<Verdict>(kVerdicts);
  expect_distinct_names<LinkState>(static_cast<std::size_t>(LinkState::stopped) + 1);
  expect_distinct_names<StorageHealth>(static_cast<std::size_t>(StorageHealth::slow) + 1);
  expect_distinct_names<ReceiptKind>(static_cast<std::size_t>(ReceiptKind::dropped) + 1);
  expect_distinct_names<Durability>(static_cast<std::size_t>(Durability::spill) + 1);
  expect_distinct_names<FateKind>(static_cast<std::size_t>(FateKind::forgotten) + 1);
}

TEST(Vocabulary, TheCountsEndWithTheLastEnumerator) {
  EXPECT_EQ(static_cast<std::size_t>(Verdict::captive_portal) + 1, kVerdicts);
  EXPECT_EQ(static_cast<std::size_t>(RejectReason::power_failing) + 1, kRejectReasons);
  EXPECT_EQ(static_cast<std::size_t>(DropReason::superseded) + 1, kDropReasons);
}

// The tables in types.cpp stand in the order of the enumerators; a few from each end prove it.
TEST(Vocabulary, NamesBelongToTheirEnumerators) {
  EXPECT_EQ(to_string(Errc::invalid_argument), "invalid_argument");
  EXPECT_EQ(to_string(Errc::in_use), "in_use");
  EXPECT_EQ(to_string(Errc::internal), "internal");
  EXPECT_EQ(to_string(RejectReason::queue_full), "queue_full");
  EXPECT_EQ(to_string(DropReason::corrupt), "corrupt");
  EXPECT_EQ(to_string(Verdict::none), "none");
  EXPECT_EQ(to_string(Verdict::tcp_refused), "tcp_refused");
  EXPECT_EQ(to_string(Verdict::tls_client_refused), "tls_client_refused");
  EXPECT_EQ(to_string(Verdict::not_authorized), "not_authorized");
  EXPECT_EQ(to_string(Verdict::silent_peer), "silent_peer");
  EXPECT_EQ(to_string(Verdict::engine_failed), "engine_failed");
  EXPECT_EQ(to_string(LinkState::waiting), "waiting");
  EXPECT_EQ(to_string(StorageHealth::read_only), "read_only");
  EXPECT_EQ(to_string(ReceiptKind::delivered), "delivered");
}

TEST(Vocabulary, EveryVerdictHasOneSentenceOfItsOwn) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < kVerdicts; ++i) {
    const std::string sentence(explain(static_cast<Verdict>(i)));
    ASSERT_GT(sentence.size(), 10U) << i;
    EXPECT_EQ(sentence.back(), '.') << sentence;
    EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
    EXPECT_TRUE(seen.insert(sentence).second) << sentence;
  }
  EXPECT_EQ(explain(static_cast<Verdict>(kVerdicts)), "?");
}

TEST(LedgerBalance, HoldsWhenEveryMessageIsSomewhere) {
  Ledger ledger;
  EXPECT_TRUE(ledger.balanced());
  ledger.accepted = 10;
  ledger.delivered = 5;
  ledger.pending = 2;
  ledger.dropped = {1, 0, 0, 0, 1, 1};
  EXPECT_EQ(ledger.dropped_total(), 3U);
  EXPECT_TRUE(ledger.balanced());
}

TEST(LedgerBalance, SeesALostAndAnInventedMessage) {
  Ledger ledger;
  ledger.accepted = 10;
  ledger.delivered = 9;
  EXPECT_FALSE(ledger.balanced()) << "one is nowhere";
  ledger.pending = 2;
  EXPECT_FALSE(ledger.balanced()) << "one is in two places";
}

TEST(LedgerBalance, RejectionsStandBesideIt) {
  Ledger ledger;
  ledger.rejected[static_cast<std::size_t>(RejectReason::too_large)] = 7;
  EXPECT_TRUE(ledger.balanced());
}

}  // namespace
}  // namespace holdfast
