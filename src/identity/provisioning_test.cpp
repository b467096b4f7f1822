// Goal:   whatever is cut, refused or lost on the way, a device ends with one certificate, whose
//         key it has, and never has a second one in force; what cannot end so says why and waits.
// Method: a model of the service; each order of the saga is carried out against it and a simulated
//         disk. Each operation of the disk is cut in turn, in each way in which the cut may end;
//         each answer is lost in turn; then random faults of all kinds in many runs.
#include "identity/provisioning.h"

#include <gtest/gtest.h>

#include <map>

#include "identity/store.h"
#include "identity/whole_file.h"
#include "sim/power_cut_disk.h"
#include "sim/seeded_random.h"

namespace holdfast::identity {
namespace {

using Kind = ProvisionTrouble::Kind;
using sim::PowerCutDisk;
using Order = ProvisionOrder;

constexpr std::string_view kJournal = "journal";

std::string pem(const char* what, const std::string& content) {
  return std::string("-----BEGIN ") + what + "-----\n" + content + "\n-----END " + what + "-----\n";
}

ProvisionOutcome no(Kind kind, std::string words = "no") {
  ProvisionOutcome outcome;
  outcome.done = false;
  outcome.trouble = {kind, std::move(words)};
  return outcome;
}

/// AWS IoT Core's side.
struct Service {
  struct Certificate {
    std::string key;
    std::string token;
    bool active = false;
  };
  std::map<std::string, Certificate> certificates;
  unsigned made = 0;
  bool claim_good = true;
  Kind registration_says = Kind::passing;  ///< passing: it is registered.

  ProvisionOutcome ask(const std::string& key, bool csr) {
    const std::string number = std::to_string(++made);
    ProvisionOutcome outcome;
    if (!csr) outcome.key = Secret(pem("PRIVATE KEY", "theirs" + number));
    outcome.certificate_id = "id" + number;
    outcome.certificate = pem("CERTIFICATE", outcome.certificate_id);
    outcome.token = Secret("token" + number);
    certificates[outcome.certificate_id] = {csr ? key : outcome.key.text(), outcome.token.text()};
    return outcome;
  }
  ProvisionOutcome register_thing(const std::string& token) {
    if (registration_says != Kind::passing) return no(registration_says, "rejected: why");
    for (auto& [id, one] : certificates) {
      if (one.token.empty() || one.token != token) continue;
      one.active = true;
      one.token.clear();
      ProvisionOutcome outcome;
      outcome.thing = "pump-1";
      outcome.configuration = R"({"site":"north"})";
      return outcome;
    }
    return no(Kind::token);
  }
  /// An hour later: what waits for its registration is deleted.
  void expire() {
    std::erase_if(certificates, [](const auto& one) { return !one.second.active; });
  }
  [[nodiscard]] std::size_t in_force() const {
    std::size_t count = 0;
    for (const auto& [id, one] : certificates) count += one.active ? 1 : 0;
    return count;
  }
};

/// The device's side of one process: from start to end, or to a cut.
struct Device {
  PowerCutDisk& disk;
  Service& service;
  ProvisionPlan plan{};
  BootTime now{};
  unsigned keys = 0;
  unsigned orders = 0;
  unsigned in_force = 1;  ///< At most.
  unsigned lose_at = 0;   ///< The process ends when this order was carried out, its answer unheard.
  /// Says what an order meets; none: as it should be.
  std::function<std::optional<ProvisionOutcome>(Order)> meets = {};
  std::vector<Order> done = {};
  ProvisioningState last = {};
  std::optional<Order> waited = {};

  ProvisionJournal journal() {
    auto text = read_whole(disk, kJournal, kProvisionJournalMax);
    if (!text) return {};
    auto journal = parse_provision_journal(text->text());
    EXPECT_TRUE(journal) << journal.error().message;
    return journal ? std::move(journal).value() : ProvisionJournal{};
  }

  ProvisionStart start() {
    ProvisionStart start;
    start.journal = journal();
    const auto active = Store(disk).read(IdentitySlot::active);
    start.has_active = active.ok();
    start.active_is_journals = active && (start.journal.phase == ProvisionPhase::done ||
                                          active->text() == start.journal.credential().text());
    return start;
  }

