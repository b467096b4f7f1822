// Goal:   so many ends within a time that nobody has wanted are a crash loop; stops, reboots and
// power
//         cuts are none; a loop is left after a while, and found again at once if it goes on; a
//         torn record does no harm.
// Method: pure; the test is the machine, its disk and the clock.
#include "health/crash_loop.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast::health {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using Turn = CrashLoop::Turn;

struct CrashLoopTest : ::testing::Test {
  Config::SafeMode rules{3, Seconds(600), Seconds(1800)};
  std::string disk;
  std::string boot = "0123456789abcdef0123456789abcdef";
  BootTime now{seconds(1000)};

  CrashLoop start() {
    now += seconds(5);
    CrashLoop loop(rules, disk, boot, now);
    disk = loop.text();
    return loop;
  }
  void stop(CrashLoop& loop) {
    loop.end();
    disk = loop.text();
  }
  void reboot() {
    boot[0] = boot[0] == '0' ? '1' : '0';
    now = BootTime(seconds(20));
  }
  Turn look_when_due(CrashLoop& loop) {
    now = std::max(now, loop.next_look());
    const Turn turn = loop.look(now);
    disk = loop.text();
    return turn;
  }
};

TEST_F(CrashLoopTest, SoManyCrashesWithinTheWindowAreALoop) {
  EXPECT_EQ(start().reason(), "");
  EXPECT_FALSE(start().reason() != "");
  EXPECT_EQ(start().reason(), "");
  EXPECT_EQ(start().reason(), "ended 3 times in 600 s without being stopped");
  EXPECT_NE(start().reason(), "") << "it crashes in safe mode, too";
}

TEST_F(CrashLoopTest, TwoEndsInSafeModeWhileItOpensTheOutboxAreBlamedOnIt) {
  for (int i = 0; i < 3; ++i) {
    CrashLoop usual = start();
    EXPECT_FALSE(usual.outbox_to_blame());
    EXPECT_NE(usual.text().find("run open\n"), std::string::npos);
  }
  CrashLoop safe = start();
  EXPECT_NE(safe.text().find("run opening\n"), std::string::npos);
  safe.opened();
  disk = safe.text();
  EXPECT_NE(disk.find("run open\n"), std::string::npos);
  EXPECT_FALSE(start().outbox_to_blame()) << "it was open";
  EXPECT_FALSE(start().outbox_to_blame()) << "once may be chance";
  CrashLoop blames = start();
  EXPECT_TRUE(blames.outbox_to_blame());
  EXPECT_TRUE(start().outbox_to_blame()) << "it was not out of the way yet";
  blames = start();
  blames.blamed();
  disk = blames.text();
  EXPECT_FALSE(blames.outbox_to_blame());
  EXPECT_FALSE(start().outbox_to_blame()) << "the new one is another";
  EXPECT_TRUE(start().outbox_to_blame());
}

TEST_F(CrashLoopTest, AStopOrAPowerCutWhileItOpensTheOutboxIsNotBlamedOnIt) {
  for (int i = 0; i < 4; ++i) static_cast<void>(start());
  CrashLoop stopped = start();
  EXPECT_NE(stopped.reason(), "");
  stop(stopped);
  CrashLoop cut = start();
  EXPECT_FALSE(cut.outbox_to_blame());
  reboot();
  EXPECT_FALSE(start().outbox_to_blame());
}

TEST_F(CrashLoopTest, CrashesThatAreFarApartAreNone) {
  for (int i = 0; i < 50; ++i) {
    now += seconds(301);
    EXPECT_EQ(start().reason(), "") << i;
  }
}

TEST_F(CrashLoopTest, AStopIsNoCrashButForgetsNone) {
  for (int i = 0; i < 20; ++i) {
    CrashLoop loop = start();
    EXPECT_FALSE(loop.crashed());
    EXPECT_EQ(loop.reason(), "");
    stop(loop);
  }
  start();  // crashes
  start();  // crashes
  CrashLoop loop = start();
  stop(loop);
  start();  // crashes
  EXPECT_NE(start().reason(), "");
}

TEST_F(CrashLoopTest, APowerCutIsNoCrash) {
  for (int i = 0; i < 20; ++i) {
    CrashLoop loop = start();
    EXPECT_FALSE(loop.crashed()) << i;
    EXPECT_EQ(loop.reason(), "");
    reboot();
  }
}

