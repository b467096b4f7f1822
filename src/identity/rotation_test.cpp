// Goal:   a certificate that works is kept after one reconnect; one that does not is rolled back
//         after one; a network that is down, a wrong clock and a silent server cost no certificate
//         its chance; no history leaves a device outside that could get in with any of its slots.
// Method: a model of device, broker, network and directory around the machine, in steps of a
//         second; then random worlds, in which faults end and the device must get in.
#include "identity/rotation.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sim/seeded_random.h"

namespace holdfast::identity {
namespace {

using Slot = IdentitySlot;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kProof = seconds(30);
constexpr std::int64_t kNowS = 1'800'000'000;

View view(const std::string& id, std::int64_t from = kNowS - 1000,
          std::int64_t to = kNowS + 90'000'000) {
  View made;
  made.id = id;
  made.state.condition = SlotCondition::complete;
  made.state.subject = "CN=" + id;
  made.state.fingerprint = "f" + id;
  made.state.not_before = from;
  made.state.not_after = to;
  return made;
}

View refused(const std::string& why) {
  View made;
  made.state.condition = SlotCondition::refused;
  made.state.reason = why;
  return made;
}

/// The world: one attempt or connection at a time, a directory, a broker that knows certificates.
class World {
 public:
  World() {
    files[Slot::active] = view("old");
    good = {"old"};
    time = {WallTime{kNowS * 1000}, WallTime{(kNowS - 1'000'000) * 1000}};
    rotation.look(files);
  }

  void look() {
    rotation.look(files);
    service();
  }
  void install(const View& next) {
    files[Slot::next] = next;
    look();
  }
  void run(Duration span) {
    for (const BootTime end = now + span; now < end;) {
      now += seconds(1);
      time.clock.ms += 1000;
      attempt();
      if (now >= rotation.next_wake()) service();
    }
  }
  void service() {
    const Rotation::Orders orders = rotation.service(now, time);
    for (const auto& line : orders.log) log += line.text + "\n";
    if (orders.record) record = orders.record;
    if (orders.renew) {
      if (connected) rotation.ended(now, Verdict::none, "");
      if (connected) ++reconnects;
      connected = false;
      retry_at = now + seconds(1);
    }
    if (orders.keep) keep();
  }
  void drop(Verdict verdict) {
    ASSERT_TRUE(connected);
    connected = false;
    retry_at = now + seconds(5);
    rotation.ended(now, verdict, "dropped");
    service();
  }
  [[nodiscard]] const std::string& used() const { return used_id; }

  Rotation rotation{kProof};
  Slots files;
  KnownTime time;
  BootTime now{};
  std::set<std::string> good;                     // who is let in
  Verdict refusal = Verdict::tls_client_refused;  // what the others hear
  std::optional<Verdict> network;                 // what everybody hears
  Status disk;
  bool connected = false;
  unsigned reconnects = 0;
  unsigned failed = 0;
  std::optional<Record> record;
  std::string log;

 private:
  void attempt() {
    if (connected || now < retry_at) return;
    rotation.began();
    const View& mine = files[rotation.in_use()];
    used_id = mine.id;
    std::optional<Verdict> verdict = network;
    if (!verdict && !mine.usable()) verdict = Verdict::no_credentials;
    if (!verdict && !good.contains(mine.id)) verdict = refusal;
    if (!verdict) {
      connected = true;
      rotation.up(now);
    } else {
      ++failed;
      retry_at = now + seconds(20);
      rotation.ended(now, *verdict, "because");
    }
    service();
  }

  void keep() {
    if (disk) {
      record = rotation.record();
      const auto before = rotation.fallback();
      if (before) files[Slot::previous] = files[*before];
      files[Slot::active] = files[Slot::next];
      files[Slot::next] = {};
    }
    rotation.kept(now, disk);
    look();
  }