  /// True: it came to its end.
  bool run(sim::SeededRandom& random, unsigned most = 400) {
    static_cast<void>(Store(disk).tidy());
    Provisioning saga(plan, start(), random);
    while (orders < most) {
      const auto order = saga.next(now);
      last = saga.state();
      if (order.what == Order::end) return true;
      if (order.what == Order::wait) {
        EXPECT_GT(order.until, now);
        EXPECT_LE(order.until, now + kBlockedFor + std::chrono::seconds(2));
        EXPECT_FALSE(last.reason.empty());
        now = order.until;
        if (last.blocked) return false;
        continue;
      }
      done.push_back(order.what);
      auto outcome = meets ? meets(order.what) : std::nullopt;
      if (!outcome) outcome = carry_out(order.what, saga);
      EXPECT_LE(service.in_force(), in_force);
      if (disk.is_down() || ++orders == lose_at) return false;
      saga.done(now, WallTime{1}, std::move(*outcome));
      last = saga.state();
    }
    return false;
  }

  static ProvisionOutcome of(const Status& status) {
    return status ? ProvisionOutcome{} : no(Kind::passing, status.error().message);
  }

  ProvisionOutcome carry_out(Order order, const Provisioning& saga) {
    const ProvisionJournal& now_known = saga.journal();
    switch (order) {
      case Order::make_key: {
        ProvisionOutcome outcome;
        outcome.key = Secret(pem("PRIVATE KEY", "ours" + std::to_string(++keys)));
        return outcome;
      }
      case Order::write:
        return of(replace_whole(disk, kJournal, to_text(now_known).text()));
      case Order::connect:
        return service.claim_good ? ProvisionOutcome{} : no(Kind::refused, "claim refused");
      case Order::ask:
        return service.ask(now_known.key.text(), plan.csr);
      case Order::register_thing:
        return service.register_thing(now_known.token.text());
      case Order::verify: {
        const auto found = service.certificates.find(now_known.certificate_id);
        const bool good = found != service.certificates.end() && found->second.active &&
                          found->second.key == now_known.key.text();
        return good ? ProvisionOutcome{} : no(Kind::hung_up, "hung up");
      }
      case Order::install:
        if (plan.renewal) return of(Store(disk).install(now_known.credential()));
        return of(Store(disk).keep(now_known.credential(), nullptr));
      default:
        return {};
    }
  }
};

/// Empty: the device has its one certificate.
std::string wrong_at_the_end(PowerCutDisk& disk, const Service& service) {
  const auto active = Store(disk).read(IdentitySlot::active);
  if (!active) return "no active credential";
  if (service.in_force() != 1) return std::to_string(service.in_force()) + " in force";
  for (const auto& [id, one] : service.certificates) {
    if (one.active && active->text() != pem("CERTIFICATE", id) + one.key) return "not its own";
  }
  auto text = read_whole(disk, kJournal, kProvisionJournalMax);
  if (!text) return "no journal";
  const auto journal = parse_provision_journal(text->text());
  if (!journal || journal->phase != ProvisionPhase::done) return "not done";
  return text->text().find("PRIVATE KEY") == std::string::npos ? "" : "a key is left over";
}

// Field lesson 52.
TEST(Provisioning, GoesStraightThroughAndWritesBeforeEachStepThatMatters) {
  sim::SeededRandom random(1);
  PowerCutDisk disk(random);
  Service service;
  Device device{disk, service};
  ASSERT_TRUE(device.run(random));
  EXPECT_EQ(wrong_at_the_end(disk, service), "");
  const std::vector<Order> expected{
      Order::make_key, Order::write,     Order::connect,        Order::subscribe, Order::ask,
      Order::write,    Order::subscribe, Order::register_thing, Order::write,     Order::leave,
      Order::verify,   Order::install,   Order::write};
  EXPECT_EQ(device.done, expected);
  EXPECT_EQ(device.last.step, ProvisioningStep::done);
  EXPECT_EQ(device.last.thing_name, "pump-1");
  const ProvisionJournal journal = device.journal();
  EXPECT_EQ(journal.configuration, R"({"site":"north"})");
  EXPECT_EQ(journal.certificate_id, "id1");
}

// Field lesson 51.
TEST(Provisioning, ACutAtAnyOperationOfTheDiskEndsWithOneCertificate) {
  std::size_t ways = 0;
  for (const bool csr : {true, false}) {
    for (std::uint64_t at = 0;; ++at) {
      std::size_t undecided = 0;
      bool cut = false;
      for (std::uint64_t way = 0; way == 0 || way < (std::uint64_t{1} << undecided); ++way) {
        sim::SeededRandom random(at + 1);
        PowerCutDisk disk(random);
        Service service;
        Device device{disk, service, {csr}};
        disk.faults.cut_at = disk.operations() + at;
        static_cast<void>(device.run(random));
        cut = disk.is_down();
        if (!cut) break;
        disk.faults = {};
        undecided = disk.undecided();
        ASSERT_LE(undecided, 12U);
        std::vector<bool> survives;
        for (std::size_t bit = 0; bit < undecided; ++bit) survives.push_back((way >> bit & 1) != 0);
        disk.cut(survives);
        ++ways;
        if (way % 2 == 1) service.expire();  // it was away for more than an hour
        Device again{disk, service, {csr}};
        ASSERT_TRUE(again.run(random)) << "cut at " << at << ", way " << way;
        ASSERT_EQ(wrong_at_the_end(disk, service), "") << "cut at " << at << ", way " << way;
      }
      if (!cut) {
        EXPECT_GE(at, 20U);
        break;
      }
    }
  }
  EXPECT_GE(ways, 80U);
  RecordProperty("ways", static_cast<int>(ways));
}

// Field lesson 51.
TEST(Provisioning, AnyAnswerMayBeLostWithTheProcess) {
  for (const bool csr : {true, false}) {
    const unsigned orders = csr ? 13 : 11;
    for (unsigned at = 1; at <= orders; ++at) {
      for (const bool hour : {false, true}) {
        sim::SeededRandom random(at);
        PowerCutDisk disk(random);
        Service service;
        Device first{disk, service, {csr}};
        first.lose_at = at;
        ASSERT_FALSE(first.run(random));
        if (hour) service.expire();
        Device second{disk, service, {csr}};
        ASSERT_TRUE(second.run(random)) << at << hour;
        EXPECT_EQ(wrong_at_the_end(disk, service), "") << at << hour;
      }
    }
  }
}

TEST(Provisioning, ARegistrationWhoseAnswerWasLostIsFoundOutByConnecting) {
  sim::SeededRandom random(1);
  PowerCutDisk disk(random);
  Service service;
  Device device{disk, service};
  bool lost = false;
  device.meets = [&](Order order) -> std::optional<ProvisionOutcome> {
    if (order != Order::register_thing || std::exchange(lost, true)) return std::nullopt;
    static_cast<void>(service.register_thing("token1"));
    return no(Kind::unanswered);
  };
  ASSERT_TRUE(device.run(random));
  EXPECT_EQ(wrong_at_the_end(disk, service), "");
  EXPECT_EQ(service.made, 1U) << "no second certificate was asked for";
  EXPECT_EQ(device.journal().thing, "") << "its name was in the lost answer";
}

TEST(Provisioning, ATokenThatIsTooOldCostsTheCertificateAndNotTheKey) {
  sim::SeededRandom random(1);
  PowerCutDisk disk(random);
  Service service;
  Device device{disk, service};
  bool late = false;
  device.meets = [&](Order order) -> std::optional<ProvisionOutcome> {
    if (order == Order::register_thing && !std::exchange(late, true)) service.expire();
    return std::nullopt;
  };
  ASSERT_TRUE(device.run(random));
  EXPECT_EQ(wrong_at_the_end(disk, service), "");
  EXPECT_EQ(service.made, 2U);
  EXPECT_EQ(device.keys, 1U);
  EXPECT_EQ(device.journal().given_up, std::vector<std::string>{"id1"});
}

TEST(Provisioning, AClaimThatEndsAfterTheLostAnswerDoesNotMatter) {
  sim::SeededRandom random(1);
  PowerCutDisk disk(random);
  Service service;
  Device device{disk, service};
  device.meets = [&](Order order) -> std::optional<ProvisionOutcome> {
    if (order != Order::register_thing || !service.claim_good) return std::nullopt;
    static_cast<void>(service.register_thing("token1"));
    service.claim_good = false;
    return no(Kind::hung_up);
  };
  ASSERT_TRUE(device.run(random)) << device.last.reason;
  EXPECT_EQ(wrong_at_the_end(disk, service), "");
}

TEST(Provisioning, WhatOnlyAnOperatorCanMendBlocksWithTheStepAndTheReason) {
  sim::SeededRandom random(1);
  PowerCutDisk disk(random);
  Service service;
  service.registration_says = Kind::final;
  Device device{disk, service};
  EXPECT_FALSE(device.run(random));
  EXPECT_TRUE(device.last.blocked);
  EXPECT_EQ(device.last.step, ProvisioningStep::registration);
  EXPECT_EQ(device.last.reason, "rejected: why");
  EXPECT_EQ(device.last.certificate_id, "id1");
  EXPECT_GE(device.now.time_since_epoch(), kBlockedFor / 2);
  // Mended within the hour: the same certificate serves.
  service.registration_says = Kind::passing;
  Device again{disk, service};
  ASSERT_TRUE(again.run(random));
  EXPECT_EQ(service.made, 1U);

  service.claim_good = false;
  PowerCutDisk other(random);
  Device refused{other, service};
  EXPECT_FALSE(refused.run(random));
  EXPECT_TRUE(refused.last.blocked);
  EXPECT_EQ(refused.last.step, ProvisioningStep::claim);
  EXPECT_EQ(refused.orders, 2 + kProvisionRefusals) << "not blocked by a single refusal";
}

TEST(Provisioning, ACertificateThatMayBeInForceIsNotGivenUp) {
  sim::SeededRandom random(1);
  PowerCutDisk disk(random);
  Service service;
  Device device{disk, service};
  device.meets = [&](Order order) -> std::optional<ProvisionOutcome> {
    if (order == Order::verify) return no(Kind::denied, "policy says no");
    return order == Order::register_thing ? std::optional(no(Kind::token)) : std::nullopt;
  };
  EXPECT_FALSE(device.run(random));
  EXPECT_TRUE(device.last.blocked);
  EXPECT_EQ(device.last.reason, "policy says no");
  EXPECT_EQ(service.made, 1U);
  // The same once it is registered: refused for ever, no other one is asked for.
  PowerCutDisk other(random);
  Service second;
  Device registered{other, second};
  registered.meets = [&](Order order) {
    return order == Order::verify ? std::optional(no(Kind::refused, "inactive")) : std::nullopt;
  };
  EXPECT_FALSE(registered.run(random));
  EXPECT_TRUE(registered.last.blocked);
  EXPECT_EQ(second.made, 1U);
  EXPECT_EQ(registered.last.step, ProvisioningStep::verification);
}

TEST(Provisioning, QuestionsForCertificatesWithoutAnswerAreFew) {
  sim::SeededRandom random(1);
  PowerCutDisk disk(random);
  Service service;
  Device device{disk, service};
  unsigned asked = 0;
  device.meets = [&](Order order) {
    asked += order == Order::ask ? 1 : 0;
    return order == Order::ask ? std::optional(no(Kind::unanswered)) : std::nullopt;
  };
  EXPECT_FALSE(device.run(random));
  EXPECT_TRUE(device.last.blocked);
  EXPECT_EQ(asked, kAsksUnanswered);
}

TEST(Provisioning, PausesGrowAndANudgeEndsThem) {
  sim::SeededRandom random(1);
  Provisioning saga({}, {}, random);
  BootTime now{};
  saga.done(now, {}, [] {
    ProvisionOutcome outcome;
    outcome.key = Secret(pem("PRIVATE KEY", "k"));
    return outcome;
  }());
  saga.done(now, {}, {});
  Duration longest{};
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(saga.next(now).what, Order::connect);
    saga.done(now, {}, no(i < 20 ? Kind::passing : Kind::throttled));
    const auto order = saga.next(now);
    ASSERT_EQ(order.what, Order::wait);
    EXPECT_GE(order.until - now, kSpacing);
    EXPECT_LE(order.until - now, kSpacing + (i < 20 ? kProvisionCap : kThrottledCap));
    longest = std::max(longest, Duration(order.until - now));
    now = order.until;
  }
  EXPECT_GT(longest, kProvisionCap);
  ASSERT_EQ(saga.next(now).what, Order::connect);
  saga.done(now, {}, no(Kind::passing));
  ASSERT_EQ(saga.next(now).what, Order::wait);
  saga.nudge();
  EXPECT_EQ(saga.next(now).what, Order::connect);
  EXPECT_EQ(saga.state().tries, 41U);
}

// Field lesson 53.
TEST(Provisioning, AFullDiskHoldsItBeforeAnythingIsAskedOrRegistered) {
  for (const std::uint64_t room : {std::uint64_t{100}, std::uint64_t{400}}) {
    sim::SeededRandom random(1);
    PowerCutDisk disk(random);
    disk.faults.capacity = room;
    Service service;
    Device device{disk, service};
    EXPECT_FALSE(device.run(random, 30));
    EXPECT_FALSE(device.last.blocked);
    EXPECT_FALSE(device.last.reason.empty());
    EXPECT_EQ(service.in_force(), 0U);
    EXPECT_EQ(service.made, room == 100 ? 0U : 1U);
    disk.faults = {};
    Device again{disk, service};
    ASSERT_TRUE(again.run(random));
    EXPECT_EQ(wrong_at_the_end(disk, service), "");
  }
}

TEST(Provisioning, ARenewalPutsItsCertificateBesideTheActiveOne) {
  for (const bool doubtful : {false, true}) {
    sim::SeededRandom random(1);
    PowerCutDisk disk(random);
    Service service;
    Device first{disk, service};
    ASSERT_TRUE(first.run(random));
    ASSERT_TRUE(disk.remove(kJournal));
    Device renewal{disk, service, {.csr = true, .renewal = true}};
    bool lost = !doubtful;
    renewal.meets = [&](Order order) -> std::optional<ProvisionOutcome> {
      EXPECT_NE(order, Order::verify) << "the agent's rotation tries it";
      if (order != Order::register_thing) return std::nullopt;
      service.certificates["id1"].active = false;  // so that in_force() counts the new one
      if (std::exchange(lost, true)) return std::nullopt;
      static_cast<void>(service.register_thing("token2"));
      return no(Kind::unanswered);
    };
    ASSERT_TRUE(renewal.run(random));
    const auto next = Store(disk).read(IdentitySlot::next);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->text(), pem("CERTIFICATE", "id2") + service.certificates["id2"].key);
    EXPECT_EQ(Store(disk).read(IdentitySlot::active)->text().find("id2"), std::string::npos);
    EXPECT_EQ(service.made, 2U);
  }
}

