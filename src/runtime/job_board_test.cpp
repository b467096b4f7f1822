// Goal:   what the updater has told is shown while it is there, and for a while after.
// Method: made-up times.
#include "runtime/job_board.h"

#include <gtest/gtest.h>

namespace holdfast::runtime {
namespace {

using std::chrono::seconds;

constexpr BootTime kNow{std::chrono::hours(1)};

JobsState doing(const std::string& words) {
  JobsState jobs;
  jobs.job = "update-7";
  jobs.words = words;
  return jobs;
}

TEST(JobBoard, ShowsNothingUntilSomebodyTells) {
  JobBoard board;
  board.leave(1, kNow);
  EXPECT_FALSE(board.view(kNow));
}

TEST(JobBoard, ForgetsAWhileAfterItsTellerHasGone) {
  JobBoard board;
  board.tell(1, doing("download"));
  board.leave(2, kNow);  // another connection
  EXPECT_FALSE(board.view(kNow + kJobsLinger)->gone);
  board.leave(1, kNow);
  ASSERT_TRUE(board.view(kNow + seconds(5)));
  EXPECT_EQ(board.view(kNow + seconds(5))->gone, Milliseconds(5000));
  EXPECT_EQ(board.view(kNow + seconds(5))->jobs.words, "download");
  EXPECT_TRUE(board.view(kNow + kJobsLinger - seconds(1)));
  EXPECT_FALSE(board.view(kNow + kJobsLinger));
  EXPECT_FALSE(board.view(kNow));
}

TEST(JobBoard, ANewTellerIsTheOnlyOne) {
  JobBoard board;
  board.tell(1, doing("download"));
  board.leave(1, kNow);
  board.tell(2, doing("install"));
  board.leave(1, kNow);
  const auto view = board.view(kNow + kJobsLinger);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->jobs.words, "install");
  EXPECT_FALSE(view->gone);
}

}  // namespace
}  // namespace holdfast::runtime
