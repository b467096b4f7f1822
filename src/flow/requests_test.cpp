// Goal: each answer ends its request and no other, once; whatever else comes is counted by what it
//       is; nothing grows without bound.
// Method: scripted calls on virtual time, with seeded randomness.
#include "flow/requests.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "sim/seeded_random.h"

namespace holdfast::flow {
namespace {

using std::chrono::seconds;
using Numbers = std::vector<Requests::Number>;

class RequestsTest : public ::testing::Test {
 protected:
  sim::SeededRandom random{1};
  Requests requests{random};
  BootTime now{std::chrono::hours(1)};
};

TEST_F(RequestsTest, AnAnswerEndsItsOwnRequestOnce) {
  const Bytes first = requests.begin(1, now + seconds(10));
  const Bytes second = requests.begin(2, now + seconds(5));
  EXPECT_EQ(first.size(), Requests::kCorrelationSize);
  EXPECT_NE(first, second);
  EXPECT_EQ(requests.next_deadline(), now + seconds(5));
  EXPECT_EQ(requests.answered(second), 2U);
  EXPECT_EQ(requests.next_deadline(), now + seconds(10));
  EXPECT_EQ(requests.answered(second), std::nullopt);
  EXPECT_EQ(requests.answered(first), 1U);
  EXPECT_EQ(requests.next_deadline(), kNever);
  const RequestCounts counts = requests.counts();
  EXPECT_EQ(counts.answered, 2U);
  EXPECT_EQ(counts.duplicate, 1U);
  EXPECT_EQ(counts.waiting, 0U);
}

TEST_F(RequestsTest, WhatIsLateAndWhatWasNeverAskedAreToldApart) {
  const Bytes slow = requests.begin(1, now + seconds(2));
  const Bytes slower = requests.begin(2, now + seconds(1));
  static_cast<void>(requests.begin(3, now + seconds(3)));
  EXPECT_EQ(requests.expire(now), Numbers{});
  EXPECT_EQ(requests.expire(now + seconds(2)), (Numbers{2, 1}))
      << "in the order of their deadlines";
  EXPECT_EQ(requests.answered(slow), std::nullopt);
  EXPECT_EQ(requests.answered(slower), std::nullopt);
  EXPECT_EQ(requests.answered(Bytes(Requests::kCorrelationSize)), std::nullopt);
  EXPECT_EQ(requests.answered({}), std::nullopt);
  EXPECT_TRUE(requests.give_up(3));
  EXPECT_FALSE(requests.give_up(3));
  const RequestCounts counts = requests.counts();
  EXPECT_EQ(counts.timed_out, 2U);
  EXPECT_EQ(counts.late, 2U);
  EXPECT_EQ(counts.unknown, 2U);
  EXPECT_EQ(counts.given_up, 1U);
}

TEST_F(RequestsTest, WhatWaitsAndWhatIsRememberedIsBounded) {
  std::vector<Bytes> asked;
  for (std::size_t i = 0; i < limits::kRequests; ++i) {
    ASSERT_FALSE(requests.full());
    asked.push_back(requests.begin(i, now));
  }
  EXPECT_TRUE(requests.full());
  EXPECT_EQ(requests.expire(now).size(), limits::kRequests);
  EXPECT_FALSE(requests.full());
  for (std::size_t i = 0; i < limits::kRequestsRemembered; ++i) {
    ASSERT_TRUE(requests.answered(requests.begin(i, now)));
  }
  EXPECT_EQ(requests.answered(asked.back()), std::nullopt);
  EXPECT_EQ(requests.counts().unknown, 1U) << "so long ago that it is forgotten";
}

}  // namespace
}  // namespace holdfast::flow