TEST(Provisioning, ARenewalThatIsCutAnywhereMakesOneSuccessor) {
  std::uint64_t at = 0;
  for (bool cut = true; cut; ++at) {
    for (const bool survives : {false, true}) {
      sim::SeededRandom random(at + 1);
      PowerCutDisk disk(random);
      Service service;
      Device first{disk, service};
      ASSERT_TRUE(first.run(random));
      ASSERT_TRUE(disk.remove(kJournal));
      ASSERT_TRUE(disk.sync_directory());
      Device renewal{disk, service, {.csr = true, .renewal = true}};
      renewal.in_force = 2;
      disk.faults.cut_at = disk.operations() + at;
      static_cast<void>(renewal.run(random));
      cut = disk.is_down();
      disk.faults = {};
      if (!cut) break;
      disk.cut(std::vector<bool>(disk.undecided(), survives));
      // The agent has not tried it yet; done before the cut, it is not asked for again.
      if (renewal.journal().phase != ProvisionPhase::done) {
        Device again{disk, service, {.csr = true, .renewal = true}};
        again.in_force = 2;
        ASSERT_TRUE(again.run(random)) << at;
      }
      EXPECT_EQ(service.in_force(), 2U) << at;
      const auto next = Store(disk).read(IdentitySlot::next);
      ASSERT_TRUE(next) << at;
      const std::string id = renewal.journal().certificate_id;
      EXPECT_TRUE(service.certificates[id].active) << at;
      EXPECT_EQ(next->text(), pem("CERTIFICATE", id) + service.certificates[id].key) << at;
      EXPECT_NE(Store(disk).read(IdentitySlot::active)->text(), next->text()) << at;
    }
  }
  EXPECT_GE(at, 20U);
}

