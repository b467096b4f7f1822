// Goal: callbacks run in order on one thread, a blocking or throwing one harms nobody, and the end
// never waits for it beyond the deadline.
// Method: real threads, synchronised by promises; the real clock.
#include "runtime/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include "base/limits.h"
#include "posix/system.h"

namespace holdfast::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Fixture : ::testing::Test {
  std::shared_ptr<env::Clock> clock = posix::make_clock();
  std::mutex mutex;
  std::vector<std::string> lines;

  std::unique_ptr<Executor> make(Duration alarm) {
    return std::make_unique<Executor>(clock, alarm, [this](const LogLine& line) {
      const std::lock_guard lock(mutex);
      lines.push_back(line.text);
    });
  }
};
using ExecutorTest = Fixture;

TEST_F(ExecutorTest, RunsTasksInOrderAndAllOfThemBeforeStopReturns) {
  auto executor = make(seconds(60));
  std::vector<int> seen;
  std::vector<Executor::Task> tasks;
  for (int i = 0; i < 1000; ++i) tasks.emplace_back([&seen, i] { seen.push_back(i); });
  executor->post(std::move(tasks));
  EXPECT_TRUE(executor->stop(clock->now() + seconds(30)));
  ASSERT_EQ(seen.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
}

TEST_F(ExecutorTest, NoTaskIsForgottenWhileTheThreadFallsAsleep) {
  // Each task is posted the moment the one before has run, that is when the thread looks for more.
  auto executor = make(seconds(60));
  constexpr int kTasks = 5000;
  std::atomic<int> done{0};
  for (int i = 0; i < kTasks; ++i) {
    executor->post({[&done] {
      ++done;
      done.notify_one();
    }});
    done.wait(i);
  }
  EXPECT_EQ(done.load(), kTasks);
  EXPECT_TRUE(executor->stop(clock->now() + seconds(30)));
}

TEST_F(ExecutorTest, AThrowingCallbackIsReportedAndTheNextOneRuns) {
  auto executor = make(seconds(60));
  std::promise<void> ran;
  executor->post(
      {[] { throw std::runtime_error("application bug"); }, [&ran] { ran.set_value(); }});
  ran.get_future().wait();
  EXPECT_TRUE(executor->stop(clock->now() + seconds(30)));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("threw"), std::string::npos);
}

TEST_F(ExecutorTest, ASlowCallbackIsCountedWhenItReturns) {
  auto executor = make(Duration(0));
  std::promise<void> ran;
  executor->post({[&ran] { ran.set_value(); }});
  ran.get_future().wait();
  EXPECT_TRUE(executor->stop(clock->now() + seconds(30)));
  EXPECT_EQ(executor->slow_callbacks(), 1U);
}

TEST_F(ExecutorTest, ABlockedCallbackIsReportedWhileItBlocksAndAbandonedAtTheDeadline) {
  auto executor = make(Duration(0));
  std::promise<void> entered;
  std::promise<void> release;
  std::promise<void> left;
  executor->post({[&] {
    entered.set_value();
    release.get_future().wait();
    left.set_value();
  }});
  entered.get_future().wait();
  executor->post({[] {}});
  EXPECT_EQ(executor->slow_callbacks(), 1U);
  EXPECT_FALSE(executor->stop(clock->now() + milliseconds(20)));
  executor.reset();
  release.set_value();
  left.get_future().wait();
}

TEST_F(ExecutorTest, TheProofGrowsWithNothingToDoAndStandsStillWhileACallbackBlocks) {
  auto executor = make(seconds(60));
  const auto wait_for_more = [&](std::uint64_t than) {
    while (executor->prove() <= than) std::this_thread::yield();
  };
  wait_for_more(executor->prove());
  std::promise<void> entered;
  std::promise<void> release;
  executor->post({[&] {
    entered.set_value();
    release.get_future().wait();
  }});
  entered.get_future().wait();
  const std::uint64_t stuck = executor->prove();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(executor->prove(), stuck);
  release.set_value();
  wait_for_more(stuck + 1);
  EXPECT_TRUE(executor->stop(clock->now() + seconds(30)));
  const std::uint64_t last = executor->prove();
  EXPECT_EQ(executor->prove(), last);
}

TEST_F(ExecutorTest, DroppableTasksAreRefusedWhenTheQueueIsFull) {
  auto executor = make(seconds(60));
  std::promise<void> entered;
  std::promise<void> release;
  executor->post({[&] {
    entered.set_value();
    release.get_future().wait();
  }});
  entered.get_future().wait();
  std::size_t taken = 0;
  while (executor->post_droppable([] {})) ++taken;
  EXPECT_EQ(taken, limits::kExecutorQueue);
  release.set_value();
  EXPECT_TRUE(executor->stop(clock->now() + seconds(30)));
}

}  // namespace
}  // namespace holdfast::runtime
