// Goal: what the server's policy forbids is found, named and set aside; all else goes on, nothing
// is lost, and what was set aside arrives in order once the policy is mended.
// Method: the core with a real outbox on a simulated disk, and a scripted server that denies by
// hanging up, or by its answers. Virtual time; every turn of the storage is done at once.
#include "device/quarantine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "device/store_turn.h"
#include "device/test_bench.h"
#include "outbox/test_world.h"
#include "sim/power_cut_disk.h"

namespace holdfast::device {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class Policed : public testing::Test {
 protected:
  Policed() : disk_(random_) { config_ = test::make_config(); }

  void start() {
    outbox::RecoveryReport report;
    auto opened = outbox::Outbox::open(disk_, clock_, random_, store_options(config_), report);
    ASSERT_TRUE(opened.ok());
    store_ = std::move(opened).value();
    core_ = std::make_unique<Core>(config_, random_, opening_of(report));
    carry_out(core_->start(clock_.now()));
    step(store_report(*store_, config_.lanes.size()));
  }

  void run_for(Duration time) {
    const BootTime end = clock_.boot + time;
    while (!HasFatalFailure()) {
      const BootTime next = std::min(core_->next_wake(), store_->next_due());
      if (next > end) break;
      clock_.pass(std::max<Duration>(next - clock_.boot, Duration::zero()));
      step(Tick{});
      turn();
    }
    if (clock_.boot < end) clock_.pass(end - clock_.boot);
  }

  void publish(const std::string& topic, Durability durability = Durability::durable,
               LaneIndex lane = 1) {
    StoredMessage message = test::make(lane);
    message.topic = topic;
    message.content_type = std::to_string(++published_);
    message.qos = qos_;
    if (message_expiry_) message.expiry_seconds = message_expiry_;
    Publish event;
    event.items.push_back({published_, durability, std::move(message)});
    step(std::move(event));
    clock_.pass(milliseconds(20));
  }

  void subscribe(SubscriptionId id, const std::string& filter) {
    step(Subscribe{id, filter, Qos::at_least_once});
  }

  DeviceState state() { return core_->state(clock_.boot); }
  const Quarantined* aside(const std::string& name) {
    shown_ = state();
    for (const Quarantined& q : shown_.quarantine) {
      if (q.name == name) return &q;
    }
    return nullptr;
  }
  std::uint64_t given(Verdict verdict) {
    return state().verdicts[static_cast<std::size_t>(verdict)];
  }
  /// Until the topic or filter is denied.
  void run_until_denied(const std::string& name) {
    for (int i = 0; i < 120; ++i) {
      const Quarantined* found = aside(name);
      if (found != nullptr && found->confirmed) return;
      run_for(seconds(10));
    }
    FAIL() << name << " was not found";
  }

  Config config_;
  std::set<std::string> denied_;  ///< Topics and filters.
  bool answers_ = false;          ///< It says 0x87 instead of hanging up.
  Qos qos_ = Qos::at_least_once;
  std::optional<std::uint32_t> message_expiry_;
  std::map<std::string, std::vector<std::uint64_t>> arrived_;  ///< By topic, in order, numbers.
  std::set<std::string> filters_;
  std::vector<std::string> lines_;
  std::vector<Receipt> dropped_;
  std::uint64_t connects_ = 0;

 private:
  void step(Event event) {
    carry_out(core_->step(clock_.boot, std::move(event)));
    while (!events_.empty() && !HasFatalFailure()) {
      Event next = std::move(events_.front());
      events_.pop_front();
      carry_out(core_->step(clock_.boot, std::move(next)));
    }
    ASSERT_GT(core_->next_wake(), clock_.boot) << "a wake-up without progress would spin";
  }
  void carry_out(Actions actions) {
    for (Action& action : actions) {
      std::visit([this](auto& a) { act(a); }, action);
    }
    turn();
  }
  void turn() {
    StoreTurn done = take_store_turn(*store_, config_.lanes.size(), queue_.take());
    // Reports alone change nothing, and would go on for ever.
    const bool news = done.events.size() > 1;
    const Ledger ledger = state().ledger;
    ASSERT_TRUE(ledger.balanced());
    if (!news && asked_ == 0) return;
    asked_ = 0;
    for (Event& event : done.events) events_.push_back(std::move(event));
  }

