// Goal: what is lost is left within the stated time, what is not is stayed with; the way back is
//       taken late, spread and, when it fails, undone at once.
// Method: the supervisor with several endpoints on virtual time, as the core drives it. Each
//         endpoint of World is what a test says it is; a run records where every attempt went.
#include "link/endpoints.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "link/endpoint_config.h"
#include "link/supervisor.h"
#include "sim/seeded_random.h"

namespace holdfast::link {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr BootTime kBegin{seconds(1000)};

Config config_with(std::size_t endpoints) {
  Config config;
  config.host = "a.example";
  config.client_id = "device-1";
  for (std::size_t i = 1; i < endpoints; ++i) {
    EndpointConfig one = endpoint_of(config);
    one.name = std::string(1, static_cast<char>('a' + i));
    one.host = one.name + ".example";
    config.endpoints.push_back(std::move(one));
  }
  return config;
}

/// Endpoints that answer as they are told to, and a supervisor that meets them.
class World {
 public:
  struct Attempt {
    BootTime at;
    std::size_t endpoint;
  };

  explicit World(const Config& config, std::uint64_t seed = 1)
      : config_(config), random_(seed), sup(config, random_) {
    state.resize(endpoint_count(config), Verdict::none);
  }

  void start() {
    sup.start();
    serve();
  }

  /// Lets time pass. What is under way ends when its time has come.
  void run_for(Duration time) {
    const BootTime end = now + time;
    for (;;) {
      const BootTime next = std::min({sup.next_wake(kNever), answer_at_, probe_at_});
      if (next > end) break;
      now = std::max(now, next);
      if (now >= answer_at_) {
        answer_at_ = kNever;
        answer();
      }
      if (now >= probe_at_) {
        probe_at_ = kNever;
        sup.probed(now, endpoint_name(config_, probed_), state[probed_]);
      }
      serve();
      if (::testing::Test::HasFatalFailure()) return;
    }
    now = end;
  }

  /// From now on this endpoint is so; a connection to it ends.
  void set(std::size_t endpoint, Verdict verdict, Duration noticed = {}) {
    state[endpoint] = verdict;
    if (!sup.up() || at_ != endpoint || verdict == Verdict::none) return;
    run_for(noticed);
    sup.on_down(now, sup.attempt(), {verdict, 0, "scripted"});
    serve();
  }

  [[nodiscard]] bool connected_to(std::size_t endpoint) const {
    return sup.up() && at_ == endpoint;
  }
  [[nodiscard]] std::size_t attempts_at(std::size_t endpoint, BootTime since) const {
    return static_cast<std::size_t>(std::count_if(
        attempts.begin(), attempts.end(),
        [&](const Attempt& one) { return one.endpoint == endpoint && one.at >= since; }));
  }
  [[nodiscard]] EndpointState seen(std::size_t endpoint) const {
    return sup.endpoints(now).all.at(endpoint);
  }

  BootTime now = kBegin;
  std::vector<Verdict> state;
  Duration trouble = seconds(10);  ///< A failing attempt takes so long.
  std::vector<Attempt> attempts;
  std::vector<BootTime> probes;
  std::vector<BootTime> disconnects;
  std::vector<std::string> remembered;
  std::vector<std::string> lines;

 private:
  void serve() {
    Orders orders = sup.service(now, kNever);
    if (orders.abort) answer_at_ = kNever;
    if (orders.disconnect) {
      disconnects.push_back(now);
      sup.on_down(now, sup.attempt(), {Verdict::none, 0, {}});
      orders = sup.service(now, kNever);
    }
    for (const LogLine& line : orders.log) lines.push_back(line.text);
    if (orders.remember) remembered.push_back(*orders.remember);
    if (orders.probe) {
      ASSERT_TRUE(sup.up()) << "a probe stands beside a connection";
      ASSERT_EQ(probe_at_, kNever) << "one at a time";
      probes.push_back(now);
      probed_ = orders.probe->endpoint;
      probe_at_ = now + milliseconds(100);
    }
    if (orders.connect) {
      attempts.push_back({now, orders.connect->endpoint});
      at_ = orders.connect->endpoint;
      ASSERT_EQ(orders.connect->host, config_of(config_, at_).host);
      answer_at_ = now + (state[at_] == Verdict::none ? Duration(milliseconds(50)) : trouble);
    }
    ASSERT_GT(sup.next_wake(kNever), now) << "a wake-up without progress would spin";
  }

