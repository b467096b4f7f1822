// Goal: a network manager's word hurries an attempt, or spares a useless one, and never keeps the
//       device away for longer than kSpareMost.
// Method: the advice alone, and a supervisor on virtual time that is served at each next_wake().
#include "link/network.h"

#include <gtest/gtest.h>

#include <vector>

#include "link/supervisor.h"
#include "sim/seeded_random.h"

namespace holdfast::link {
namespace {

using env::Failure;
using std::chrono::minutes;
using std::chrono::seconds;

NetworkState seen(Connectivity connectivity, std::string connection = "wan1") {
  NetworkState state;
  state.managed = true;
  state.connectivity = connectivity;
  state.connection = std::move(connection);
  state.device = state.connection;
  return state;
}

TEST(NetworkAdvice, NobodyAskedIsNoHindrance) {
  NetworkAdvice advice;
  EXPECT_FALSE(advice.hindrance());
  EXPECT_FALSE(advice.told({}));
  EXPECT_EQ(advice.understood({Verdict::tls_failed, 0, "x"}, false).verdict, Verdict::tls_failed);
  EXPECT_FALSE(advice.ask_again(BootTime(seconds(1)), Verdict::silent_peer));
}

TEST(NetworkAdvice, OnlyNoneAndPortalAreHindrances) {
  NetworkAdvice advice;
  for (const Connectivity way :
       {Connectivity::unknown, Connectivity::limited, Connectivity::full}) {
    static_cast<void>(advice.told(seen(way)));
    EXPECT_FALSE(advice.hindrance()) << to_string(way);
  }
  static_cast<void>(advice.told(seen(Connectivity::none)));
  EXPECT_EQ(advice.hindrance().value().verdict, Verdict::link_down);
  static_cast<void>(advice.told(seen(Connectivity::portal)));
  EXPECT_EQ(advice.hindrance().value().verdict, Verdict::captive_portal);
}

TEST(NetworkAdvice, AWayThatOpensIsWorthAnAttempt) {
  NetworkAdvice advice;
  EXPECT_FALSE(advice.told(seen(Connectivity::none, "")));
  EXPECT_TRUE(advice.told(seen(Connectivity::limited)));
  EXPECT_TRUE(advice.told(seen(Connectivity::full)));
  EXPECT_FALSE(advice.told(seen(Connectivity::full))) << "nothing has changed";
  EXPECT_TRUE(advice.told(seen(Connectivity::full, "wan2"))) << "another way";
  EXPECT_FALSE(advice.told(seen(Connectivity::portal, "wan2")));
  EXPECT_FALSE(advice.told({})) << "the manager is gone: nothing is known";
  EXPECT_FALSE(advice.hindrance());
}

TEST(NetworkAdvice, ChangesOfThePrimaryConnectionAreCounted) {
  NetworkAdvice advice;
  static_cast<void>(advice.told(seen(Connectivity::full, "wan1")));
  EXPECT_EQ(advice.counts().changes, 0U) << "the first one is none";
  static_cast<void>(advice.told(seen(Connectivity::full, "wan2")));
  static_cast<void>(advice.told(seen(Connectivity::none, "")));
  EXPECT_EQ(advice.counts().changes, 2U);
}

TEST(NetworkAdvice, WhatFailsBehindAPortalIsCalledByItsName) {
  NetworkAdvice advice;
  static_cast<void>(advice.told(seen(Connectivity::portal)));
  const Failure portal = advice.understood({Verdict::tls_server_untrusted, 0, "CN=login"}, false);
  EXPECT_EQ(portal.verdict, Verdict::captive_portal);
  EXPECT_NE(portal.detail.find("tls_server_untrusted, CN=login"), std::string::npos);
  // What only a broker says is the broker's.
  for (const Verdict own : {Verdict::not_authorized, Verdict::throttled, Verdict::id_taken_over}) {
    EXPECT_EQ(advice.understood({own, 0, ""}, false).verdict, own);
  }
  EXPECT_EQ(advice.understood({Verdict::server_gone, 0, ""}, false).verdict,
            Verdict::captive_portal);
  EXPECT_EQ(advice.understood({Verdict::server_gone, 0, ""}, true).verdict, Verdict::server_gone);
}

TEST(NetworkAdvice, AManagerThatTheNetworkProvesWrongIsNotBelievedUntilItChanges) {
  NetworkAdvice advice;
  static_cast<void>(advice.told(seen(Connectivity::none)));
  advice.up();
  EXPECT_FALSE(advice.hindrance());
  static_cast<void>(advice.told(seen(Connectivity::none, "other")));
  EXPECT_FALSE(advice.hindrance()) << "the same word as before";
  static_cast<void>(advice.told(seen(Connectivity::full)));
  static_cast<void>(advice.told(seen(Connectivity::none)));
  EXPECT_TRUE(advice.hindrance());
  // Somebody answers, so there is a network: it is only not this manager's.
  static_cast<void>(advice.understood({Verdict::tcp_refused, 0, ""}, false));
  EXPECT_FALSE(advice.hindrance());
}

TEST(NetworkAdvice, SilenceAsksForAFreshLookButNotTooOften) {
  NetworkAdvice advice;
  static_cast<void>(advice.told(seen(Connectivity::full)));
  const BootTime start(minutes(10));
  EXPECT_FALSE(advice.ask_again(start, Verdict::not_authorized));
  EXPECT_TRUE(advice.ask_again(start, Verdict::silent_peer));
  EXPECT_FALSE(advice.ask_again(start + kCheckGap - seconds(1), Verdict::tcp_timeout));
  EXPECT_TRUE(advice.ask_again(start + kCheckGap, Verdict::tcp_timeout));
  EXPECT_EQ(advice.counts().checks, 2U);
  static_cast<void>(advice.told(seen(Connectivity::none)));
  EXPECT_FALSE(advice.ask_again(start + 2 * kCheckGap, Verdict::dns_timeout)) << "no link";
}

/// A supervisor whose attempts all fail at once with `verdict`.
class Away {
 public:
  Away() : random_(7), sup_(config(), random_) {}