  template <class Command>
  void to_store(Command command) {
    queue_.push(std::move(command));
    ++asked_;
  }
  void act(StoreAppend& a) { to_store(std::move(a)); }
  void act(StoreFetch& a) { to_store(a); }
  void act(StoreFetchParked& a) { to_store(std::move(a)); }
  void act(StorePark& a) { to_store(std::move(a)); }
  void act(StoreGiveBack& a) { to_store(a); }
  void act(StoreEvict& a) { to_store(a); }
  void act(StoreRules& a) { to_store(std::move(a)); }
  void act(StoreSettle& a) { to_store(a); }
  void act(StoreSync& a) { to_store(a); }
  void act(StoreClose& a) { to_store(a); }
  void act(Saved&) {}
  void act(Away&) {}

  void act(EngineConnect& a) {
    attempt_ = a.request->attempt;
    ++connects_;
    up_ = true;
    env::UpInfo info;
    info.session_present = true;
    events_.push_back(EngineUp{attempt_, info});
  }
  void hang_up() {
    up_ = false;
    events_.push_back(EngineDown{attempt_, {Verdict::server_gone, 0, "closed"}});
  }
  void act(EnginePublish& a) {
    if (!up_) return;
    const StoredMessage& message = *a.message;
    const bool denied = denied_.contains(message.topic);
    const bool answered = message.qos == Qos::at_least_once;
    if (!answered) events_.push_back(EnginePublished{attempt_, a.token, 0});  // written
    if (denied && !answers_) return hang_up();
    if (!denied) {
      const std::string& number = message.content_type;
      arrived_[message.topic].push_back(number.empty() ? 0 : std::stoull(number));
    }
    const std::uint8_t code = denied ? 0x87 : 0;
    if (answered) events_.push_back(EnginePublished{attempt_, a.token, code});
  }
  void act(EngineSubscribe& a) {
    if (!up_) return;
    std::vector<std::uint8_t> codes;
    for (const env::FilterRequest& asked : a.filters) {
      const bool denied = denied_.contains(asked.filter);
      if (denied && !answers_) return hang_up();
      if (!denied) filters_.insert(asked.filter);
      codes.push_back(denied ? 0x87 : 1);
    }
    events_.push_back(EngineSubscribed{attempt_, a.token, codes});
  }
  void act(EngineTaken&) {}
  void act(EngineUnsubscribe& a) {
    if (up_) events_.push_back(EngineSubscribed{attempt_, a.token, {0}});
  }
  void act(EngineDisconnect&) { events_.push_back(EngineDown{attempt_, {Verdict::none, 0, ""}}); }
  void act(EngineAbort&) { up_ = false; }
  void act(ProbeEndpoint&) {}
  void act(LookUpName&) {}
  void act(CheckNetwork&) {}
  void act(RememberEndpoint&) {}
  void act(GiveReceipt& a) {
    if (a.receipt.kind == ReceiptKind::dropped) dropped_.push_back(a.receipt);
  }
  void act(GiveMessage&) {}
  void act(GiveConnection&) {}
  void act(Log& a) { lines_.push_back(a.line.text); }
  void act(Stopped&) {}

  outbox::test::HandClock clock_;
  sim::SeededRandom random_{7};
  sim::PowerCutDisk disk_;
  std::unique_ptr<outbox::Outbox> store_;
  std::unique_ptr<Core> core_;
  StoreQueue queue_;
  std::deque<Event> events_;
  std::size_t asked_ = 0;
  std::uint64_t published_ = 0;
  env::AttemptId attempt_ = 0;
  bool up_ = false;
  DeviceState shown_;

