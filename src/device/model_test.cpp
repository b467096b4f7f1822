// Goal: nothing accepted is lost uncounted and it always comes back, whatever order things happen
//       in: DESIGN section 6's no-loss, order, dup-bound, ack-owner, progress and shutdown-bound,
//       as far as the core can keep them.
// Method: a small world on virtual time (a store that forgets what wasn't committed, an engine and
//         a broker that fail in ten ways, an application) driven by a seed. The balance, the
//         window and the order are checked after every step; then the faults stop and everything
//         accepted must arrive. Each seed draws its own mix of faults, and the test fails if a kind
//         of fault was never used. A failure prints its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "device/core.h"
#include "flow/sender.h"
#include "flow/suspicion.h"
#include "sim/seeded_random.h"

namespace holdfast::device {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

using Fault = std::size_t;
constexpr Fault kRefuse = 0;      // an attempt fails
constexpr Fault kHang = 1;        // an attempt never ends
constexpr Fault kDrop = 2;        // the broker closes the connection
constexpr Fault kBlackHole = 3;   // everything sent disappears
constexpr Fault kForget = 4;      // one PUBACK never comes
constexpr Fault kQuota = 5;       // a PUBACK says later
constexpr Fault kDeny = 6;        // a PUBACK says never
constexpr Fault kNewSession = 7;  // the broker has forgotten the session
constexpr Fault kNoStore = 8;     // the store rejects
constexpr Fault kKill = 9;        // kill -9 of the process
constexpr Fault kFaults = 10;

using sim::SeededRandom;

/// What survives kill -9 is what was committed; settlements are soft until a commit.
class ModelStore {
 public:
  struct Record {
    MessagePtr message;
    bool fetched = false;
    bool settled = false;
  };
  void park(const std::vector<std::string>& topics) { parked_ = {topics.begin(), topics.end()}; }
  void give_back(MessageId id) {
    Record& record = records_.at(id);
    ASSERT_TRUE(record.fetched && !record.settled) << "given back, but not held";
    record.fetched = false;
  }
  StoreFetchedParked fetch_parked(const StoreFetchParked& ask) {
    for (auto& [id, record] : records_) {
      if (record.message->topic != ask.topic || record.fetched || record.settled) continue;
      record.fetched = true;
      return {ask.topic, record.message};
    }
    return {ask.topic, nullptr};
  }
  MessageId put(StoredMessage message) {
    message.id = ++last_id_;
    const auto shared = std::make_shared<const StoredMessage>(std::move(message));
    records_.emplace(shared->id, Record{shared, false, false});
    ++ledger_.accepted;
    ++ledger_.pending;
    return shared->id;
  }
  void settle(const StoreSettle& settle) {
    const auto found = records_.find(settle.id);
    ASSERT_TRUE(found != records_.end() && !found->second.settled) << "settled twice";
    found->second.settled = true;
    soft_.push_back(settle);
    count(settle);
  }
  void commit() {
    for (const StoreSettle& settle : soft_) records_.erase(settle.id);
    soft_.clear();
  }
  void reopen() {
    for (const StoreSettle& settle : soft_) {
      --(settle.delivered ? ledger_.delivered : ledger_.dropped.at(index(settle.reason)));
      ++ledger_.pending;
    }
    soft_.clear();
    for (auto& [id, record] : records_) record.fetched = record.settled = false;
    parked_.clear();
  }
  StoreFetched fetch(const StoreFetch& ask) {
    StoreFetched answer{ask.lane, {}, false};
    std::size_t bytes = 0;
    for (auto& [id, record] : records_) {
      if (record.message->lane != ask.lane || record.fetched || record.settled) continue;
      if (parked_.contains(record.message->topic)) continue;
      if (answer.messages.size() == ask.max_count || bytes >= ask.max_bytes) {
        answer.more = true;
        break;
      }
      record.fetched = true;
      bytes += record.message->cost();
      answer.messages.push_back(record.message);
    }
    return answer;
  }
  StoreReport report() const {
    StoreReport report{ledger_, StorageHealth::ok, {0, 0, 0}};
    for (const auto& [id, record] : records_) {
      if (parked_.contains(record.message->topic)) continue;
      if (!record.fetched && !record.settled) ++report.unfetched.at(record.message->lane);
    }
    return report;
  }
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }

