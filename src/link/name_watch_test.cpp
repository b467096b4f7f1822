// Goal: a connection follows its name when it leads elsewhere for good, and nothing else moves it.
// Method: a name service that says what a test tells it, on virtual time.
#include "link/name_watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>

#include "sim/seeded_random.h"

namespace holdfast::link {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr BootTime kBegin{seconds(1000)};

Config config_with(Milliseconds every, std::uint32_t fleet = 1) {
  Config config;
  config.failover.follow_dns = every;
  config.failback.fleet_size = fleet;
  config.failback.connect_quota = 100;
  return config;
}

class Follower {
 public:
  explicit Follower(const Config& config, std::uint64_t seed = 1)
      : random_(seed), watch(config, random_) {
    connect();
  }

  void connect() { watch.up(now, "iot.example", says); }

  /// Until it wants to move, at most so long; when it did.
  std::optional<BootTime> run_for(Duration time) {
    const BootTime end = now + time;
    while (watch.next_wake() <= end) {
      now = std::max(now, watch.next_wake());
      const NameWatch::Decision decision = watch.service(now);
      if (decision.move) {
        EXPECT_FALSE(decision.say.empty());
        return now;
      }
      if (decision.look.empty()) continue;
      EXPECT_EQ(decision.look, "iot.example");
      ++looks;
      if (answers) watch.looked_up(now, "iot.example", says);
    }
    now = end;
    return std::nullopt;
  }

  BootTime now = kBegin;
  std::string says = "west.example";
  bool answers = true;
  int looks = 0;

 private:
  sim::SeededRandom random_;

 public:
  NameWatch watch;
};

TEST(NameWatch, AnotherNameSeenTwiceIsFollowed) {
  Follower follower(config_with(seconds(60)));
  EXPECT_FALSE(follower.run_for(hours(1)));
  EXPECT_EQ(follower.looks, 60);
  follower.says = "central.example";
  const BootTime changed = follower.now;
  const auto moved = follower.run_for(hours(1));
  ASSERT_TRUE(moved);
  EXPECT_LE(*moved - changed, seconds(60) + kConfirmAfter + seconds(1));
  EXPECT_FALSE(follower.run_for(hours(1))) << "it moves once, until it is connected again";
  follower.connect();
  EXPECT_FALSE(follower.run_for(hours(1))) << "it is there now";
}

TEST(NameWatch, FailuresAndGlimpsesAreNoNews) {
  Follower follower(config_with(seconds(60)));
  follower.says.clear();  // the name service fails
  EXPECT_FALSE(follower.run_for(hours(24)));
  follower.answers = false;  // it says nothing at all
  EXPECT_FALSE(follower.run_for(hours(24)));
  follower.answers = true;
  for (int i = 0; i < 100; ++i) {  // a servant that knows less than the others: one look in two
    follower.says = i % 2 == 0 ? "west.example" : "central.example";
    const int before = follower.looks;
    while (follower.looks == before) EXPECT_FALSE(follower.run_for(seconds(1)));
  }
}

TEST(NameWatch, WhoFlapsIsNotFollowedMoreThanOnceInTheGap) {
  Follower follower(config_with(seconds(10)));
  int moves = 0;
  for (int i = 0; i < 60; ++i) {  // another name every minute
    follower.says = i % 2 == 0 ? "central.example" : "west.example";
    const BootTime end = follower.now + minutes(1);
    while (follower.run_for(end - follower.now)) {
      ++moves;
      follower.connect();
    }
  }
  EXPECT_GE(moves, 1);
  EXPECT_LE(moves, hours(1) / kMoveGap + 1);
}

TEST(NameWatch, AFleetFollowsOverATimeThatItFillsEvenly) {
  const Config config = config_with(seconds(60), 10'000);
  Duration first = hours(9);
  Duration last{};
  for (std::uint64_t device = 0; device < 200; ++device) {
    Follower follower(config, device);
    follower.says = "central.example";
    const auto moved = follower.run_for(hours(2));
    ASSERT_TRUE(moved);
    first = std::min(first, *moved - kBegin);
    last = std::max(last, *moved - kBegin);
  }
  EXPECT_GT(last - first, minutes(2)) << "10,000 devices at fewer than 100 a second";
  EXPECT_LT(last, minutes(5));
}

TEST(NameWatch, WhatIsNotKnownAtFirstIsLearned) {
  Follower follower(config_with(seconds(60)));
  follower.watch.up(follower.now, "iot.example", "");  // an address of old was used
  EXPECT_FALSE(follower.run_for(hours(1)));
  follower.says = "central.example";
  EXPECT_TRUE(follower.run_for(hours(1)));
}

TEST(NameWatch, OffItLooksNothingUp) {
  Follower follower(config_with(Milliseconds(0)));
  EXPECT_FALSE(follower.run_for(hours(24)));
  EXPECT_EQ(follower.looks, 0);
  EXPECT_EQ(follower.watch.next_wake(), kNever);
}

TEST(NameWatch, AnAnswerOfAConnectionBeforeIsIgnored) {
  Follower follower(config_with(seconds(60)));
  follower.answers = false;
  while (follower.looks == 0) EXPECT_FALSE(follower.run_for(seconds(1)));
  follower.watch.down();
  follower.watch.looked_up(follower.now, "iot.example", "central.example");
  EXPECT_EQ(follower.watch.next_wake(), kNever);
  follower.connect();
  follower.watch.looked_up(follower.now, "iot.example", "central.example");  // not asked yet
  follower.answers = true;
  EXPECT_FALSE(follower.run_for(hours(1)));
}

}  // namespace
}  // namespace holdfast::link