TEST(Provisioning, RandomFaultsInManyRuns) {
  unsigned cuts = 0;
  unsigned troubles = 0;
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    sim::SeededRandom random(seed);
    PowerCutDisk disk(random);
    Service service;
    const bool csr = random.below(2) == 0;
    bool ended = false;
    for (int process = 0; process < 6 && !ended; ++process) {
      Device device{disk, service, {csr}};
      device.meets = [&](Order order) -> std::optional<ProvisionOutcome> {
        if (random.below(5) != 0 || order == Order::install || order == Order::write) {
          return std::nullopt;
        }
        ++troubles;
        // What the service did although nobody heard of it.
        if (random.below(2) == 0 && order == Order::register_thing) {
          static_cast<void>(service.register_thing(device.journal().token.text()));
        }
        if (random.below(4) == 0) service.expire();
        return no(std::array{Kind::passing, Kind::throttled, Kind::unanswered}.at(random.below(3)));
      };
      if (random.below(3) != 0) disk.faults.cut_at = disk.operations() + random.below(30);
      ended = device.run(random);
      disk.faults = {};
      if (!disk.is_down()) continue;
      ++cuts;
      disk.cut(std::vector<bool>(disk.undecided(), random.below(2) == 0));
    }
    Device last{disk, service, {csr}};
    ASSERT_TRUE(last.run(random)) << seed << ": " << last.last.reason;
    ASSERT_EQ(wrong_at_the_end(disk, service), "") << seed;
  }
  EXPECT_GT(cuts, 300U);
  EXPECT_GT(troubles, 1000U);
}

}  // namespace
}  // namespace holdfast::identity