  void answer() {
    if (state[at_] == Verdict::none) {
      sup.on_up(now, sup.attempt(), {});
    } else {
      sup.on_failed(now, sup.attempt(), {state[at_], 0, "scripted"});
    }
  }

  Config config_;
  sim::SeededRandom random_;
  BootTime answer_at_ = kNever;
  BootTime probe_at_ = kNever;
  std::size_t at_ = 0;
  std::size_t probed_ = 0;

 public:
  Supervisor sup;
};

TEST(EndpointsTest, the_first_one_is_used_while_it_works) {
  World world(config_with(3));
  world.start();
  world.run_for(hours(24));
  EXPECT_EQ(world.attempts.size(), 1U);
  EXPECT_TRUE(world.probes.empty());
  EXPECT_TRUE(world.remembered.empty()) << "a device with its first endpoint has nothing to note";
}

TEST(EndpointsTest, a_lost_region_is_left_when_its_time_is_over) {
  for (const Verdict verdict :
       {Verdict::tcp_refused, Verdict::tcp_timeout, Verdict::tls_failed, Verdict::not_authorized,
        Verdict::bad_credentials, Verdict::tls_client_refused, Verdict::server_gone,
        Verdict::mqtt_timeout, Verdict::tls_server_expired, Verdict::no_credentials}) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      World world(config_with(2), seed);
      world.start();
      world.run_for(minutes(10));
      const BootTime lost = world.now;
      world.set(0, verdict);
      world.run_for(seconds(65));
      ASSERT_TRUE(world.connected_to(1)) << to_string(verdict) << ", seed " << seed;
      const BootTime left = world.attempts.back().at;
      EXPECT_GE(left - lost, seconds(60)) << to_string(verdict);
      EXPECT_LE(left - lost, seconds(61)) << to_string(verdict);
      world.run_for(minutes(1));
      EXPECT_EQ(world.remembered, std::vector<std::string>{"b"});
    }
  }
}

TEST(EndpointsTest, the_time_in_which_silence_was_not_noticed_counts) {
  World world(config_with(2));
  world.start();
  world.run_for(minutes(10));
  const BootTime lost = world.now;
  world.set(0, Verdict::silent_peer, seconds(30));
  world.state[0] = Verdict::tcp_timeout;
  world.run_for(seconds(35));
  EXPECT_TRUE(world.connected_to(1));
  EXPECT_LE(world.attempts.back().at - lost, seconds(61));
}

TEST(EndpointsTest, what_is_the_devices_own_fault_moves_nobody) {
  for (const Verdict verdict : {Verdict::link_down, Verdict::tls_clock, Verdict::throttled,
                                Verdict::quota_exceeded, Verdict::id_taken_over}) {
    World world(config_with(3));
    world.start();
    world.run_for(minutes(10));
    const BootTime lost = world.now;
    world.set(0, verdict);
    world.run_for(hours(6));
    EXPECT_EQ(world.attempts_at(1, lost) + world.attempts_at(2, lost), 0U) << to_string(verdict);
    EXPECT_GT(world.attempts_at(0, lost), 5U) << to_string(verdict);
  }
}

