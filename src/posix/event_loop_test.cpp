// Goal:   the loop delivers what was asked for, in order, on its own thread, and nothing after it
//         has been cancelled or its owner is gone.
// Method: real timerfds, pipes and socket pairs; every wait ends by an event, never by a sleep.
#include "posix/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "posix/signals.h"
#include "posix/system.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {
namespace {

using std::chrono::milliseconds;

/// A loop that ends with a failure instead of hanging the test.
class EventLoopTest : public ::testing::Test {
 protected:
  void run() {
    guard_.arm_after(std::chrono::seconds(20), [this] {
      ADD_FAILURE() << "the event did not come";
      loop_.stop();
    });
    loop_.run();
    guard_.cancel();
  }

  EventLoop loop_;
  Timer guard_{loop_};
};

TEST_F(EventLoopTest, RunsPostedWorkInOrderAndNeverInsidePost) {
  std::string order;
  loop_.post([&] {
    loop_.post([&] {
      order += 'c';
      loop_.stop();
    });
    order += 'a';
  });
  loop_.post([&] { order += 'b'; });
  EXPECT_EQ(order, "");
  run();
  EXPECT_EQ(order, "abc");
}

TEST_F(EventLoopTest, KeepsRunningWhileIdleUntilAnotherThreadPosts) {
  std::thread::id ran_on;
  std::thread other([&] {
    loop_.post([&] {
      ran_on = std::this_thread::get_id();
      loop_.stop();
    });
  });
  run();
  other.join();
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(EventLoopTest, StopsFromAnotherThreadAndRunsAgain) {
  std::thread other([&] { loop_.stop(); });
  run();
  other.join();
  bool ran = false;
  loop_.post([&] {
    ran = true;
    loop_.stop();
  });
  run();
  EXPECT_TRUE(ran);
}

TEST_F(EventLoopTest, TimersFireInTheOrderOfTheirTimes) {
  Timer late(loop_);
  Timer early(loop_);
  Timer past(loop_);
  Timer never(loop_);
  std::string order;
  late.arm_after(milliseconds(20), [&] {
    order += 'l';
    loop_.stop();
  });
  early.arm_after(milliseconds(5), [&] { order += 'e'; });
  past.arm_at(BootTime{}, [&] { order += 'p'; });
  never.arm_at(kNever, [&] { order += 'n'; });
  run();
  EXPECT_EQ(order, "pel");
}

// Field lesson 5.
TEST_F(EventLoopTest, TimersFireOnTheBootClockAndNeverEarly) {
  const auto clock = make_clock();
  Timer timer(loop_);
  const BootTime wanted = clock->now() + milliseconds(30);
  BootTime fired{};
  timer.arm_at(wanted, [&] {
    fired = clock->now();
    loop_.stop();
  });
  run();
  EXPECT_GE(fired, wanted);
}

TEST_F(EventLoopTest, ArmingAgainAndCancellingDropTheEarlierAlarm) {
  Timer moved(loop_);
  Timer cancelled(loop_);
  std::optional<Timer> destroyed(std::in_place, loop_);
  Timer last(loop_);
  std::string order;
  moved.arm_after(milliseconds(1), [&] { order += '1'; });
  moved.arm_after(milliseconds(10), [&] { order += '2'; });
  cancelled.arm_after(milliseconds(2), [&] { order += 'c'; });
  cancelled.cancel();
  destroyed->arm_after(milliseconds(3), [&] { order += 'd'; });
  destroyed.reset();
  last.arm_after(milliseconds(15), [&] { loop_.stop(); });
  run();
  EXPECT_EQ(order, "2");
}

TEST_F(EventLoopTest, AnAlarmMayDestroyItsOwnTimerAndCancelOnesThatAreDue) {
  std::optional<Timer> first(std::in_place, loop_);
  Timer second(loop_);
  Timer last(loop_);
  std::string order;
  first->arm_at(BootTime{}, [&] {
    order += '1';
    first.reset();
    second.cancel();
  });
  second.arm_at(BootTime{}, [&] { order += '2'; });
  last.arm_after(milliseconds(5), [&] { loop_.stop(); });
  run();
  EXPECT_EQ(order, "1");
}

TEST_F(EventLoopTest, ATimerAlwaysDueDoesNotStarveTheLoop) {
  Timer busy(loop_);
  int turns = 0;
  std::function<void()> again = [&] {
    if (++turns == 3) loop_.post([&] { loop_.stop(); });
    busy.arm_at(BootTime{}, again);
  };
  busy.arm_at(BootTime{}, again);
  run();
  EXPECT_GE(turns, 3);
}

// With nothing left to wait for, the loop took itself for stopped, and the next run ended at once.
TEST(EventLoopEnd, RunsAgainWhereNothingElseWaitedWhenItStopped) {
  EventLoop loop;
  Timer timer(loop);
  for (int i = 0; i < 3; ++i) {
    bool fired = false;
    timer.arm_after(milliseconds(1), [&] {
      fired = true;
      loop.stop();
    });
    loop.run();
    EXPECT_TRUE(fired) << i;
  }
}

TEST(EventLoopEnd, ATimerMayOutliveItsLoop) {
  auto loop = std::make_unique<EventLoop>();
  Timer timer(*loop);
  bool fired = false;
  timer.arm_at(BootTime{}, [&] { fired = true; });
  loop.reset();
  timer.arm_at(BootTime{}, [&] { fired = true; });
  timer.cancel();
  EXPECT_FALSE(fired);
}

class FdWatchTest : public EventLoopTest {
 protected:
  void SetUp() override {
    int ends[2] = {-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ours_.reset(ends[0]);
    theirs_.reset(ends[1]);
  }
  UniqueFd ours_;
  UniqueFd theirs_;
};

TEST_F(FdWatchTest, TellsReadableOnceAndAgainWhenAskedAgain) {
  FdWatch watch(loop_, ours_.get());
  ASSERT_TRUE(watch.valid());
  std::vector<std::pair<bool, bool>> calls;
  FdWatch::Ready ready = [&](bool readable, bool writable) {
    calls.emplace_back(readable, writable);
    if (calls.size() == 2) {
      loop_.stop();
      return;
    }
    watch.want(true, false, ready);  // Not read yet: ready again at once.
  };
  watch.want(true, false, ready);
  loop_.post([&] { EXPECT_EQ(::write(theirs_.get(), "x", 1), 1); });
  run();
  EXPECT_EQ(calls, (std::vector<std::pair<bool, bool>>{{true, false}, {true, false}}));
}

TEST_F(FdWatchTest, AWishThatIsReplacedIsNotTold) {
  FdWatch watch(loop_, ours_.get());
  int reads = 0;
  watch.want(true, false, [&](bool, bool) { ++reads; });
  EXPECT_EQ(::write(theirs_.get(), "x", 1), 1);
  watch.want(false, true, [&](bool readable, bool writable) {
    EXPECT_FALSE(readable);
    EXPECT_TRUE(writable);
    loop_.post([&] { loop_.stop(); });
  });
  run();
  EXPECT_EQ(reads, 0);
}

TEST_F(FdWatchTest, HangUpCountsAsReadableAndTheOwnerMayCloseFirst) {
  FdWatch watch(loop_, ours_.get());
  bool told = false;
  watch.want(true, false, [&](bool readable, bool) {
    told = readable;
    loop_.stop();
  });
  ours_.reset();
  loop_.post([&] { theirs_.reset(); });
  run();
  EXPECT_TRUE(told);
}

TEST_F(FdWatchTest, NothingIsToldAfterDestruction) {
  std::optional<FdWatch> watch(std::in_place, loop_, ours_.get());
  bool told = false;
  watch->want(true, true, [&](bool, bool) { told = true; });
  EXPECT_EQ(::write(theirs_.get(), "x", 1), 1);
  watch.reset();
  Timer later(loop_);
  later.arm_after(milliseconds(5), [&] { loop_.stop(); });
  run();
  EXPECT_FALSE(told);
}

TEST_F(FdWatchTest, ACallbackMayDestroyItsWatch) {
  std::optional<FdWatch> watch(std::in_place, loop_, ours_.get());
  watch->want(false, true, [&](bool, bool) {
    watch.reset();
    loop_.stop();
  });
  run();
  EXPECT_FALSE(watch.has_value());
}

TEST_F(FdWatchTest, ARegularFileIsAlwaysReady) {
  const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(file);
  FdWatch watch(loop_, file.get());
  ASSERT_TRUE(watch.valid());
  bool told = false;
  watch.want(true, false, [&](bool readable, bool) {
    told = readable;
    loop_.stop();
  });
  run();
  EXPECT_TRUE(told);
}

TEST_F(FdWatchTest, ADescriptorThatIsNoneIsInvalidAndSilent) {
  FdWatch watch(loop_, -1);
  EXPECT_FALSE(watch.valid());
  bool told = false;
  watch.want(true, true, [&](bool, bool) { told = true; });
  loop_.post([&] { loop_.stop(); });
  run();
  EXPECT_FALSE(told);
}

TEST_F(EventLoopTest, SignalsComeOnTheLoopUntilTheirWatcherIsGone) {
  std::vector<int> seen;
  {
    Signals signals(loop_, [&](int signal) {
      seen.push_back(signal);
      if (signal == SIGHUP) ::raise(SIGTERM);
      if (signal == SIGTERM) ::raise(SIGINT);
      if (signal == SIGINT) loop_.stop();
    });
    loop_.post([] { ::raise(SIGHUP); });
    run();
  }
  EXPECT_EQ(seen, (std::vector<int>{SIGHUP, SIGTERM, SIGINT}));
}

TEST(Sigpipe, IsAnErrorAfterIgnoring) {
  ignore_sigpipe();
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ::close(ends[0]);
  EXPECT_EQ(::write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  ::close(ends[1]);
}

}  // namespace
}  // namespace holdfast::posix
