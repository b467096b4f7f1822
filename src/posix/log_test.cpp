// Goal:   log lines have their form, and a flood is cut with a count.
// Method: the limiter and the format are pure; the sink is read back through a pipe in place of
//         standard error.
#include "posix/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "posix/unique_fd.h"

namespace holdfast::posix {
namespace {

using std::chrono::seconds;

TEST(LogFormat, IsJournaldsOrReadable) {
  const WallTime time{1795391999123};
  EXPECT_EQ(utc_stamp(time), "2026-11-22T23:59:59.123Z");
  EXPECT_EQ(utc_stamp(WallTime{-1}), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(format_line(Severity::info, "text", time, false),
            "2026-11-22T23:59:59.123Z info    text");
  EXPECT_EQ(format_line(Severity::error, "text", time, true), "<3>text");
  EXPECT_EQ(format_line(Severity::warning, "text", time, true), "<4>text");
  EXPECT_EQ(format_line(Severity::info, "text", time, true), "<6>text");
  EXPECT_EQ(format_line(Severity::debug, "text", time, true), "<7>text");
}

TEST(LogFormat, KeepsALineOneLine) {
  EXPECT_EQ(format_line(Severity::info, "a\nb\tc\x1b[0md", WallTime{}, true), "<6>a b c [0md");
  EXPECT_EQ(format_line(Severity::info, "größer", WallTime{}, true), "<6>größer");
}

TEST(BurstLimiter, PassesTheBurstThenCounts) {
  BurstLimiter limiter;
  const BootTime start{seconds(1000)};
  for (unsigned i = 0; i < limits::kLogBurst; ++i) EXPECT_TRUE(limiter.admit(7, start).pass);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(limiter.admit(7, start).pass);
  EXPECT_TRUE(limiter.admit(8, start).pass) << "another kind is not concerned";
  const auto later = limiter.admit(7, start + seconds(60));
  EXPECT_TRUE(later.pass);
  EXPECT_EQ(later.suppressed, 10U);
  EXPECT_EQ(limiter.admit(7, start + seconds(60)).suppressed, 0U) << "told once";
}

TEST(BurstLimiter, RefillsWithinAMinuteAndNotBeyondTheBurst) {
  BurstLimiter limiter;
  BootTime now{seconds(1000)};
  const auto passed_at = [&](BootTime time) {
    unsigned passed = 0;
    for (unsigned i = 0; i < 3 * limits::kLogBurst; ++i) passed += limiter.admit(7, time).pass;
    return passed;
  };
  EXPECT_EQ(passed_at(now), limits::kLogBurst);
  EXPECT_EQ(passed_at(now += seconds(30)), limits::kLogBurst / 2);
  EXPECT_EQ(passed_at(now += seconds(3600)), limits::kLogBurst);
}

// Field lesson 56.
TEST(BurstLimiter, BoundsTheSumOfManyKindsAndLosesNoCount) {
  BurstLimiter limiter;
  const BootTime now{seconds(1000)};
  std::uint64_t passed = 0;
  std::uint64_t told = 0;
  constexpr std::uint64_t kLines = 50'000;
  for (std::uint64_t i = 0; i < kLines; ++i) {
    const auto answer = limiter.admit(1 + i, now);
    passed += answer.pass ? 1U : 0U;
    told += answer.suppressed;
  }
  EXPECT_EQ(passed, BurstLimiter::kTotalBurst);
  EXPECT_EQ(passed + told + limiter.take_suppressed(), kLines);
}

TEST(LogKind, IsTheSameWhenOnlyDigitsDiffer) {
  EXPECT_EQ(kind_of_line(Severity::info, "retry 1 in 250 ms"),
            kind_of_line(Severity::info, "retry 17 in 9 ms"));
  EXPECT_NE(kind_of_line(Severity::info, "retry"), kind_of_line(Severity::error, "retry"));
  EXPECT_NE(kind_of_line(Severity::info, "retry"), kind_of_line(Severity::info, "return"));
}

/// Standard error goes into a pipe while this lives.
class CapturedStderr {
 public:
  CapturedStderr() : before_(::dup(STDERR_FILENO)) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    out_.reset(ends[0]);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[1]);
  }
  ~CapturedStderr() { ::dup2(before_.get(), STDERR_FILENO); }
  CapturedStderr(const CapturedStderr&) = delete;
  CapturedStderr& operator=(const CapturedStderr&) = delete;

  std::string text() const {
    std::string all;
    char block[4096];
    ssize_t got = 0;
    while ((got = ::read(out_.get(), block, sizeof(block))) > 0) {
      all.append(block, static_cast<std::size_t>(got));
    }
    return all;
  }

 private:
  UniqueFd before_;
  UniqueFd out_;
};

enum class OtherLevel : std::uint8_t { error, warning, info, debug };

// Field lesson 56.
TEST(StderrLog, WritesWhatIsSevereEnoughAndSuppressesFloods) {
  ::setenv("JOURNAL_STREAM", "8:1", 1);
  const StderrLog log(Severity::info);
  ::unsetenv("JOURNAL_STREAM");
  std::string text;
  {
    const CapturedStderr captured;
    log(OtherLevel::debug, "unseen");
    log(OtherLevel::warning, "seen");
    log.set_most(Severity::debug);
    log(OtherLevel::debug, "now seen");
    for (unsigned i = 0; i < limits::kLogBurst + 7; ++i) {
      log.write(Severity::error, "flood " + std::to_string(i));
    }
    log.flush();
    text = captured.text();
  }
  EXPECT_EQ(text.rfind("<4>seen\n<7>now seen\n<3>flood 0\n", 0), 0U) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2 + limits::kLogBurst + 1);
  EXPECT_NE(text.find("<4>7 more lines suppressed\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace holdfast::posix