TEST(EndpointsTest, a_link_that_is_down_for_a_while_costs_none_of_the_time) {
  Config config = config_with(2);
  config.timing.backoff_cap = seconds(5);
  World world(config);
  world.trouble = milliseconds(100);
  world.start();
  world.run_for(minutes(10));
  world.set(0, Verdict::tcp_timeout);
  world.run_for(seconds(40));
  world.state[0] = world.state[1] = Verdict::link_down;
  world.run_for(minutes(30));
  EXPECT_EQ(world.attempts_at(1, kBegin), 0U);
  world.state[0] = Verdict::tcp_timeout;
  world.state[1] = Verdict::none;
  world.sup.changed(world.now, Mend::network);
  const BootTime back = world.now;
  world.run_for(seconds(10));
  EXPECT_FALSE(world.connected_to(1)) << "the half hour was the link's";
  world.run_for(seconds(80));
  EXPECT_TRUE(world.connected_to(1)) << "and what counted before is not forgotten";
  EXPECT_GE(world.attempts.back().at, back + seconds(10));
}

TEST(EndpointsTest, names_that_lead_nowhere_are_looked_at_elsewhere_within_bounds) {
  for (const Verdict verdict : {Verdict::dns_failed, Verdict::dns_timeout, Verdict::no_route}) {
    World world(config_with(3));
    world.start();
    world.run_for(minutes(10));
    world.state[1] = world.state[2] = verdict;
    const BootTime lost = world.now;
    world.set(0, verdict);
    world.run_for(hours(2));
    const std::size_t elsewhere = world.attempts_at(1, lost) + world.attempts_at(2, lost);
    EXPECT_GT(elsewhere, 10U) << to_string(verdict);
    EXPECT_LE(elsewhere, 2U * 120U) << "no more than one look each after each failover.after";
    EXPECT_GT(world.attempts_at(0, lost), elsewhere / 2) << "home is tried further";
    EXPECT_EQ(world.sup.endpoints(world.now).changes, 0U);
    // ... and it was this one's name after all.
    world.state[2] = Verdict::none;
    world.run_for(minutes(6));
    EXPECT_TRUE(world.connected_to(2)) << to_string(verdict);
  }
}

TEST(EndpointsTest, when_all_fail_each_has_its_turn_and_nobody_is_hammered) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    World world(config_with(4), seed);
    world.trouble = milliseconds(20);
    world.start();
    world.run_for(minutes(10));
    std::fill(world.state.begin(), world.state.end(), Verdict::tcp_refused);
    const BootTime lost = world.now;
    world.set(0, Verdict::tcp_refused);
    world.run_for(hours(3));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_GT(world.attempts_at(i, lost), 15U) << i;
    for (std::size_t i = 1; i < world.attempts.size(); ++i) {
      ASSERT_GE(world.attempts[i].at - world.attempts[i - 1].at, kAttemptGap);
    }
    const auto late = static_cast<std::size_t>(
        std::count_if(world.attempts.begin(), world.attempts.end(),
                      [&](const auto& one) { return one.at >= lost + hours(2); }));
    EXPECT_LE(late, 110U) << "in an hour, with a cap of 120 s and full jitter";
    world.state[3] = Verdict::none;
    world.run_for(minutes(10));
    EXPECT_TRUE(world.connected_to(3));
  }
}

TEST(EndpointsTest, one_that_lets_in_and_throws_out_is_lost_too) {
  World world(config_with(2));
  world.start();
  world.run_for(minutes(10));
  const BootTime lost = world.now;
  for (int i = 0; i < 100 && !world.connected_to(1); ++i) {
    if (world.connected_to(0)) {
      world.sup.on_down(world.now, world.sup.attempt(), {Verdict::server_gone, 0, "scripted"});
    }
    world.run_for(seconds(1));
  }
  EXPECT_TRUE(world.connected_to(1));
  EXPECT_LE(world.now - lost, minutes(2));
}