TEST_F(CrashLoopTest, ARebootDoesNotHideALoop) {
  start();
  start();
  start();  // two crashes so far; then the service manager restarts the machine
  reboot();
  EXPECT_EQ(start().reason(), "");
  EXPECT_NE(start().reason(), "");
}

TEST_F(CrashLoopTest, ACrashBeforeARebootIsAsOldAsTheBoot) {
  start();
  start();
  start();
  reboot();
  now = BootTime(seconds(600));
  EXPECT_EQ(start().reason(), "");
  EXPECT_EQ(start().reason(), "");
  EXPECT_EQ(start().reason(), "");
  EXPECT_NE(start().reason(), "");
}

TEST_F(CrashLoopTest, AStableRunForgetsItsCrashesAlsoForTheNextBoot) {
  start();
  start();
  CrashLoop loop = start();
  EXPECT_EQ(look_when_due(loop), Turn::stable);
  EXPECT_EQ(loop.next_look(), kNever);
  reboot();
  start();
  EXPECT_EQ(start().reason(), "");
}

TEST_F(CrashLoopTest, SafeModeIsLeftOnProbation) {
  for (int i = 0; i < 3; ++i) start();
  CrashLoop safe = start();
  ASSERT_NE(safe.reason(), "");
  EXPECT_EQ(safe.look(now + seconds(1799)), Turn::none);
  EXPECT_EQ(look_when_due(safe), Turn::leave);
  stop(safe);
  EXPECT_EQ(start().reason(), "") << "it is tried as usual";
  CrashLoop again = start();
  EXPECT_NE(again.reason(), "") << "and is back at once if that crashes";
  EXPECT_EQ(look_when_due(again), Turn::leave);
  stop(again);
  CrashLoop good = start();
  EXPECT_EQ(look_when_due(good), Turn::stable);
  EXPECT_EQ(start().reason(), "");
}

TEST_F(CrashLoopTest, WhoEndsItByHandIsBelieved) {
  for (int i = 0; i < 3; ++i) start();
  CrashLoop safe = start();
  safe.forget();
  stop(safe);
  EXPECT_EQ(start().reason(), "");
  EXPECT_EQ(start().reason(), "");
  EXPECT_EQ(start().reason(), "");
  EXPECT_NE(start().reason(), "");
}

TEST_F(CrashLoopTest, NobodyWhoDoesNotWantItHasIt) {
  rules.crashes = 0;
  for (int i = 0; i < 300; ++i) {
    CrashLoop loop = start();
    EXPECT_EQ(loop.reason(), "");
    EXPECT_LE(disk.size(), kCrashTextMax);
  }
}

TEST_F(CrashLoopTest, OneCrashMayBeEnough) {
  rules.crashes = 1;
  EXPECT_EQ(start().reason(), "");
  CrashLoop safe = start();
  EXPECT_NE(safe.reason(), "");
  EXPECT_EQ(look_when_due(safe), Turn::leave);
  stop(safe);
  EXPECT_EQ(start().reason(), "");
}

TEST_F(CrashLoopTest, ATornOrForeignTextCountsAsNone) {
  for (int i = 0; i < 3; ++i) start();
  const std::string whole = disk;
  ASSERT_NE(start().reason(), "");
  const auto damaged = [&](const std::string& text) {
    disk = text;
    const CrashLoop loop = start();
    return loop.damaged() && loop.reason().empty() && !loop.crashed();
  };
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const bool at_a_line = whole[size - 1] == '\n' && whole.substr(0, size).find("run") < size;
    EXPECT_EQ(damaged(whole.substr(0, size)), !at_a_line) << whole.substr(0, size);
  }
  EXPECT_TRUE(damaged(std::string(100'000, '\n')));
  EXPECT_TRUE(damaged(std::string("\0\xff", 2)));
  EXPECT_TRUE(damaged(whole + "crash -1\n"));
  EXPECT_TRUE(damaged(whole + "crash 99999999999999999999\n"));
  EXPECT_FALSE(damaged(whole + "crash 999999999999\n")) << "of the future: passed over";
  EXPECT_FALSE(damaged("")) << "a first start";
}

}  // namespace
}  // namespace holdfast::health
