// Goal:   poll(2) waits as long as it should, whatever the moment is.
#include "posix/poll_wait.h"

#include <gtest/gtest.h>

namespace holdfast::posix {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// A moment at the beginning of time once made the updater sleep for weeks.
TEST(PollWaitTest, AnyMomentIsWaitedForAsLongAsItTakes) {
  const BootTime now{std::chrono::hours(9)};
  EXPECT_EQ(poll_wait(kNever, now), -1);
  EXPECT_EQ(poll_wait(now, now), 0);
  EXPECT_EQ(poll_wait(now - milliseconds(1), now), 0);
  EXPECT_EQ(poll_wait(BootTime::min(), now), 0);
  EXPECT_EQ(poll_wait(now + microseconds(1), now), 1);
  EXPECT_EQ(poll_wait(now + milliseconds(250), now), 250);
  EXPECT_EQ(poll_wait(kNever - Duration(1), now), std::numeric_limits<int>::max());
}

}  // namespace
}  // namespace holdfast::posix