TEST(EndpointsTest, a_server_that_hangs_up_on_us_alone_is_there) {
  World world(config_with(2));
  world.start();
  world.run_for(minutes(10));
  for (int i = 0; i < 20; ++i) {
    while (!world.connected_to(0)) world.run_for(seconds(1));
    world.sup.on_down(world.now, world.sup.attempt(), {Verdict::server_gone, 0, ""}, true);
    world.run_for(seconds(20));
    ASSERT_EQ(world.attempts.back().endpoint, 0U);
  }
  // But the time since then counts when it is gone.
  while (!world.connected_to(0)) world.run_for(seconds(1));
  const BootTime gone = world.now;
  world.state[0] = Verdict::tcp_timeout;
  world.sup.on_down(world.now, world.sup.attempt(), {Verdict::server_gone, 0, ""}, true);
  world.run_for(seconds(65));
  EXPECT_TRUE(world.connected_to(1));
  EXPECT_LE(world.attempts.back().at - gone, seconds(62));
}

TEST(EndpointsTest, a_restart_begins_where_the_last_run_was_stable) {
  World world(config_with(3));
  world.sup.start_at("c");
  world.start();
  world.run_for(minutes(1));
  EXPECT_TRUE(world.connected_to(2));
  EXPECT_EQ(world.attempts.size(), 1U);
  World strange(config_with(3));
  strange.sup.start_at("elsewhere");
  strange.start();
  strange.run_for(minutes(1));
  EXPECT_TRUE(strange.connected_to(0)) << "a name of another list is none";
}

/// Away from the first, which is well again from now on.
World away(const Config& config, std::uint64_t seed = 1) {
  World world(config, seed);
  world.start();
  world.run_for(minutes(10));
  world.set(0, Verdict::tcp_refused);
  world.run_for(minutes(5));
  EXPECT_TRUE(world.connected_to(1));
  world.state[0] = Verdict::none;
  return world;
}

TEST(EndpointsTest, the_first_is_returned_to_when_it_has_been_well_for_long_enough) {
  World world = away(config_with(2));
  const BootTime well = world.now;
  world.run_for(minutes(10));
  EXPECT_TRUE(world.connected_to(1)) << "not before failback.healthy_for";
  world.run_for(minutes(2));
  ASSERT_TRUE(world.connected_to(0));
  EXPECT_EQ(world.disconnects.size(), 1U) << "the other one was left in order";
  EXPECT_GE(world.attempts.back().at, world.disconnects.front());
  EXPECT_LE(world.attempts.back().at - well, minutes(12));
  EXPECT_GE(world.probes.size(), 10U);
  world.run_for(minutes(1));
  EXPECT_EQ(world.remembered, (std::vector<std::string>{"b", "primary"}));
  EXPECT_EQ(world.sup.endpoints(world.now).changes, 2U);
}

TEST(EndpointsTest, a_bad_probe_begins_the_wait_anew) {
  World world = away(config_with(2));
  world.run_for(minutes(9));
  world.state[0] = Verdict::tls_failed;
  world.run_for(minutes(2));
  EXPECT_EQ(world.seen(0).well_for.count(), 0);
  world.state[0] = Verdict::none;
  world.run_for(minutes(9));
  EXPECT_TRUE(world.connected_to(1));
  world.run_for(minutes(4));
  EXPECT_TRUE(world.connected_to(0));
}

TEST(EndpointsTest, a_return_that_fails_is_undone_at_once_and_tried_ever_later) {
  World world = away(config_with(2));
  std::vector<BootTime> tries;
  // Probes find it well, and yet it lets nobody in.
  bool probing = true;
  world.trouble = milliseconds(100);
  for (int i = 0; i < 24 * 3600; ++i) {
    const std::size_t before = world.attempts.size();
    world.run_for(seconds(1));
    if (world.attempts.size() == before || !probing) continue;
    if (world.attempts[before].endpoint != 0) continue;
    tries.push_back(world.now);
    if (world.connected_to(0)) {
      world.sup.on_down(world.now, world.sup.attempt(), {Verdict::not_authorized, 0, "scripted"});
    }
    world.run_for(seconds(3));
    ASSERT_TRUE(world.connected_to(1)) << "back at once";
  }
  ASSERT_GE(tries.size(), 4U);
  for (std::size_t i = 2; i < tries.size(); ++i) {
    EXPECT_GT(tries[i] - tries[i - 1], (tries[i - 1] - tries[i - 2]) * 3 / 2) << i;
  }
  EXPECT_LE(tries.size(), 9U);
}

