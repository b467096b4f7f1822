// Goal:   no order of events makes the core break an invariant of its own, miscount, send past the
//         window, hold more than its memory, give a wrong receipt, spin, or get stuck.
// Method: the input is a configuration and a row of events, as hostile as the contracts of
//         events.h, engine.h and outbox.h allow. core_books.h checks each step. Then all is healed,
//         and everything accepted must come to its end.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "device/admission.h"
#include "device/core.h"
#include "fuzz/core_books.h"
#include "fuzz/core_store.h"
#include "sim/seeded_random.h"

namespace {

using namespace holdfast;          // NOLINT: a short program
using namespace holdfast::device;  // NOLINT
using fuzz::Choices;
using fuzz::require;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kEventsMost = 2000;
constexpr std::size_t kMessagesMost = 600;
/// Steps of the world until everything accepted must have come to its end.
constexpr int kHealingMost = 100'000;
/// Wake-ups without any action, one behind the other, must take at least this together.
constexpr int kIdleTicks = 16;
constexpr Duration kIdleLeast = milliseconds(1);
constexpr BootTime kBegin{hours(3)};
/// Later, times a message's expiry away could no longer be told.
constexpr BootTime kEnd{hours(24 * 365 * 100)};

Config choose_config(Choices& in) {
  constexpr std::array kLanes{"a", "b", "c", "d", "e", "f", "g", "h"};
  constexpr std::array kMemory{64, 64, 128, 1024};
  constexpr std::array kWindows{1, 2, 5, 100, 1000};
  constexpr std::array kTimes{100, 1000, 5000, 30'000, 120'000};
  Config config;
  config.host = "a";
  config.client_id = "d";
  config.lanes.assign(kLanes.begin(), kLanes.begin() + 1 + static_cast<int>(in.below(8)));
  config.max_in_flight = static_cast<std::uint16_t>(kWindows.at(in.below(kWindows.size())));
  config.messages_per_second = in.one_in(3) ? 1 + in.byte() * 4U : 0;
  config.bytes_per_second = in.one_in(3) ? 4096 + in.byte() * 256U : 0;
  config.limits.memory = static_cast<std::size_t>(kMemory.at(in.below(4))) * 1024;
  const auto time = [&] { return milliseconds(kTimes.at(in.below(kTimes.size()))); };
  config.timing.silent_after = std::max<Milliseconds>(time(), seconds(1));
  if (in.one_in(4)) config.failover.follow_dns = std::max<Milliseconds>(time(), seconds(1));
  if (in.one_in(4)) config.lane_rules[config.lanes.front()].metered = WhenMetered::hold;
  config.timing.backoff_first = time();
  config.timing.backoff_cap = time();
  config.timing.stable_after = in.one_in(4) ? milliseconds(0) : time();
  config.timing.health_interval = std::max<Milliseconds>(time(), seconds(1));
  config.outbox.spill_after = std::max<Milliseconds>(time(), seconds(1));
  config.outbox.on_fault = in.one_in(2) ? OnFault::memory : OnFault::reject;
  if (in.one_in(2)) {
    config.birth = StatusMessage{"s", "b", static_cast<Qos>(in.below(2)), true};
  }
  if (in.one_in(3)) config.lane_rules[config.lanes.back()].max_age = seconds(1 + in.byte());
  return config;
}

class World {
 public:
  explicit World(Choices& in)
      : in_(in),
        config_(choose_config(in)),
        random_(in.byte()),
        follow_all_(!in.one_in(4)),
        backlog_(in.one_in(3) ? in.below(20) : 0),
        store_(config_, in.below(3)),
        books_(config_) {}

  void run() {
    begin();
    for (std::size_t i = 0; i < kEventsMost && !in_.over() && !stopped_; ++i) act();
    heal();
    if (stopped_) after_the_end();
  }

 private:
  enum class Engine : std::uint8_t { none, connecting, up, leaving };

  void begin() {
    for (std::size_t i = 0; i < backlog_; ++i) {
      StoredMessage message = choose_message();
      books_.planted(message);
      store_.plant(std::move(message), now_);
    }
    const Opening opening{static_cast<std::uint32_t>(in_.below(3)), store_.last_id()};
    core_ = std::make_unique<Core>(config_, random_, opening);
    carry_out(core_->start(now_));
    StoreReport report = store_.report(in_);
    books_.opened(report.ledger);
    step(std::move(report));
  }

  // ---- one event -------------------------------------------------------------------------------