  void start() {
    sup_.start();
    serve();
  }
  void told(const NetworkState& state) {
    sup_.network(now, state);
    serve();
  }
  void run_for(Duration time) {
    const BootTime end = now + time;
    for (BootTime wake = sup_.next_wake(kNever); wake <= end; wake = sup_.next_wake(kNever)) {
      now = wake;
      serve();
    }
    now = end;
  }
  void insist() {
    sup_.reconnect_now(now);
    serve();
  }
  [[nodiscard]] ConnectionState connection() const { return sup_.connection(now); }
  [[nodiscard]] std::uint64_t spared() const { return sup_.advice().counts().spared; }

  Verdict verdict = Verdict::dns_failed;
  BootTime now{seconds(1000)};
  std::vector<BootTime> attempts;
  std::vector<std::string> lines;
  int checks = 0;

 private:
  static Config config() {
    Config config;
    config.host = "broker.example";
    config.client_id = "device-1";
    config.timing.backoff_cap = seconds(30);
    return config;
  }
  void serve() {
    for (bool again = true; again;) {
      Orders orders = sup_.service(now, kNever);
      if (orders.check_network) ++checks;
      for (LogLine& line : orders.log) lines.push_back(line.text);
      again = orders.connect.has_value();
      if (!again) return;
      attempts.push_back(now);
      sup_.on_failed(now, sup_.attempt(), Failure{verdict, 0, "scripted"});
    }
  }

  sim::SeededRandom random_;
  Supervisor sup_;
};

TEST(NetworkOfSupervisor, APortalSparesAttemptsForAWhileAndIsNamed) {
  Away away;
  away.start();
  away.told(seen(Connectivity::portal));
  away.run_for(minutes(4));
  ASSERT_EQ(away.attempts.size(), 1U);
  EXPECT_EQ(away.connection().verdict, Verdict::captive_portal);
  EXPECT_EQ(away.spared(), 1U);
  EXPECT_NE(away.lines.back().find("captive_portal: The network wants somebody to log in"),
            std::string::npos);
  away.run_for(minutes(56));
  ASSERT_EQ(away.attempts.size(), 13U) << "every five minutes, whatever it says";
  for (std::size_t i = 1; i < away.attempts.size(); ++i) {
    EXPECT_EQ(away.attempts[i] - away.attempts[i - 1], kSpareMost);
  }
}

TEST(NetworkOfSupervisor, AnAttemptIsMadeAtOnceWhenThePortalOpens) {
  Away away;
  away.start();
  away.told(seen(Connectivity::portal));
  away.run_for(minutes(2));
  ASSERT_EQ(away.attempts.size(), 1U);
  away.told(seen(Connectivity::full));
  ASSERT_EQ(away.attempts.size(), 2U);
  EXPECT_EQ(away.attempts.back(), away.now);
}

TEST(NetworkOfSupervisor, WhoeverInsistsGetsAnAttempt) {
  Away away;
  away.start();
  away.told(seen(Connectivity::none));
  away.run_for(minutes(2));
  ASSERT_EQ(away.attempts.size(), 1U);
  away.insist();
  ASSERT_EQ(away.attempts.size(), 2U);
  away.run_for(minutes(1));
  EXPECT_EQ(away.attempts.size(), 2U) << "the one after it is spared again";
}

TEST(NetworkOfSupervisor, AManagerThatGoesAwayHoldsNothingBack) {
  Away away;
  away.start();
  away.told(seen(Connectivity::none));
  away.run_for(minutes(6));
  const std::size_t so_far = away.attempts.size();
  EXPECT_EQ(so_far, 2U);
  away.told({});
  away.run_for(minutes(10));
  EXPECT_GT(away.attempts.size(), so_far + 10);
}

TEST(NetworkOfSupervisor, LimitedIsTriedAsEver) {
  Away limited;
  limited.start();
  limited.told(seen(Connectivity::limited));
  limited.run_for(minutes(10));
  EXPECT_GT(limited.attempts.size(), 10U);
  EXPECT_EQ(limited.spared(), 0U);
}

TEST(NetworkOfSupervisor, SilenceHasTheManagerLookAgain) {
  Away away;
  away.verdict = Verdict::tcp_timeout;
  away.told(seen(Connectivity::full));
  away.start();
  away.run_for(minutes(10));
  EXPECT_GE(away.checks, 8);
  EXPECT_LE(away.checks, 11);
}

}  // namespace
}  // namespace holdfast::link