TEST(EndpointsTest, no_return_where_nobody_wants_it) {
  Config config = config_with(2);
  config.failback.automatic = false;
  World world = away(config);
  world.run_for(hours(48));
  EXPECT_TRUE(world.connected_to(1));
  EXPECT_TRUE(world.probes.empty());
}

TEST(EndpointsTest, a_change_of_the_list_keeps_what_is_known_by_name) {
  Config config = config_with(3);
  World world = away(config);
  std::swap(config.endpoints[0], config.endpoints[1]);  // b is the third now
  world.sup.reconfigure(world.now, config);
  EXPECT_TRUE(world.sup.up()) << "the connection is as good as before";
  EXPECT_EQ(world.sup.connection(world.now).endpoint_name, "b");
  config.endpoints.pop_back();
  world.sup.reconfigure(world.now, config);
  Orders orders = world.sup.service(world.now, kNever);
  EXPECT_TRUE(orders.disconnect) << "the endpoint in use is gone";
}

TEST(EndpointsTest, a_better_one_that_comes_with_a_reload_is_probed_and_returned_to) {
  Config config = config_with(2);
  config.failback.automatic = false;
  World world = away(config);
  world.run_for(hours(1));
  EXPECT_TRUE(world.probes.empty());
  config.failback.automatic = true;
  world.sup.reconfigure(world.now, config);
  world.run_for(minutes(13));
  EXPECT_TRUE(world.connected_to(0));
}

TEST(EndpointsTest, the_return_of_a_fleet_stays_below_the_quota) {
  struct Case {
    std::uint32_t fleet;
    std::uint32_t quota;
  };
  for (const Case& one : {Case{100'000, 100}, Case{100'000, 3000}, Case{1000, 10}, Case{50, 1}}) {
    const Duration spread = return_spread(one.fleet, one.quota);
    sim::SeededRandom random(7);
    std::map<std::int64_t, std::uint32_t> seconds_of;
    std::uint32_t worst = 0;
    for (std::uint32_t i = 0; i < one.fleet; ++i) {
      const std::uint64_t at = random.below(static_cast<std::uint64_t>(spread.count()));
      worst = std::max(worst, ++seconds_of[static_cast<std::int64_t>(at / 1'000'000'000)]);
    }
    if (one.quota > 1) {
      EXPECT_LE(worst, one.quota) << one.fleet << " devices, quota " << one.quota;
    }
    EXPECT_LE(spread, seconds(one.fleet) * 20 / one.quota) << "and is not endless";
  }
  EXPECT_LT(return_spread(1, 100), seconds(1)) << "a single device need not wait";
}

TEST(EndpointsTest, the_healthiest_is_tried_first) {
  World world(config_with(3));
  world.start();
  world.run_for(minutes(10));
  world.state[1] = Verdict::tcp_refused;
  world.set(0, Verdict::tcp_refused);
  world.run_for(minutes(3));
  ASSERT_TRUE(world.connected_to(2));
  EXPECT_LT(world.seen(1).health, world.seen(2).health);
  world.run_for(minutes(5));
  world.state[0] = Verdict::none;
  world.run_for(minutes(3));  // probes find that the first is well again
  const BootTime lost = world.now;
  world.set(2, Verdict::tcp_refused);
  world.run_for(seconds(65));
  EXPECT_TRUE(world.connected_to(0));
  EXPECT_EQ(world.attempts_at(1, lost), 0U);
}

}  // namespace
}  // namespace holdfast::link
