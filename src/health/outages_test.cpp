// Goal:   each outage is told once, with what happened in it, and a flapping link fills no disk.
// Method: states by hand, on a clock by hand.
#include "health/outages.h"

#include <gtest/gtest.h>

#include <vector>

namespace holdfast::health {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class Bench {
 public:
  /// The state after `passed`, and what was told of it.
  std::optional<Outage> look(Duration passed, LinkState link, Verdict verdict = Verdict::none) {
    now_ += passed;
    state.connection.state = link;
    if (verdict != state.connection.verdict && verdict != Verdict::none) count(verdict);
    state.connection.verdict = verdict;
    return outages_.look(
        now_,
        WallTime{std::chrono::duration_cast<milliseconds>(now_.time_since_epoch()).count() +
                 wall_offset_ms},
        state);
  }
  void count(Verdict verdict) { ++state.verdicts.at(static_cast<std::size_t>(verdict)); }

  DeviceState state;
  std::int64_t wall_offset_ms = 1'000'000;

 private:
  BootTime now_{hours(1)};
  Outages outages_;
};

std::uint64_t times(const Outage& outage, Verdict verdict) {
  return outage.verdicts.at(static_cast<std::size_t>(verdict));
}

TEST(Outages, AShortOneIsToldAtItsEnd) {
  Bench bench;
  EXPECT_FALSE(bench.look(seconds(0), LinkState::connecting, Verdict::not_started));
  EXPECT_FALSE(bench.look(seconds(1), LinkState::connected)) << "at the start everyone is away";
  bench.state.attempts_total = 1;
  bench.state.ledger.accepted = 10;
  bench.state.connection.detail = "reset";
  EXPECT_FALSE(bench.look(minutes(5), LinkState::waiting, Verdict::server_gone));
  bench.state.attempts_total = 3;
  bench.state.ledger.accepted = 17;
  bench.state.ledger.dropped[0] = 2;
  bench.state.ledger.pending = 5;
  bench.state.connection.detail = "refused";
  EXPECT_FALSE(bench.look(seconds(2), LinkState::waiting, Verdict::tcp_refused));
  const auto told = bench.look(seconds(3), LinkState::connected);
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->over);
  EXPECT_EQ(told->lasted, seconds(5));
  EXPECT_EQ(told->began.ms, (3600 + 1 + 300) * 1000 + 1'000'000);
  EXPECT_EQ(told->first, Verdict::server_gone);
  EXPECT_EQ(times(*told, Verdict::server_gone), 1U);
  EXPECT_EQ(times(*told, Verdict::tcp_refused), 1U);
  EXPECT_EQ(told->detail, "refused");
  EXPECT_EQ(told->attempts, 2U);
  EXPECT_EQ(told->accepted, 7U);
  EXPECT_EQ(told->dropped, 2U);
  EXPECT_EQ(told->waiting, 5U);
  EXPECT_FALSE(bench.look(seconds(1), LinkState::connected)) << "once";
}

TEST(Outages, ALongOneIsToldWhileItLastsAndAtItsEnd) {
  Bench bench;
  static_cast<void>(bench.look(seconds(0), LinkState::connected));
  EXPECT_FALSE(bench.look(seconds(1), LinkState::waiting, Verdict::silent_peer));
  EXPECT_FALSE(
      bench.look(kOutageLasts - milliseconds(1), LinkState::connecting, Verdict::silent_peer));
  const auto lasting = bench.look(milliseconds(1), LinkState::waiting, Verdict::silent_peer);
  ASSERT_TRUE(lasting);
  EXPECT_FALSE(lasting->over);
  EXPECT_EQ(lasting->first, Verdict::silent_peer);
  EXPECT_FALSE(bench.look(hours(1), LinkState::waiting, Verdict::tcp_timeout));
  const auto over = bench.look(hours(1), LinkState::connected);
  ASSERT_TRUE(over && over->over);
  EXPECT_EQ(over->lasted, hours(2) + kOutageLasts);
  EXPECT_EQ(over->began, lasting->began);
}

TEST(Outages, AtTheStartOnlyWhatLastsIsOne) {
  Bench bench;
  EXPECT_FALSE(bench.look(seconds(0), LinkState::idle, Verdict::not_started));
  EXPECT_FALSE(bench.look(seconds(3), LinkState::waiting, Verdict::dns_failed));
  const auto lasting = bench.look(seconds(7), LinkState::waiting, Verdict::dns_failed);
  ASSERT_TRUE(lasting);
  EXPECT_EQ(times(*lasting, Verdict::dns_failed), 1U);
}

TEST(Outages, ItsBeginningIsReckonedByTheClockAtItsEnd) {
  Bench bench;
  bench.wall_offset_ms = 0;  // 1970
  static_cast<void>(bench.look(seconds(0), LinkState::connected));
  static_cast<void>(bench.look(seconds(60), LinkState::waiting, Verdict::tls_clock));
  bench.wall_offset_ms = 1'000'000'000;
  const auto over = bench.look(seconds(5), LinkState::connected);
  ASSERT_TRUE(over);
  EXPECT_EQ(over->began.ms, (3600 + 60) * 1000 + 1'000'000'000);
}

TEST(Outages, LeavingIsNone) {
  Bench bench;
  static_cast<void>(bench.look(seconds(0), LinkState::connected));
  EXPECT_FALSE(bench.look(seconds(1), LinkState::stopping));
  EXPECT_FALSE(bench.look(hours(1), LinkState::stopped));
}

TEST(Outages, AFlappingLinkIsToldWithinBoundsAndTheRestCounted) {
  Bench bench;
  static_cast<void>(bench.look(seconds(0), LinkState::connected));
  std::uint64_t told = 0;
  std::uint64_t left_out = 0;
  constexpr int kFlaps = 3600;
  for (int flap = 0; flap < kFlaps; ++flap) {  // two hours
    EXPECT_FALSE(bench.look(seconds(1), LinkState::waiting, Verdict::server_gone));
    if (const auto outage = bench.look(seconds(1), LinkState::connected)) {
      ++told;
      left_out += outage->left_out;
    }
  }
  EXPECT_GE(told, 2 * kOutagesPerHour);
  EXPECT_LE(told, 3 * kOutagesPerHour + 1) << "a full bucket, and what came in within two hours";
  EXPECT_GE(told + left_out, static_cast<std::uint64_t>(kFlaps) - 60) << "but for the last ones";
}

}  // namespace
}  // namespace holdfast::health