  void act() {
    const std::size_t what = in_.below(32);
    if (what < 6) return publish();
    if (what < 9) return store_.turn(in_, now_);
    if (what < 12) return deliver(1);
    if (what < 14) return deliver(in_.byte());
    if (what < 17) return engine_goes_on();
    if (what < 20) return answer(in_.below(4));
    if (what < 21) return answer(flight().size());
    if (what < 22) return answer_request();
    if (what < 24) return tick(1);
    if (what < 25) return tick(10);
    if (what < 27) return pass();
    if (what < 28) return stray_answer();
    if (what < 29) return wish();
    if (what < 30) return message();
    if (what < 31) return reload();
    if (in_.one_in(8)) return stop();
    if (in_.one_in(4)) return circumstances();
    step(ReconnectNow{});
  }

  /// Power, networks and names: what the device is told of its surroundings.
  void circumstances() {
    switch (in_.below(3)) {
      case 0:
        return step(Posture{in_.one_in(2), in_.one_in(2), in_.byte()});
      case 1: {
        NetworkState network;
        network.managed = in_.one_in(2);
        network.connectivity = static_cast<Connectivity>(in_.below(5));
        network.metered = static_cast<Metered>(in_.below(5));
        return step(NetworkNews{std::make_shared<const NetworkState>(std::move(network))});
      }
      default:
        return step(NameLookedUp{in_.one_in(2) ? "a" : "b", in_.one_in(2) ? "c" : ""});
    }
  }

  StoredMessage choose_message() {
    constexpr std::array kSizes{0, 1, 40, 300, 3000, 30'000, 131'072};
    for (;;) {
      Message message;
      message.topic = std::string(1, static_cast<char>('a' + in_.below(4)));
      message.payload.resize(
          static_cast<std::size_t>(kSizes.at(std::min(in_.below(16), in_.below(7)))));
      message.qos = static_cast<Qos>(in_.below(2));
      message.lane = config_.lanes.at(in_.below(config_.lanes.size()));
      if (in_.one_in(4)) message.expiry = seconds(std::int64_t{1} << in_.below(32));
      if (in_.one_in(4)) message.key = "k";
      Admission admitted = admit(std::move(message), config_);
      if (admitted.rejected == RejectReason::none) return std::move(admitted.message);
      require(in_.over(), "a good message is refused");
    }
  }

  void publish() {
    Publish publish;
    for (std::size_t n = 1 + in_.below(8); n > 0 && last_ticket_ < kMessagesMost; --n) {
      const std::size_t kind = in_.below(8);
      Publish::Item item;
      item.ticket = ++last_ticket_;
      if (!follow_all_ && in_.one_in(2)) item.ticket |= kUntilAccepted;
      item.durability = static_cast<Durability>(kind % 3);
      item.message = choose_message();
      books_.publishes(item);
      publish.items.push_back(std::move(item));
    }
    step(std::move(publish));
  }

  void deliver(std::size_t count) {
    for (; count > 0 && !store_.inbox.empty(); --count) {
      Event event = std::move(store_.inbox.front());
      store_.inbox.pop_front();
      store_closed_ = store_closed_ || std::holds_alternative<StoreClosed>(event);
      step(std::move(event));
    }
  }

  env::Failure choose_failure() {
    env::Failure failure;
    failure.verdict = static_cast<Verdict>(in_.below(kVerdicts));
    failure.reason_code = in_.byte();
    failure.detail.assign(in_.one_in(8) ? 2000 : 3, 'x');
    return failure;
  }

  void engine_goes_on() {
    if (engine_ == Engine::none) return;
    if (engine_ == Engine::connecting) {
      if (in_.below(4) != 0) return engine_up(in_.one_in(2), in_.byte());
      return engine_ends(EngineFailed{attempt_, choose_failure()});
    }
    engine_ends(EngineDown{attempt_, choose_failure()});
  }
  void engine_up(bool session, std::uint16_t receive_maximum) {
    engine_ = Engine::up;
    env::UpInfo info;
    info.session_present = session;
    info.receive_maximum = receive_maximum;
    books_.attempt = attempt_;
    books_.connected(std::max<std::uint16_t>(receive_maximum, 1));
    step(EngineUp{attempt_, info});
  }
  template <class End>
  void engine_ends(End event) {
    connection_over();
    step(std::move(event));
  }
  void connection_over() {
    for (const env::Token token : flight()) stale_.emplace_back(attempt_, token);
    engine_ = Engine::none;
    books_.attempt = 0;
    books_.disconnected();
    request_.reset();
    untaken_.clear();
  }

