// One direction of a connection: what arrives when, on virtual time.
#include "lab/fault/byte_faults.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "sim/seeded_random.h"

namespace holdfast::lab::fault {
namespace {

using namespace std::chrono_literals;

constexpr BootTime kStart{1000s};

struct Bytes : ::testing::Test {
  sim::SeededRandom random{1};
  ByteFaults faults{random};

  /// All pieces until nothing moves any more, with their times since the start.
  std::vector<std::pair<Duration, std::string>> pieces(std::size_t most = 100'000) {
    std::vector<std::pair<Duration, std::string>> all;
    BootTime now = kStart;
    while (faults.wake() != kNever && all.size() < most) {
      now = std::max(now, faults.wake());
      all.emplace_back(now - kStart, faults.take(now));
      EXPECT_FALSE(all.back().second.empty());
    }
    return all;
  }
  static std::string joined(const std::vector<std::pair<Duration, std::string>>& pieces) {
    std::string all;
    for (const auto& [at, bytes] : pieces) all += bytes;
    return all;
  }
};

TEST_F(Bytes, WithoutFaultsAllPassesAtOnce) {
  faults.push(kStart, "hello ");
  faults.push(kStart, "world");
  EXPECT_EQ(faults.wake(), kStart);
  EXPECT_EQ(faults.take(kStart), "hello world");
  EXPECT_EQ(faults.take(kStart), "");
  EXPECT_EQ(faults.wake(), kNever);
  EXPECT_TRUE(faults.idle());
  EXPECT_TRUE(faults.wants_reading());
  EXPECT_FALSE(faults.wants_reset());
}

TEST_F(Bytes, LatencyDelaysAndJitterKeepsTheOrder) {
  ByteSettings settings;
  settings.latency = 250ms;
  settings.jitter = 100ms;
  faults.set(kStart, settings);
  std::string sent;
  for (int i = 0; i < 100; ++i) {
    const std::string one = std::to_string(i) + " ";
    faults.push(kStart + i * 1ms, one);
    sent += one;
  }
  EXPECT_EQ(faults.take(kStart + 249ms), "");
  const auto got = pieces();
  EXPECT_EQ(joined(got), sent);
  EXPECT_GE(got.front().first, 250ms);
  EXPECT_LE(got.back().first, 449ms);
  EXPECT_GT(got.back().first, got.front().first);
}

TEST_F(Bytes, LessLatencyHoldsForWhatAlreadyWaits) {
  ByteSettings settings;
  settings.latency = 1h;
  faults.set(kStart, settings);
  faults.push(kStart, "late");
  faults.set(kStart + 1s, {});
  EXPECT_EQ(faults.take(kStart + 1s), "late");
}

TEST_F(Bytes, BandwidthIsKeptOverTime) {
  ByteSettings settings;
  settings.bytes_per_second = 1000;
  faults.set(kStart, settings);
  faults.push(kStart, std::string(5000, 'x'));
  const auto got = pieces();
  EXPECT_EQ(joined(got).size(), 5000U);
  EXPECT_EQ(got.size(), 100U);  // twenty steps a second
  EXPECT_EQ(got.back().first, 5s - 50ms);
}

TEST_F(Bytes, AByteASecondArrives) {
  ByteSettings settings;
  settings.bytes_per_second = 1;
  faults.set(kStart, settings);
  faults.push(kStart, "abc");
  const auto got = pieces();
  ASSERT_EQ(got.size(), 3U);
  EXPECT_EQ(got[2], std::pair(Duration(2s), std::string("c")));
}

TEST_F(Bytes, SlicesAreWrittenOneByOneWithPauses) {
  ByteSettings settings;
  settings.slice_bytes = 4;
  settings.slice_pause = 10ms;
  faults.set(kStart, settings);
  faults.push(kStart, "abcdefghij");
  const std::vector<std::pair<Duration, std::string>> expected{
      {0ms, "abcd"}, {10ms, "efgh"}, {20ms, "ij"}};
  EXPECT_EQ(pieces(), expected);
}

TEST_F(Bytes, ABlackHoleKeepsWhatCameForWhenItIsOver) {
  ByteSettings settings;
  settings.black_hole = true;
  faults.set(kStart, settings);
  faults.push(kStart, "lost?");
  EXPECT_EQ(faults.wake(), kNever);
  EXPECT_EQ(faults.take(kStart + 1h), "");
  EXPECT_FALSE(faults.idle());
  EXPECT_TRUE(faults.wants_reading());
  faults.set(kStart + 1h, {});
  EXPECT_EQ(faults.take(kStart + 1h), "lost?");
}

TEST_F(Bytes, AHealedBlackHoleDoesNotCatchUpOnBandwidth) {
  ByteSettings settings;
  settings.black_hole = true;
  settings.bytes_per_second = 1000;
  faults.set(kStart, settings);
  faults.push(kStart, std::string(5000, 'x'));
  settings.black_hole = false;
  faults.set(kStart + 1h, settings);
  EXPECT_EQ(faults.take(kStart + 1h).size(), 50U);
  EXPECT_EQ(faults.take(kStart + 1h), "");
}

TEST_F(Bytes, MemoryIsBoundedByNotReading) {
  ByteSettings settings;
  settings.black_hole = true;
  faults.set(kStart, settings);
  std::size_t pushes = 0;
  for (; faults.wants_reading(); ++pushes) faults.push(kStart, std::string(64 * 1024, 'x'));
  EXPECT_EQ(pushes, 16U);
  EXPECT_EQ(faults.queued(), ByteFaults::kQueueMax);
  faults.set(kStart, {});
  EXPECT_EQ(faults.take(kStart).size(), 64U * 1024);
  EXPECT_TRUE(faults.wants_reading());
}

TEST_F(Bytes, StopReadingStillDeliversWhatWasRead) {
  faults.push(kStart, "before");
  ByteSettings settings;
  settings.stop_reading = true;
  faults.set(kStart, settings);
  EXPECT_FALSE(faults.wants_reading());
  EXPECT_EQ(faults.take(kStart), "before");
  faults.set(kStart, {});
  EXPECT_TRUE(faults.wants_reading());
}

TEST_F(Bytes, CorruptsJustTheRangeOfTheConnection) {
  ByteSettings settings;
  settings.corrupt_from = 3;
  settings.corrupt_to = 6;
  faults.set(kStart, settings);
  faults.push(kStart, "0123");
  faults.push(kStart, "456789");
  const std::string got = faults.take(kStart);
  const std::string sent = "0123456789";
  ASSERT_EQ(got.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(got[i] != sent[i], i >= 3 && i < 6) << i;
  }
}

TEST_F(Bytes, CorruptsAboutOneInSoMany) {
  ByteSettings settings;
  settings.corrupt_one_in = 100;
  faults.set(kStart, settings);
  const std::string sent(100'000, 'x');
  faults.push(kStart, sent);
  const std::string got = joined(pieces());
  ASSERT_EQ(got.size(), sent.size());
  std::size_t wrong = 0;
  for (const char c : got) wrong += c != 'x' ? 1 : 0;
  EXPECT_GT(wrong, 800U);
  EXPECT_LT(wrong, 1200U);
}

TEST_F(Bytes, ResetsAfterExactlySoManyBytesSinceItWasSwitchedOn) {
  faults.push(kStart, "not counted");
  EXPECT_EQ(faults.take(kStart), "not counted");
  ByteSettings settings;
  settings.reset_after_bytes = 5;
  faults.set(kStart, settings);
  faults.push(kStart, "abc");
  EXPECT_EQ(faults.take(kStart), "abc");
  EXPECT_FALSE(faults.wants_reset());
  faults.set(kStart, settings);  // the same again does not count anew
  faults.push(kStart, "defgh");
  EXPECT_EQ(faults.take(kStart), "de");
  EXPECT_TRUE(faults.wants_reset());
  EXPECT_EQ(faults.take(kStart), "");
  EXPECT_EQ(faults.wake(), kNever);
}

TEST_F(Bytes, ResetsAtOnceAfterNoBytes) {
  ByteSettings settings;
  settings.reset_after_bytes = 0;
  faults.set(kStart, settings);
  EXPECT_TRUE(faults.wants_reset());
}

}  // namespace
}  // namespace holdfast::lab::fault
