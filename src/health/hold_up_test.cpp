// Goal:   a hold-up time that the disk cannot keep is refused, with a limit that would do.
#include "health/hold_up.h"

#include <gtest/gtest.h>

namespace holdfast::health {
namespace {

constexpr std::size_t kMiB = std::size_t{1024} * 1024;
constexpr DiskPace kCard{8.0 * kMiB, 20};  // an SD card's

TEST(HoldUp, WithoutAWishNothingIsWrong) {
  EXPECT_EQ(hold_up_problem(64 * kMiB, kCard, Milliseconds(0)), "");
}

TEST(HoldUp, WhatTheDiskCanKeepIsTaken) {
  // 2.5 MiB at 8 MiB/s and three syncs, twice: 745 ms.
  EXPECT_EQ(hold_up_of(kMiB, kCard, Milliseconds(1000)).needed, Milliseconds(745));
  EXPECT_EQ(hold_up_problem(kMiB, kCard, Milliseconds(745)), "");
}

TEST(HoldUp, WhatItCannotKeepIsRefusedWithALimitThatWouldDo) {
  EXPECT_EQ(
      hold_up_problem(kMiB, kCard, Milliseconds(500)),
      "power.hold_up: 500 ms are too short: 2560 KiB may wait in RAM (limits.memory), and this "
      "disk takes 745 ms for them, with a margin (8192 KiB/s, slowest sync 20 ms); set "
      "limits.memory to 622KiB or less, or take a larger capacitor");
  const std::size_t memory = hold_up_of(kMiB, kCard, Milliseconds(500)).memory;
  EXPECT_EQ(hold_up_problem(memory, kCard, Milliseconds(500)), "");
}

TEST(HoldUp, WhereNothingWouldDoItSaysSo) {
  EXPECT_NE(hold_up_problem(kMiB, {8.0 * kMiB, 200}, Milliseconds(500))
                .find("no limits.memory is small enough"),
            std::string::npos);
  EXPECT_NE(hold_up_problem(kMiB, {0, 0}, Milliseconds(500)).find("no limits.memory"),
            std::string::npos);
}

}  // namespace
}  // namespace holdfast::health