  /// One in flight is answered: a PUBACK, or the engine did not take it.
  void answer(std::size_t count) {
    for (; count > 0 && !flight().empty(); --count) {
      auto token = flight().begin();
      std::advance(token, static_cast<std::ptrdiff_t>(in_.below(flight().size())));
      const std::size_t how = in_.below(8);
      stale_.emplace_back(attempt_, *token);  // ... and may be answered again
      if (how == 7) {
        step(EngineRefused{attempt_, *token, static_cast<Errc>(in_.below(16))});
      } else {
        step(EnginePublished{attempt_, *token, how < 5 ? std::uint8_t{0} : in_.byte()});
      }
    }
  }
  void answer_request() {
    if (!request_) return;
    const auto [token, count] = *std::exchange(request_, std::nullopt);
    if (in_.one_in(6)) {
      return step(EngineRefused{attempt_, token, static_cast<Errc>(in_.below(16))});
    }
    std::vector<std::uint8_t> codes(in_.one_in(6) ? in_.below(12) : count);
    for (std::uint8_t& code : codes) code = in_.one_in(4) ? in_.byte() : 1;
    step(EngineSubscribed{attempt_, token, std::move(codes)});
  }
  /// What was queued when its attempt ended, or belongs to nothing.
  void stray_answer() {
    env::AttemptId attempt = in_.one_in(2) ? attempt_ : attempt_ - in_.below(3);
    env::Token token = flow::kBirthToken + in_.below(4);
    if (!stale_.empty() && in_.one_in(2)) {
      std::tie(attempt, token) = stale_.at(in_.byte() % stale_.size());
    }
    const bool over = attempt != attempt_ || engine_ == Engine::none;
    if (!over && request_ && token == request_->first) return answer_request();
    switch (in_.below(7)) {
      case 0:
        return step(EnginePublished{attempt, token, in_.byte()});
      case 1:
        return step(EngineRefused{attempt, token, static_cast<Errc>(in_.below(16))});
      case 2:
        if (over) step(EngineSubscribed{attempt, token, {0, 0x87}});
        return;
      case 3:
        if (over) step(EngineMessage{attempt, {}});
        if (in_.below(2) == 0) step(MessageTaken{in_.below(300)});
        return;
      case 4:
        if (over) step(EngineUp{attempt, {}});
        return;
      case 5:
        if (over) step(EngineFailed{attempt, choose_failure()});
        return;
      default:
        if (over) step(EngineDown{attempt, choose_failure()});
        return;
    }
  }
  void message() {
    if (engine_ != Engine::up && engine_ != Engine::leaving) return;
    env::Arrival arrival;
    arrival.message.topic = std::string("f/") + static_cast<char>('a' + in_.below(8));
    arrival.ticket = in_.below(8);
    arrival.again = arrival.ticket != 0 && !untaken_.insert(arrival.ticket).second;
    if (arrival.again) arrival.ticket = 0;
    step(EngineMessage{attempt_, std::move(arrival)});
  }

  // ---- wishes ----------------------------------------------------------------------------------

  void wish() {
    if (in_.one_in(3)) {
      const SubscriptionId id = in_.below(last_wish_ + 2);
      wanted_.erase(id);
      return step(Unsubscribe{id});
    }
    if (wanted_.size() >= config_.limits.subscriptions) return;
    std::string filter = std::string("f/") + static_cast<char>('a' + in_.below(12));
    if (in_.one_in(6)) filter = "f/#";
    wanted_[++last_wish_] = filter;
    step(Subscribe{last_wish_, std::move(filter), static_cast<Qos>(in_.below(2))});
  }

  void reload() {
    Config next = choose_config(in_);
    if (in_.one_in(3)) next.host = "b";
    if (!stopping_) {
      std::vector<std::string> lanes = std::move(config_.lanes);
      config_ = next;
      config_.lanes = std::move(lanes);
      books_.reloads();
    }
    step(Reload{std::make_shared<const Config>(std::move(next))});
  }