  BootTime retry_at{};
  std::string used_id;
};

TEST(Rotation, AGoodCertificateIsKeptAfterOneReconnect) {
  World world;
  world.run(minutes(2));
  world.good.insert("new");
  world.install(view("new"));
  EXPECT_EQ(world.rotation.phase(), RotationPhase::trying);
  world.run(seconds(20));
  EXPECT_EQ(world.files[Slot::active].id, "old") << "kept before it was proven";
  world.run(minutes(1));
  EXPECT_EQ(world.files[Slot::active].id, "new");
  EXPECT_EQ(world.files[Slot::previous].id, "old");
  EXPECT_EQ(world.files[Slot::next].state.condition, SlotCondition::missing);
  EXPECT_EQ(world.reconnects, 1U);
  EXPECT_EQ(world.failed, 0U);
  ASSERT_TRUE(world.record);
  EXPECT_EQ(world.record->result, RotationResult::kept);
  EXPECT_EQ(world.rotation.in_use(), Slot::active);
  EXPECT_EQ(world.rotation.phase(), RotationPhase::none);
  EXPECT_EQ(world.rotation.kept_count(), 1U);
}

TEST(Rotation, AThousandInARowKeepTheirCount) {
  World world;
  world.run(minutes(1));
  for (int i = 0; i < 1000; ++i) {
    const std::string id = "n" + std::to_string(i);
    world.good = {world.files[Slot::active].id, id};
    world.install(view(id));
    world.run(minutes(1));
    ASSERT_EQ(world.files[Slot::active].id, id) << world.log;
  }
  EXPECT_EQ(world.reconnects, 1000U);
  EXPECT_EQ(world.rotation.kept_count(), 1000U);
}

TEST(Rotation, ARefusedCertificateIsRolledBackAtOnceAndNotTriedAgain) {
  for (const Verdict verdict :
       {Verdict::tls_client_refused, Verdict::not_authorized, Verdict::bad_credentials}) {
    World world;
    world.run(minutes(2));
    world.refusal = verdict;
    world.install(view("bad"));
    world.run(seconds(10));
    EXPECT_TRUE(world.connected);
    EXPECT_EQ(world.used(), "old");
    EXPECT_EQ(world.reconnects, 1U);
    EXPECT_EQ(world.failed, 1U);
    ASSERT_TRUE(world.record);
    EXPECT_EQ(world.record->result, RotationResult::rolled_back);
    EXPECT_EQ(world.record->reason, std::string(to_string(verdict)) + ": because");
    EXPECT_EQ(world.rotation.phase(), RotationPhase::refused);
    world.run(minutes(60));
    EXPECT_EQ(world.failed, 1U) << "tried again";
    // Also after a restart, which knows the record alone.
    Rotation restarted(kProof);
    restarted.remember(*world.record);
    restarted.look(world.files);
    EXPECT_FALSE(restarted.service(world.now, world.time).renew);
    EXPECT_EQ(restarted.in_use(), Slot::active);
    // Another file in its place is tried.
    world.good.insert("better");
    world.install(view("better"));
    world.run(minutes(1));
    EXPECT_EQ(world.files[Slot::active].id, "better") << world.log;
  }
}

TEST(Rotation, ANetworkThatIsDownRollsNothingBack) {
  for (const Verdict verdict : {Verdict::dns_timeout, Verdict::link_down, Verdict::tcp_timeout,
                                Verdict::tcp_refused, Verdict::server_gone}) {
    World world;
    world.run(minutes(2));
    world.good.insert("new");
    world.network = verdict;
    world.install(view("new"));
    world.run(minutes(180));
    EXPECT_FALSE(world.record) << to_string(verdict);
    world.network.reset();
    world.run(minutes(15));
    EXPECT_EQ(world.files[Slot::active].id, "new") << to_string(verdict) << "\n" << world.log;
    EXPECT_EQ(world.rotation.rolled_back_count(), 0U);
  }
}

TEST(Rotation, AServerThatHangsUpOnItOrIsSilentToItIsFoundOutByComparison) {
  for (const Verdict verdict :
       {Verdict::server_gone, Verdict::tls_failed, Verdict::tls_timeout, Verdict::mqtt_timeout}) {
    World world;
    world.run(minutes(2));
    world.refusal = verdict;
    world.install(view("bad"));
    world.run(minutes(60));
    ASSERT_TRUE(world.record) << to_string(verdict);
    EXPECT_EQ(world.record->result, RotationResult::rolled_back);
    EXPECT_EQ(world.used(), "old");
    EXPECT_TRUE(world.connected);
  }
}

TEST(Rotation, AConnectionThatIsDroppedBeforeTheProofProvesNothing) {
  World world;
  world.run(minutes(2));
  world.good.insert("half");
  world.install(view("half"));
  for (int i = 0; i < 200 && !world.record; ++i) {
    world.run(seconds(10));
    if (world.connected && world.used() == "half") world.drop(Verdict::server_gone);
  }
  ASSERT_TRUE(world.record);
  EXPECT_EQ(world.record->result, RotationResult::rolled_back);
  EXPECT_EQ(world.files[Slot::active].id, "old");
}

TEST(Rotation, WaitsForTheClockInsteadOfFailing) {
  World world;
  world.run(minutes(2));
  world.good.insert("new");
  world.time.clock = WallTime{0};  // 1970: a clock without a battery
  world.install(view("new", kNowS - 100));
  world.run(minutes(10));
  EXPECT_EQ(world.rotation.phase(), RotationPhase::waiting);
  EXPECT_NE(world.rotation.reason().find("waits for the clock"), std::string::npos)
      << world.rotation.reason();
  EXPECT_TRUE(world.connected);
  world.time.clock = WallTime{kNowS * 1000};
  world.service();  // the clock was set
  world.run(minutes(1));
  EXPECT_EQ(world.files[Slot::active].id, "new");
  EXPECT_EQ(world.reconnects, 1U);
}

TEST(Rotation, ACertificateOfTheFutureIsTriedWhenItsTimeHasCome) {
  World world;
  world.run(minutes(2));
  world.good.insert("new");
  world.install(view("new", kNowS + 3 * 3600));
  EXPECT_EQ(world.rotation.phase(), RotationPhase::waiting);
  world.run(minutes(178) - seconds(130));
  EXPECT_EQ(world.files[Slot::active].id, "old");
  world.run(minutes(5));
  EXPECT_EQ(world.files[Slot::active].id, "new") << world.log;
}

TEST(Rotation, AnExpiredOneOrATornOneIsNeverTried) {
  World world;
  world.run(minutes(2));
  world.install(view("over", kNowS - 2000, kNowS - 1));
  EXPECT_EQ(world.rotation.phase(), RotationPhase::refused);
  EXPECT_NE(world.rotation.reason().find("it expired at"), std::string::npos);
  world.install(refused("key next.pem: does not fit the certificate"));
  EXPECT_EQ(world.rotation.phase(), RotationPhase::refused);
  EXPECT_EQ(world.rotation.reason(), "key next.pem: does not fit the certificate");
  world.run(minutes(10));
  EXPECT_EQ(world.reconnects + world.failed, 0U);
}

TEST(Rotation, ATornActiveOneIsReplacedByThePreviousOne) {
  World world;
  world.files[Slot::previous] = view("older");
  world.good = {"older"};
  world.files[Slot::active] = refused("active.pem: the certificate in it is damaged");
  world.look();
  world.run(minutes(2));
  EXPECT_TRUE(world.connected);
  EXPECT_EQ(world.rotation.in_use(), Slot::previous);
  EXPECT_NE(world.log.find("the active slot is refused: active.pem"), std::string::npos);
  // And a next one replaces what is torn, while the way back stays as it is.
  world.good.insert("new");
  world.install(view("new"));
  world.run(minutes(2));
  EXPECT_EQ(world.files[Slot::active].id, "new");
  EXPECT_EQ(world.files[Slot::previous].id, "older");
}

TEST(Rotation, ANextOneThatIsTakenAwayEndsTheTrial) {
  World world;
  world.run(minutes(2));
  world.good.insert("new");
  world.install(view("new"));
  world.run(seconds(10));
  EXPECT_EQ(world.used(), "new");
  world.install({});
  world.run(seconds(10));
  EXPECT_TRUE(world.connected);
  EXPECT_EQ(world.used(), "old");
  EXPECT_EQ(world.rotation.phase(), RotationPhase::none);
}

TEST(Rotation, FilesThatCannotBeMovedAreMovedLaterAndTheNewOneIsUsedMeanwhile) {
  World world;
  world.run(minutes(2));
  world.good = {"new"};
  world.disk = Error{Errc::read_only, "read-only file system", 0};
  world.install(view("new"));
  world.run(minutes(5));
  EXPECT_EQ(world.rotation.phase(), RotationPhase::keeping);
  EXPECT_EQ(world.files[Slot::active].id, "old");
  EXPECT_EQ(world.used(), "new");
  world.disk = {};
  world.run(minutes(1));
  EXPECT_EQ(world.files[Slot::active].id, "new");
  EXPECT_EQ(world.reconnects, 1U);
}

TEST(Rotation, WhatAnEarlierRunLeftBehindIsCleared) {
  World world;
  world.files[Slot::next] = world.files[Slot::active];  // cut before next was removed
  world.look();
  EXPECT_EQ(world.files[Slot::next].state.condition, SlotCondition::missing);
  EXPECT_EQ(world.reconnects, 0U);
  ASSERT_TRUE(world.record) << "that it was kept is known";
  EXPECT_EQ(world.record->result, RotationResult::kept);
}

TEST(Rotation, ADeactivatedActiveOneIsNoEndIfARefusedNextOneWorksMeanwhile) {
  World world;
  world.run(minutes(2));
  world.install(view("new"));  // not activated yet
  world.run(minutes(2));
  EXPECT_EQ(world.rotation.phase(), RotationPhase::refused);
  world.good = {"new"};
  world.drop(Verdict::server_gone);
  world.run(minutes(5));
  EXPECT_TRUE(world.connected);
  EXPECT_EQ(world.files[Slot::active].id, "new") << world.log;
}

TEST(Rotation, WhoeverIsLetInIsFoundWhateverHappenedBefore) {
  constexpr std::array<Verdict, 9> kVerdictsHere{
      Verdict::dns_timeout, Verdict::tcp_refused,        Verdict::server_gone,
      Verdict::tls_failed,  Verdict::tls_client_refused, Verdict::not_authorized,
      Verdict::tls_clock,   Verdict::no_credentials,     Verdict::silent_peer};
  const std::array<std::string, 4> ids{"old", "older", "n1", "n2"};
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    sim::SeededRandom random(seed);
    World world;
    world.files[Slot::previous] = view("older");
    world.look();
    for (int step = 0; step < 25; ++step) {
      const Verdict any = kVerdictsHere[random.below(kVerdictsHere.size())];
      switch (random.below(7)) {
        case 0:
          world.network = any;
          break;
        case 1:
          world.network.reset();
          break;
        case 2:
          world.good = {ids[random.below(ids.size())]};
          world.refusal = any;
          break;
        case 3:
          world.install(view(random.below(2) == 0 ? "n1" : "n2"));
          break;
        case 4:
          world.install(random.below(2) == 0 ? View{} : refused("torn"));
          break;
        case 5:
          if (world.connected) world.drop(any);
          break;
        default:
          world.disk = random.below(2) == 0 ? Status() : Error{Errc::io, "no", 0};
          break;
      }
      world.run(seconds(1 + random.below(900)));
    }
    // The faults end: the broker knows one of what the device has, and says no in words.
    world.disk = {};
    world.run(minutes(1));  // what is proven already takes its place
    world.network.reset();
    world.refusal = Verdict::not_authorized;
    std::vector<std::string> mine;
    for (const View& one : world.files.views) {
      if (one.usable()) mine.push_back(one.id);
    }
    ASSERT_FALSE(mine.empty());
    world.good = {mine[random.below(mine.size())]};
    if (world.connected && !world.good.contains(world.used())) world.drop(Verdict::server_gone);
    world.run(minutes(30));
    EXPECT_TRUE(world.connected) << "seed " << seed << "\n" << world.log;
    EXPECT_TRUE(world.good.contains(world.used())) << seed;
    if (!world.connected) break;
  }
}

}  // namespace
}  // namespace holdfast::identity