 private:
  static std::size_t index(DropReason reason) { return static_cast<std::size_t>(reason); }
  void count(const StoreSettle& settle) {
    ++(settle.delivered ? ledger_.delivered : ledger_.dropped.at(index(settle.reason)));
    --ledger_.pending;
  }

  MessageId last_id_ = 0;
  std::map<MessageId, Record> records_;
  std::vector<StoreSettle> soft_;
  std::set<std::string> parked_;
  Ledger ledger_;
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    for (bool& enabled : enabled_) enabled = random_.below(2) == 0;
    config_.host = "a";
    config_.client_id = "d";
    config_.max_in_flight = static_cast<std::uint16_t>(1 + random_.below(40));
    config_.messages_per_second = random_.below(2) == 0 ? 0 : 200;
    config_.bytes_per_second = 0;
    config_.limits.memory = std::size_t{16 * 1024} << random_.below(5);
    if (random_.below(2) == 0) config_.birth = StatusMessage{"s", "b", Qos::at_least_once, true};
    boot();
  }

  /// So many steps with faults, then healing, then the judgement.
  void live(int turns) {
    for (int i = 0; i < turns && !::testing::Test::HasFatalFailure(); ++i) {
      act_as_application();
      advance(milliseconds(random_.below(random_.below(40) == 0 ? 20000 : 200)));
      if (chance(kKill, 400)) kill();
      if (random_.below(700) == 0) stop_and_start();
    }
    healed_ = true;
    // The longest: a topic that waits for its trial, behind a capped back-off.
    advance(flow::kTrialCap + minutes(12));
    judge();
  }

  std::array<std::uint64_t, kFaults> used{};
  std::uint64_t steps = 0;
  std::uint64_t accepted = 0;
  std::uint64_t repeats = 0;

 private:
  // ---- the process -----------------------------------------------------------------------------

  void boot() {
    core_ = std::make_unique<Core>(config_, random_);
    ++run_;
    tickets_.clear();
    first_sent_.clear();
    unanswered_.clear();
    core_stopped_ = false;
    carry_out(core_->start(now_));
    deliver(store_.report());
    const Ledger ledger = core_->state(now_).ledger;
    ASSERT_EQ(ledger.accepted, store_.ledger().accepted);
    ASSERT_EQ(ledger.pending, store_.ledger().pending);
  }

  void kill() {
    repeats += core_->state(now_).sends_repeated;
    core_.reset();
    agenda_.clear();  // queues and timers of the process, and its connection
    commands_.clear();
    turn_due_ = false;
    attempt_up_ = false;
    store_.reopen();
    boot();
  }

  void stop_and_start() {
    const seconds deadline(5);
    const BootTime by = now_ + deadline;
    deliver(Stop{deadline});
    while (!core_stopped_ && now_ < by && !::testing::Test::HasFatalFailure()) {
      advance(milliseconds(10));
    }
    ASSERT_TRUE(core_stopped_) << "not stopped within the deadline";
    const Ledger ledger = core_->state(now_).ledger;
    ASSERT_EQ(ledger.pending, store_.ledger().pending) << "no volatile message may be left";
    kill();
  }

  void deliver(Event event) {
    if (!core_) return;
    const std::uint64_t before = core_->state(now_).ledger.accepted;
    const bool tick = std::holds_alternative<Tick>(event);
    carry_out(core_->step(now_, std::move(event)));
    ++steps;
    const DeviceState state = core_->state(now_);
    ASSERT_TRUE(state.ledger.balanced());
    ASSERT_GE(state.ledger.accepted, before);
    ASSERT_GT(core_->next_wake(), now_) << "would spin" << (tick ? " on Tick" : "");
    ASSERT_LE(unanswered_.size(), window_) << "over the server's receive maximum";
    accepted += state.ledger.accepted - before;
  }

  void at(Duration delay, std::function<void()> what) {
    agenda_.emplace(now_ + delay, [this, run = run_, what = std::move(what)] {
      if (run == run_) what();
    });
  }

  void advance(Duration time) {
    const BootTime end = now_ + time;
    while (!::testing::Test::HasFatalFailure()) {
      const BootTime next = agenda_.empty() ? kNever : agenda_.begin()->first;
      const BootTime wake = core_->next_wake();
      if (std::min(next, wake) > end) break;
      now_ = std::max(now_, std::min(next, wake));
      if (next <= wake) {
        auto what = std::move(agenda_.begin()->second);
        agenda_.erase(agenda_.begin());
        what();
      } else {
        deliver(Tick{});
      }
    }
    now_ = std::max(now_, end);
  }

  bool chance(Fault fault, std::uint64_t one_in) {
    if (healed_ || !enabled_.at(fault) || random_.below(one_in) != 0) return false;
    ++used.at(fault);
    return true;
  }
  Duration soon() { return milliseconds(random_.below(30)); }

  // ---- the application -------------------------------------------------------------------------

  void act_as_application() {
    switch (random_.below(40)) {
      case 0:
        return deliver(ReconnectNow{});
      case 1:
        return deliver(
            Subscribe{++last_sub_, "f/" + std::to_string(random_.below(20)), Qos::at_least_once});
      case 2:
        return deliver(Unsubscribe{random_.below(last_sub_ + 1)});
      case 3:
        return reload();
      default:
        break;
    }
    Publish publish;
    for (std::uint64_t n = random_.below(random_.below(10) == 0 ? 60 : 6); n > 0; --n) {
      Publish::Item item;
      item.ticket = ++last_ticket_ | (random_.below(3) == 0 ? kUntilAccepted : 0);
      item.durability = random_.below(3) == 0 ? Durability::memory : Durability::durable;
      item.message.lane = static_cast<LaneIndex>(random_.below(3));
      item.message.qos = random_.below(4) == 0 ? Qos::at_most_once : Qos::at_least_once;
      item.message.topic = "t";
      item.message.payload.resize(random_.below(random_.below(20) == 0 ? 20000 : 400));
      tickets_[item.ticket] = 0;
      publish.items.push_back(std::move(item));
    }
    deliver(std::move(publish));
  }

  void reload() {
    if (random_.below(2) == 0) {
      config_.max_in_flight = static_cast<std::uint16_t>(1 + random_.below(40));
    } else {
      config_.host = config_.host == "a" ? "b" : "a";
    }
    deliver(Reload{std::make_shared<const Config>(config_)});
  }

  void act(GiveReceipt& give) {
    const auto found = tickets_.find(give.ticket);
    ASSERT_TRUE(found != tickets_.end()) << "a receipt nobody waits for";
    const Receipt& receipt = give.receipt;
    switch (receipt.kind) {
      case ReceiptKind::accepted:
        ASSERT_EQ(found->second, 0U);
        ASSERT_EQ(receipt.last, !follows_to_end(give.ticket));
        found->second = receipt.id;
        if (!receipt.last) return;
        break;
      case ReceiptKind::rejected:
        ASSERT_EQ(found->second, 0U);
        break;
      case ReceiptKind::delivered:
        ASSERT_EQ(found->second, receipt.id);
        ASSERT_TRUE(received_.contains(receipt.id)) << "never reached the broker";
        break;
      case ReceiptKind::dropped:
        ASSERT_EQ(found->second, receipt.id);
        if (receipt.dropped == DropReason::refused) {
          ASSERT_TRUE(denied_.contains(receipt.id));
        }
        break;
    }
    tickets_.erase(found);
  }

  // ---- the store: a turn takes what has come since the last one --------------------------------

  template <class C>
  void to_store(C&& command) {
    commands_.push_back(std::forward<C>(command));
    if (turn_due_) return;
    turn_due_ = true;
    at(random_.below(50) == 0 ? Duration(seconds(1)) : soon(), [this] { store_turn(); });
  }
  void act(StoreAppend& a) { to_store(std::move(a)); }
  void act(StoreFetch& a) { to_store(a); }
  void act(StoreSettle& a) { to_store(a); }
  void act(StoreFetchParked& a) { to_store(std::move(a)); }
  void act(StorePark& a) { to_store(std::move(a)); }
  void act(StoreGiveBack& a) { to_store(a); }
  void act(const StoreSync&) { FAIL() << "no power fails in this world"; }
  void act(const Saved&) {}
  void act(const Away&) {}
  void act(StoreEvict&) { FAIL() << "no lane of this world has limits"; }
  void act(StoreRules&) { FAIL() << "no lane of this world has rules"; }
  void act(StoreClose& a) { to_store(a); }

  void store_turn() {
    turn_due_ = false;
    StoreAppended appended;
    std::vector<StoreFetch> fetches;
    std::vector<StoreFetchParked> trials;
    bool close = false;
    for (auto& command : std::exchange(commands_, {})) {
      if (auto* append = std::get_if<StoreAppend>(&command)) {
        const bool full = chance(kNoStore, 30);
        for (auto& item : append->items) {
          const LaneIndex lane = item.message->lane;
          const MessageId id = full ? 0 : store_.put(*item.message);
          const RejectReason rejected = full ? RejectReason::outbox_full : RejectReason::none;
          appended.items.push_back({item.ticket, id, lane, rejected, item.gated, item.message});
        }
      } else if (const auto* settle = std::get_if<StoreSettle>(&command)) {
        store_.settle(*settle);
      } else if (const auto* fetch = std::get_if<StoreFetch>(&command)) {
        fetches.push_back(*fetch);
      } else if (const auto* trial = std::get_if<StoreFetchParked>(&command)) {
        trials.push_back(*trial);
      } else if (const auto* park = std::get_if<StorePark>(&command)) {
        store_.park(park->topics);
      } else if (const auto* back = std::get_if<StoreGiveBack>(&command)) {
        store_.give_back(back->id);
      } else {
        close = true;
      }
    }
    if (close || !appended.items.empty()) store_.commit();
    const std::uint64_t run = run_;
    if (!appended.items.empty()) deliver(std::move(appended));
    for (const StoreFetchParked& trial : trials) {
      if (run == run_ && !close) deliver(store_.fetch_parked(trial));
    }
    for (const StoreFetch& fetch : fetches) {
      if (run == run_ && !close) deliver(store_.fetch(fetch));
    }
    deliver(store_.report());
    if (close) deliver(StoreClosed{});
  }

  // ---- engine and broker -----------------------------------------------------------------------

  void act(EngineConnect& connect) {
    ASSERT_FALSE(attempt_up_);
    ASSERT_GT(connect.request->attempt, attempt_ * (run_ == attempt_run_ ? 1 : 0));
    attempt_ = connect.request->attempt;
    attempt_run_ = run_;
    ++connection_;
    black_hole_ = false;
    if (chance(kHang, 20)) return;
    if (chance(kRefuse, 3)) {
      const auto verdict = static_cast<Verdict>(2 + random_.below(kVerdicts - 2));
      const env::Failure failure{verdict, 0, "model"};
      return on_connection(soon(), [this, failure] { deliver(EngineFailed{attempt_, failure}); });
    }
    on_connection(soon(), [this] {
      env::UpInfo info;
      info.session_present = session_ && !chance(kNewSession, 4);
      session_ = true;
      info.receive_maximum = static_cast<std::uint16_t>(1 + random_.below(50));

      attempt_up_ = true;
      unanswered_.clear();
      if (chance(kDrop, 3)) drop_after(milliseconds(random_.below(20000)));
      if (chance(kBlackHole, 5)) {
        on_connection(milliseconds(random_.below(20000)), [this] {
          black_hole_ = true;
          end_connection(seconds(30), Verdict::silent_peer);
        });
      }
      window_ = info.receive_maximum;
      deliver(EngineUp{attempt_, info});
    });
  }

  /// Runs unless this connection is over by then; sometimes late anyway, as queued events are.
  void on_connection(Duration delay, std::function<void()> what) {
    at(delay, [this, connection = connection_, what = std::move(what)] {
      if (connection == connection_) what();
    });
  }
  void end_connection(Duration delay, Verdict verdict) {
    on_connection(delay, [this, verdict] {
      attempt_up_ = false;
      ++connection_;
      unanswered_.clear();
      deliver(EngineDown{attempt_, {verdict, 0, "model"}});
    });
  }
  void drop_after(Duration delay) { end_connection(delay, Verdict::server_gone); }

  void act(EnginePublish& publish) {
    ASSERT_TRUE(attempt_up_);
    ASSERT_EQ(publish.attempt, attempt_);
    ASSERT_TRUE(unanswered_.insert(publish.token).second) << "sent twice at once";
    if (publish.token != flow::kBirthToken) check_order(publish);
    if (random_.below(20) == 0) answer_too_late(publish.token);
    if (black_hole_) return;
    on_connection(soon(), [this, token = publish.token, attempt = attempt_] {
      if (black_hole_) return;
      std::uint8_t code = 0;
      if (chance(kQuota, 40)) code = 0x97;
      if (chance(kDeny, 60)) code = 0x87;
      if (code == 0) received_.insert(token);
      if (code == 0x87) denied_.insert(token);
      if (chance(kForget, 400)) return;
      on_connection(soon(), [this, token, attempt, code] {
        if (black_hole_) return;
        unanswered_.erase(token);
        deliver(EnginePublished{attempt, token, code});
      });
    });
  }

  /// An answer of the attempt before, which was queued when that one ended.
  void answer_too_late(env::Token token) {
    at(Duration::zero(), [this, token, old = attempt_ - 1] {
      deliver(EnginePublished{old, token, 0});
    });
  }

  void check_order(const EnginePublish& publish) {
    const auto kind = std::make_pair(publish.message->lane, is_volatile(publish.token));
    MessageId& last = first_sent_[kind].first;
    std::set<MessageId>& seen = first_sent_[kind].second;
    if (!seen.insert(publish.token).second) return;
    ASSERT_GT(publish.token, last) << "first sends out of order";
    last = publish.token;
  }

  template <class Ask>
  void answer_request(const Ask& ask) {
    ASSERT_TRUE(attempt_up_);
    ASSERT_LE(ask.filters.size(), 8U);
    std::vector<std::uint8_t> codes(ask.filters.size(), 0);
    if (!healed_ && random_.below(10) == 0) codes.at(0) = 0x87;
    on_connection(soon(), [this, token = ask.token, codes] {
      if (!black_hole_) deliver(device::EngineSubscribed{attempt_, token, codes});
    });
  }
  void act(EngineSubscribe& a) { answer_request(a); }
  void act(EngineUnsubscribe& a) { answer_request(a); }
  void act(EngineTaken&) {}
  void act(EngineDisconnect&) {
    ASSERT_TRUE(attempt_up_);
    if (!black_hole_) end_connection(soon(), Verdict::none);
  }
  void act(EngineAbort&) {
    attempt_up_ = false;
    ++connection_;
    unanswered_.clear();
  }
  void act(ProbeEndpoint&) {}
  void act(LookUpName&) {}
  void act(CheckNetwork&) {}
  void act(RememberEndpoint&) {}
  void act(GiveMessage&) {}
  void act(GiveConnection&) {}
  void act(Log& log) { ASSERT_FALSE(log.line.text.empty()); }
  void act(Stopped&) { core_stopped_ = true; }

  void carry_out(Actions actions) {
    for (Action& action : actions) {
      std::visit([this](auto& a) { act(a); }, action);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }

  // ---- the judgement ---------------------------------------------------------------------------

  void judge() {
    const DeviceState state = core_->state(now_);
    ASSERT_EQ(state.connection.state, LinkState::connected) << to_string(state.connection.verdict);
    ASSERT_EQ(state.ledger.pending, 0U) << "not everything has arrived";
    ASSERT_EQ(state.ledger.accepted, state.ledger.delivered + state.ledger.dropped_total());
    ASSERT_EQ(store_.ledger().pending, 0U);
    ASSERT_TRUE(store_.ledger().balanced());
    for (MessageId id = 1; id <= store_.ledger().accepted; ++id) {
      ASSERT_TRUE(received_.contains(id) || denied_.contains(id)) << "lost: " << id;
    }
    for (const auto& [ticket, id] : tickets_) ASSERT_EQ(ticket, 0U) << "no end for " << id;
    repeats += state.sends_repeated;
  }

  SeededRandom random_;
  Config config_;
  std::array<bool, kFaults> enabled_{};
  bool healed_ = false;
  BootTime now_{hours(1)};
  std::multimap<BootTime, std::function<void()>> agenda_;

  std::unique_ptr<Core> core_;
  std::uint64_t run_ = 0;
  bool core_stopped_ = false;
  Ticket last_ticket_ = 0;
  SubscriptionId last_sub_ = 0;
  std::map<Ticket, MessageId> tickets_;
  std::map<std::pair<LaneIndex, bool>, std::pair<MessageId, std::set<MessageId>>> first_sent_;

  ModelStore store_;
  std::vector<std::variant<StoreAppend, StoreFetch, StoreFetchParked, StorePark, StoreGiveBack,
                           StoreSettle, StoreClose>>
      commands_;
  bool turn_due_ = false;

  env::AttemptId attempt_ = 0;
  std::uint64_t attempt_run_ = 0;
  std::uint64_t connection_ = 0;  ///< Outdates what was planned for the one before.
  bool attempt_up_ = false;
  bool black_hole_ = false;
  bool session_ = false;
  std::size_t window_ = 65535;
  std::set<env::Token> unanswered_;
  std::set<MessageId> received_;
  std::set<MessageId> denied_;
};

TEST(Model, NothingIsLostUncountedAndItAlwaysComesBack) {
  std::array<std::uint64_t, kFaults> used{};
  std::uint64_t steps = 0;
  std::uint64_t accepted = 0;
  std::uint64_t repeats = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    world.live(400);
    if (HasFatalFailure()) return;
    for (std::size_t i = 0; i < kFaults; ++i) used.at(i) += world.used.at(i);
    steps += world.steps;
    accepted += world.accepted;
    repeats += world.repeats;
  }
  for (std::size_t i = 0; i < kFaults; ++i) EXPECT_GT(used.at(i), 0U) << "fault " << i << " unused";
  EXPECT_GT(repeats, 0U);
  std::printf("%llu steps, %llu messages accepted, %llu repeats\n",
              static_cast<unsigned long long>(steps), static_cast<unsigned long long>(accepted),
              static_cast<unsigned long long>(repeats));
}

TEST(Model, TheSameSeedGivesTheSameRun) {
  World a(5);
  World b(5);
  a.live(100);
  b.live(100);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.accepted, b.accepted);
  EXPECT_EQ(a.used, b.used);
}

}  // namespace
}  // namespace holdfast::device