  void stop() {
    constexpr std::array kDeadlines{-1, 0, 100, 5000, 600'000};
    const Duration deadline = milliseconds(kDeadlines.at(in_.below(kDeadlines.size())));
    if (!stopping_) stop_by_ = now_ + std::max(deadline, Duration::zero());
    stopping_ = true;
    books_.stops();
    step(Stop{deadline});
  }

  // ---- time ------------------------------------------------------------------------------------

  void tick(int count) {
    for (; count > 0 && !stopped_; --count) {
      const BootTime wake = core_->next_wake();
      if (wake >= kEnd) return;
      now_ = std::max(now_, wake);
      step(Tick{});
    }
  }
  void pass() {
    constexpr Duration kSteps[] = {
        Duration(0), Duration(1), milliseconds(1), milliseconds(90), seconds(1),
        seconds(7),  seconds(61), hours(1),        hours(24 * 60),   hours(24 * 3650)};
    now_ = std::min(kEnd, now_ + kSteps[in_.below(std::size(kSteps))]);
    if (in_.one_in(2)) step(Tick{});
  }

  // ---- events in, actions out ------------------------------------------------------------------

  void step(Event event) {
    if (stopped_) return;
    const bool due = std::holds_alternative<Tick>(event) && now_ >= core_->next_wake();
    books_.sees(event);
    Actions actions = core_->step(now_, std::move(event));
    check_pace(due && actions.empty());
    carry_out(std::move(actions));
    books_.check(core_->state(now_));
    require(core_->next_wake() > now_, "a wake-up that is due at once");
    require(stopped_ || now_ < stop_by_, "not stopped by the deadline");
  }
  void check_pace(bool idle) {
    if (!idle) {
      idle_ticks_ = 0;
    } else if (idle_ticks_++ == 0) {
      idle_since_ = now_;
    } else if (idle_ticks_ == kIdleTicks) {
      require(now_ - idle_since_ >= kIdleLeast, "wake-ups for nothing");
      idle_ticks_ = 0;
    }
  }
  void carry_out(Actions actions) {
    for (Action& action : actions) {
      require(!stopped_, "something is wanted after Stopped");
      std::visit([this](auto& what) { on(what); }, action);
    }
  }

  void on(StoreAppend& append) {
    books_.appends(append);
    to_store(std::move(append));
  }
  void on(StoreSettle& settle) {
    books_.settles(settle);
    to_store(settle);
  }
  void on(StoreFetch& fetch) {
    require(fetch.max_count > 0 && fetch.max_bytes > 0, "a fetch of nothing");
    to_store(fetch);
  }
  void on(StoreFetchParked& fetch) { to_store(std::move(fetch)); }
  void on(StorePark& park) {
    books_.parks(park);
    to_store(std::move(park));
  }
  void on(StoreGiveBack& back) {
    books_.gives_back(back);
    to_store(back);
  }
  void on(StoreEvict& evict) { to_store(evict); }
  void on(StoreRules& rules) { to_store(std::move(rules)); }
  void on(StoreSync& sync) { to_store(sync); }
  void on(StoreClose& close) {
    require(stopping_, "closed without a stop");
    to_store(close);
    closing_ = true;
  }
  void to_store(StoreCommand command) {
    // What would be answered comes too late; an end is safe to be forgotten.
    const bool asks =
        std::holds_alternative<StoreAppend>(command) || std::holds_alternative<StoreFetch>(command);
    require(!closing_ || !asks, "asked after the close");
    if (!closing_) store_.push(std::move(command));
  }
  void on(EngineConnect& connect) {
    require(engine_ == Engine::none && !stopping_, "an attempt that must not be");
    require(connect.request->attempt > attempt_, "an attempt's number is used again");
    attempt_ = connect.request->attempt;
    engine_ = Engine::connecting;
  }
  void on(EnginePublish& publish) {
    require(engine_ == Engine::up && publish.attempt == attempt_, "sent without a connection");
    books_.sends(publish);
  }
  void ask(env::AttemptId attempt, env::Token token, std::size_t count) {
    require(engine_ == Engine::up && attempt == attempt_, "asked without a connection");
    require(!request_ && count > 0 && count <= limits::kFiltersPerSubscribe, "a wrong request");
    request_.emplace(token, count);
  }
  void on(EngineSubscribe& ask_for) { ask(ask_for.attempt, ask_for.token, ask_for.filters.size()); }
  void on(EngineUnsubscribe& end) { ask(end.attempt, end.token, end.filters.size()); }
  void on(EngineTaken& taken) {
    require(taken.attempt == attempt_, "an answer on a connection that is over");
    require(untaken_.erase(taken.ticket) == 1, "a message is acknowledged that does not wait");
  }
  void on(EngineDisconnect&) {
    require(engine_ == Engine::up, "a DISCONNECT without a connection");
    engine_ = Engine::leaving;
  }
  void on(EngineAbort&) {
    require(engine_ != Engine::none, "nothing is there to be aborted");
    connection_over();
  }
  void on(ProbeEndpoint&) {}
  void on(LookUpName& look) { require(!look.host.empty(), "a look-up of nothing"); }
  void on(CheckNetwork&) {}
  void on(Saved&) {}
  void on(Away&) { require(engine_ == Engine::none, "away, and connected"); }
  void on(RememberEndpoint&) {}
  void on(GiveReceipt& give) { books_.gives(give); }
  void on(GiveMessage& give) {
    for (const auto& [id, filter] : wanted_) {
      const bool wants = filter == "f/#" || filter == give.message.topic;
      require(!give.to.empty() || !wants, "a message for nobody, and somebody wants it");
    }
    for (const SubscriptionId id : give.to) {
      const auto wish = wanted_.find(id);
      require(wish != wanted_.end(), "a message for one that has unsubscribed");
      require(wish->second == "f/#" || wish->second == give.message.topic, "a wrong message");
    }
  }
  void on(GiveConnection& give) { require(give.state.retry_in.count() >= 0, "a wait below zero"); }
  void on(Log& log) {
    require(!log.line.text.empty() && log.line.text.size() < 2048, "a line without end");
  }
  void on(Stopped&) {
    require(stopping_, "stopped by nobody");
    require(!store_closed_ || !books_.volatile_left(), "stopped in order, but RAM is not empty");
    stopped_ = true;
  }

  // ---- the judgement ---------------------------------------------------------------------------

  /// The store takes all, the broker answers all, time goes on: everything must come to its end.
  void heal() {
    store_.heal();
    step(Posture{});
    step(NetworkNews{std::make_shared<const NetworkState>()});
    store_.turn(in_, now_);  // tells what can be read again
    for (int i = 0; i < kHealingMost && !stopped_; ++i) {
      if (!store_.idle()) {
        store_.turn(in_, now_);
        deliver(256);
      } else if (engine_ == Engine::connecting) {
        engine_up(false, 65535);
      } else if (engine_ == Engine::leaving) {
        engine_ends(EngineDown{attempt_, {Verdict::none, 0, {}}});
      } else if (engine_ == Engine::up && !flight().empty()) {
        step(EnginePublished{attempt_, *flight().begin(), 0});
      } else if (engine_ == Engine::up && request_) {
        const auto [token, count] = *std::exchange(request_, std::nullopt);
        step(EngineSubscribed{attempt_, token, std::vector<std::uint8_t>(count)});
      } else if (!stopping_ && core_->state(now_).ledger.pending == 0) {
        return require(books_.all_ended(), "all is over, but somebody still waits");
      } else {
        require(core_->next_wake() < kNever, "waits for nothing");
        now_ = std::max(now_, core_->next_wake());
        step(Tick{});
      }
    }
    require(stopped_, "something never ends");
  }

  void after_the_end() {
    require(core_->next_wake() == kNever, "wakes up after Stopped");
    require(core_->step(now_ + hours(1), Tick{}).empty(), "acts after Stopped");
  }

  [[nodiscard]] const std::set<env::Token>& flight() const { return books_.flight(); }

  Choices& in_;
  Config config_;
  sim::SeededRandom random_;
  bool follow_all_;
  std::size_t backlog_;
  fuzz::FuzzStore store_;
  fuzz::CoreBooks books_;
  std::unique_ptr<Core> core_;
  BootTime now_ = kBegin;
  Ticket last_ticket_ = 0;
  SubscriptionId last_wish_ = 0;
  std::map<SubscriptionId, std::string> wanted_;
  std::set<env::Token> untaken_;  ///< Tickets of messages that the broker waits for.

  Engine engine_ = Engine::none;
  env::AttemptId attempt_ = 0;
  std::optional<std::pair<env::Token, std::size_t>> request_;  ///< Unanswered: how many filters.
  std::vector<std::pair<env::AttemptId, env::Token>> stale_;

  bool stopping_ = false;
  bool closing_ = false;
  bool store_closed_ = false;
  bool stopped_ = false;
  BootTime stop_by_ = kNever;
  int idle_ticks_ = 0;
  BootTime idle_since_{};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices in(std::span(data, size));
  World(in).run();
  return 0;
}
