// Goal:   keys are renewed ahead of their end, at another moment by each device; while they cannot
//         be, the old ones serve to their end, and nobody is asked in a hurry.
// Method: time by hand; a seeded generator for the spread.
#include "link/key_lease.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/seeded_random.h"

namespace holdfast::link {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class KeyLeaseTest : public ::testing::Test {
 protected:
  void grant(Duration lasts) {
    lease_.asked();
    lease_.granted(now_, lasts, "cert");
  }
  void fail_renewal(Verdict why = Verdict::tcp_refused) {
    lease_.asked();
    lease_.refused(now_, why);
  }

  sim::SeededRandom random_{7};
  KeyLease lease_{random_};
  BootTime now_{hours(1)};
};

TEST_F(KeyLeaseTest, WithoutKeysOnlyAnAttemptAsks) {
  EXPECT_FALSE(lease_.serves(now_, ""));
  EXPECT_FALSE(lease_.due(now_));
  EXPECT_EQ(lease_.next_due(), kNever);
  fail_renewal();  // the attempt's
  EXPECT_EQ(lease_.next_due(), kNever) << "the attempt's own wait counts";
}

TEST_F(KeyLeaseTest, TheyServeTheirCertificateUntilTheyEnd) {
  grant(minutes(15));
  EXPECT_TRUE(lease_.serves(now_, "cert"));
  EXPECT_FALSE(lease_.serves(now_, "another")) << "a new certificate has to prove itself";
  now_ += minutes(15) - kLeaseLeast;
  EXPECT_TRUE(lease_.serves(now_, "cert"));
  now_ += seconds(1);
  EXPECT_FALSE(lease_.serves(now_, "cert")) << "too late to begin with them";
  EXPECT_TRUE(lease_.held(now_));
  now_ += kLeaseLeast;
  EXPECT_FALSE(lease_.held(now_));
}

TEST_F(KeyLeaseTest, RenewalsAreSpreadOverTheFirstHalfOfTheirTime) {
  for (const auto& [lasts, ahead] :
       {std::pair{Duration(minutes(15)), Duration(minutes(5))}, {hours(1), kRenewAhead}}) {
    BootTime first = kNever;
    BootTime last{};
    for (int i = 0; i < 1000; ++i) {
      grant(lasts);
      first = std::min(first, lease_.next_due());
      last = std::max(last, lease_.next_due());
    }
    EXPECT_GE(first, now_ + lasts - ahead);
    EXPECT_LT(first, now_ + lasts - ahead * 9 / 10);
    EXPECT_LT(last, now_ + lasts - ahead / 2);
    EXPECT_GT(last, now_ + lasts - ahead * 6 / 10);
  }
}

TEST_F(KeyLeaseTest, NoKeysAreBelievedToLiveLongerThanAnyDo) {
  grant(hours(24 * 365));
  EXPECT_FALSE(lease_.held(now_ + kLeaseMost));
}

TEST_F(KeyLeaseTest, AFailedRenewalIsTriedAgainLaterAndLaterWhileTheOldKeysServe) {
  grant(hours(1));
  now_ = lease_.next_due();
  EXPECT_TRUE(lease_.due(now_));
  int tries = 0;
  while (lease_.due(now_)) {
    EXPECT_TRUE(lease_.held(now_));
    fail_renewal();
    ++tries;
    if (lease_.next_due() == kNever) break;
    EXPECT_LE(lease_.next_due(), now_ + kRenewAgainCap);
    now_ = lease_.next_due();
  }
  EXPECT_GT(tries, 3);
  EXPECT_LT(tries, 20);
  EXPECT_EQ(lease_.next_due(), kNever) << "what has ended is asked for by the next attempt";
}

TEST_F(KeyLeaseTest, WhoIsToldThatTooManyAskWaitsAtLeastAsLong) {
  grant(hours(1));
  now_ = lease_.next_due();
  fail_renewal(Verdict::throttled);
  EXPECT_GE(lease_.next_due(), now_ + seconds(4));
}

TEST_F(KeyLeaseTest, AMendedNetworkIsReasonToTryAgainAtOnceButNotToRenewEarly) {
  grant(hours(1));
  const BootTime due = lease_.next_due();
  lease_.mended(now_);
  EXPECT_EQ(lease_.next_due(), due);
  now_ = due;
  fail_renewal();
  lease_.mended(now_);
  EXPECT_EQ(lease_.next_due(), now_);
  lease_.asked();
  EXPECT_EQ(lease_.next_due(), kNever) << "one question at a time";
}

TEST_F(KeyLeaseTest, KeysThatTheBrokerRefusesDoNotServeAgain) {
  grant(hours(1));
  lease_.forget();
  EXPECT_FALSE(lease_.serves(now_, "cert"));
  EXPECT_EQ(lease_.next_due(), kNever);
}

}  // namespace
}  // namespace holdfast::link