 public:
  void ask_for_an_attempt() { step(ReconnectNow{}); }
};

using Numbers = std::vector<std::uint64_t>;

TEST_F(Policed, AForbiddenTopicIsNamedAndAllOthersGoOn) {
  denied_ = {"secret"};
  start();
  publish("secret");
  publish("open");
  publish("secret");
  publish("open");
  run_until_denied("secret");
  EXPECT_EQ(arrived_["open"], (Numbers{2, 4}));
  EXPECT_LE(connects_, flow::kEndsToDoubt + flow::kStrikes + 1);
  EXPECT_EQ(given(Verdict::publish_denied), 1U);
  EXPECT_EQ(aside("secret")->reason, Verdict::publish_denied);
  EXPECT_EQ(aside("secret")->hang_ups, flow::kStrikes);
  EXPECT_GT(aside("secret")->next_trial_in, minutes(4));
  EXPECT_EQ(aside("open"), nullptr);
  run_for(minutes(2));
  EXPECT_EQ(state().connection.state, LinkState::connected);
  EXPECT_EQ(state().parked, 2U);
  EXPECT_EQ(state().ledger.pending, 2U) << "nothing is lost";
  const std::uint64_t before = connects_;
  for (int i = 0; i < 100; ++i) publish("open");
  run_for(minutes(2));
  EXPECT_EQ(arrived_["open"].size(), 102U);
  EXPECT_EQ(connects_, before) << "nothing forbidden is sent meanwhile";
}

TEST_F(Policed, TheLogSaysWhatIsForbidden) {
  denied_ = {"secret"};
  start();
  publish("secret");
  run_until_denied("secret");
  const auto says = [&](const std::string& text) {
    return std::any_of(lines_.begin(), lines_.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  };
  EXPECT_TRUE(says("offline: publish_denied")) << "an event";
  EXPECT_TRUE(says("'secret': the server has hung up on it 4 times"));
}

TEST_F(Policed, WhatWasParkedArrivesInOrderWhenThePolicyIsMended) {
  denied_ = {"secret"};
  start();
  publish("secret");
  run_until_denied("secret");
  for (int i = 0; i < 50; ++i) publish(i % 2 == 0 ? "secret" : "open");
  run_for(seconds(50));
  EXPECT_TRUE(arrived_["secret"].empty());
  denied_.clear();
  run_for(minutes(6));
  Numbers wanted{1};
  for (std::uint64_t i = 2; i <= 50; i += 2) wanted.push_back(i);
  EXPECT_EQ(arrived_["secret"], wanted);
  EXPECT_EQ(state().ledger.pending, 0U);
  EXPECT_EQ(state().parked, 0U);
  EXPECT_TRUE(state().quarantine.empty());
}

TEST_F(Policed, AnAttemptAskedForIsATrialAtOnce) {
  denied_ = {"secret"};
  start();
  publish("secret");
  run_until_denied("secret");
  run_for(seconds(20));
  denied_.clear();
  ask_for_an_attempt();
  run_for(seconds(1));
  EXPECT_EQ(arrived_["secret"], Numbers{1});
}

TEST_F(Policed, TrialsOfAForbiddenTopicBecomeRare) {
  denied_ = {"secret"};
  start();
  publish("secret");
  run_until_denied("secret");
  const std::uint64_t before = connects_;
  run_for(hours(24));
  EXPECT_LE(connects_ - before, 28U) << "5 min, 10, 20, 40, then every hour";
  EXPECT_GE(connects_ - before, 20U) << "but it is tried";
  EXPECT_GE(given(Verdict::publish_denied), 20U);
}

TEST_F(Policed, AForbiddenTopicOfQosZeroIsFoundAsWell) {
  denied_ = {"secret"};
  qos_ = Qos::at_most_once;
  start();
  for (int i = 0; i < 60 && (aside("secret") == nullptr || !aside("secret")->confirmed); ++i) {
    publish("secret");
    publish("open");
    run_for(seconds(20));
  }
  ASSERT_NE(aside("secret"), nullptr);
  EXPECT_TRUE(aside("secret")->confirmed);
  EXPECT_EQ(aside("open"), nullptr);
  const std::uint64_t before = connects_;
  publish("secret");
  publish("open");
  run_for(minutes(2));
  EXPECT_EQ(connects_, before);
  denied_.clear();
  run_for(minutes(7));
  EXPECT_FALSE(arrived_["secret"].empty());
  EXPECT_TRUE(state().quarantine.empty());
}

TEST_F(Policed, ADenialByAnswerParksAtOnceAndLosesNothing) {
  denied_ = {"secret"};
  answers_ = true;
  start();
  publish("secret");
  publish("open");
  publish("secret");
  run_for(seconds(1));
  ASSERT_NE(aside("secret"), nullptr);
  EXPECT_TRUE(aside("secret")->confirmed);
  EXPECT_EQ(aside("secret")->reason_code, 0x87);
  EXPECT_EQ(connects_, 1U);
  EXPECT_EQ(state().parked, 2U);
  EXPECT_TRUE(dropped_.empty());
  denied_.clear();
  run_for(minutes(6));
  EXPECT_EQ(arrived_["secret"], (Numbers{1, 3}));
  EXPECT_GE(given(Verdict::publish_denied), 1U);
}

TEST_F(Policed, WithoutPatienceADenialByAnswerDropsAtOnce) {
  config_.denied_for = Seconds(0);
  denied_ = {"secret"};
  answers_ = true;
  start();
  publish("secret");
  run_for(seconds(1));
  ASSERT_EQ(dropped_.size(), 1U);
  EXPECT_EQ(dropped_[0].dropped, DropReason::refused);
  EXPECT_EQ(dropped_[0].reason_code, 0x87);
  EXPECT_EQ(aside("secret"), nullptr);
  EXPECT_EQ(state().ledger.pending, 0U);
}

TEST_F(Policed, PatienceEndsAfterItsTimeForWhatIsThatOld) {
  config_.denied_for = hours(2);
  denied_ = {"secret"};
  start();
  publish("secret");
  publish("secret", Durability::memory);
  run_until_denied("secret");
  run_for(hours(1));
  EXPECT_TRUE(dropped_.empty());
  run_for(minutes(100));
  publish("secret");
  run_for(minutes(150));
  ASSERT_EQ(dropped_.size(), 2U);
  EXPECT_EQ(dropped_[0].dropped, DropReason::refused);
  EXPECT_EQ(dropped_[1].dropped, DropReason::refused);
  EXPECT_EQ(state().ledger.pending, 1U) << "the young one keeps its own time";
}

TEST_F(Policed, ParkedMessagesExpire) {
  denied_ = {"secret"};
  message_expiry_ = 1800;
  start();
  publish("secret");
  run_until_denied("secret");
  publish("secret");
  run_for(hours(2));
  ASSERT_EQ(dropped_.size(), 2U);
  EXPECT_EQ(dropped_[0].dropped, DropReason::expired);
  EXPECT_EQ(state().parked, 0U);
}

TEST_F(Policed, ParkedMessagesMakeRoomByTheRuleOfTheirLane) {
  config_.lane_rules["normal"].max_messages = 10;
  config_.lane_rules["normal"].when_full = WhenFull::drop_oldest;
  denied_ = {"secret"};
  start();
  publish("secret");
  run_until_denied("secret");
  for (int i = 0; i < 20; ++i) publish("secret");
  run_for(seconds(30));
  EXPECT_EQ(state().ledger.pending, 10U);
  EXPECT_EQ(state().parked, 10U);
  ASSERT_EQ(dropped_.size(), 11U);
  EXPECT_EQ(dropped_.back().dropped, DropReason::evicted);
  denied_.clear();
  run_for(minutes(10));
  EXPECT_EQ(arrived_["secret"], (Numbers{12, 13, 14, 15, 16, 17, 18, 19, 20, 21}));
}

TEST_F(Policed, MemoryMessagesStandAsideAndLeaveRoomForOthers) {
  denied_ = {"secret"};
  start();
  publish("secret", Durability::memory);
  run_until_denied("secret");
  for (int i = 0; i < 5000; ++i) publish("secret", Durability::memory);
  run_for(seconds(20));
  EXPECT_GT(state().ledger.rejected[static_cast<std::size_t>(RejectReason::queue_full)], 0U);
  EXPECT_GT(state().parked, 100U);
  publish("open", Durability::memory);
  run_for(seconds(1));
  EXPECT_EQ(arrived_["open"].size(), 1U);
  denied_.clear();
  run_for(minutes(10));
  EXPECT_EQ(state().ledger.pending, 0U);
  EXPECT_TRUE(std::is_sorted(arrived_["secret"].begin(), arrived_["secret"].end()));
}

TEST_F(Policed, SpillMessagesMoveToTheDiskAndKeepTheirOrder) {
  denied_ = {"secret"};
  start();
  publish("secret", Durability::spill);
  run_until_denied("secret");
  for (int i = 0; i < 20; ++i) publish("secret", Durability::spill);
  publish("open", Durability::spill);
  run_for(minutes(1));
  EXPECT_EQ(arrived_["open"].size(), 1U);
  EXPECT_EQ(state().parked, 21U);
  denied_.clear();
  run_for(minutes(10));
  EXPECT_EQ(arrived_["secret"].size(), 21U);
  EXPECT_TRUE(std::is_sorted(arrived_["secret"].begin(), arrived_["secret"].end()));
}

TEST_F(Policed, AForbiddenSubscriptionIsNamedAndAllOthersStand) {
  denied_ = {"cmd/secret"};
  start();
  for (SubscriptionId id = 1; id <= 5; ++id) subscribe(id, "cmd/" + std::to_string(id));
  subscribe(6, "cmd/secret");
  publish("open");
  run_until_denied("cmd/secret");
  EXPECT_EQ(aside("cmd/secret")->reason, Verdict::subscribe_denied);
  run_for(minutes(1));
  EXPECT_EQ(filters_.size(), 5U);
  EXPECT_EQ(arrived_["open"], Numbers{1});
  EXPECT_EQ(state().connection.state, LinkState::connected);
  EXPECT_EQ(given(Verdict::subscribe_denied), 1U);
  denied_.clear();
  run_for(minutes(6));
  EXPECT_TRUE(filters_.contains("cmd/secret"));
  EXPECT_TRUE(state().quarantine.empty());
}

TEST_F(Policed, ASubscriptionDeniedByAnswerIsShown) {
  denied_ = {"cmd/secret"};
  answers_ = true;
  start();
  subscribe(1, "cmd/secret");
  run_for(seconds(1));
  ASSERT_NE(aside("cmd/secret"), nullptr);
  EXPECT_EQ(aside("cmd/secret")->reason, Verdict::subscribe_denied);
  EXPECT_EQ(aside("cmd/secret")->reason_code, 0x87);
  EXPECT_EQ(given(Verdict::subscribe_denied), 1U);
  denied_.clear();
  run_for(seconds(10));
  EXPECT_TRUE(filters_.contains("cmd/secret")) << "its retry is as slow as before";
  EXPECT_EQ(aside("cmd/secret"), nullptr);
}

TEST_F(Policed, AForbiddenBirthMessageDoesNotKeepTheDeviceAway) {
  config_.birth = StatusMessage{"status", "here", Qos::at_least_once, true};
  denied_ = {"status"};
  start();
  publish("open");
  run_until_denied("status");
  run_for(minutes(2));
  EXPECT_EQ(state().connection.state, LinkState::connected);
  EXPECT_EQ(arrived_["open"], Numbers{1});
  EXPECT_EQ(state().parked, 0U) << "it is no message of the ledger";
  denied_.clear();
  run_for(minutes(6));
  EXPECT_EQ(arrived_["status"].size(), 1U) << "this connection's";
  EXPECT_TRUE(state().quarantine.empty());
}

TEST_F(Policed, TopicsOfEachLaneArePassedOver) {
  denied_ = {"secret"};
  start();
  for (LaneIndex lane = 0; lane < 3; ++lane) {
    publish("secret", Durability::durable, lane);
    publish("open", Durability::durable, lane);
  }
  run_until_denied("secret");
  run_for(minutes(1));
  EXPECT_EQ(arrived_["open"].size(), 3U);
  EXPECT_EQ(state().parked, 3U);
  denied_.clear();
  run_for(minutes(6));
  EXPECT_EQ(arrived_["secret"], (Numbers{1, 3, 5})) << "the first lane first";
}

}  // namespace
}  // namespace holdfast::device
