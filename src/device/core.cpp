// See core.h. Each event has its on(); run() follows every one of them: it lets link decide, tells
// flow what changed, and hands on what the two want done.
#include "device/core.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "device/accounts.h"
#include "device/birth.h"
#include "device/disk_watch.h"
#include "device/quarantine.h"
#include "device/sayings.h"
#include "device/settings.h"
#include "device/store_turn.h"
#include "flow/inbound.h"
#include "flow/prefix.h"
#include "flow/reason.h"
#include "flow/sender.h"
#include "flow/subscriptions.h"
#include "flow/suspicion.h"
#include "link/endpoint_config.h"
#include "link/supervisor.h"

namespace holdfast::device {
namespace {

using std::chrono::milliseconds;

/// How long stop() lets messages on their way arrive before it says goodbye.
constexpr Duration kDrainTime = milliseconds(500);
/// An answered message is settled, gives a receipt and makes room for another.
constexpr std::size_t kActionsUsual = 4;
/// With answers coming, one message may stay unanswered for so many times silent_after.
constexpr int kOldestUnanswered = 2;

/// Messages that could not be moved to disk are tried again after this.
constexpr Duration kSpillRetry = std::chrono::seconds(5);
/// ... while the device stops, or once the disk is well again, after this.
constexpr Duration kSpillRetrySoon = milliseconds(500);

}  // namespace

struct Core::Impl {
  Impl(Config config_in, env::Random& random, const Opening& opening)
      : config(std::move(config_in)),
        supervisor(config, random),
        sender(config),
        subscriptions(flow::kBirthToken, random),
        last_volatile(first_volatile_id(opening.epoch, random)) {
    supervisor.start_at(opening.endpoint);
    sender.ids_up_to(opening.last_id);
    subscriptions.verify_every(verification(config));
  }

  // ---- messages --------------------------------------------------------------------------------

  void on(const Tick&) {}

  void on(Publish& publish) {
    StoreAppend append;
    for (Publish::Item& item : publish.items) {
      if (stopping) {
        reject(item.ticket, RejectReason::stopping);
      } else if (item.durability == Durability::memory) {
        if (!hold(item.ticket, item.message, false)) reject(item.ticket, RejectReason::queue_full);
      } else if (item.durability == Durability::durable) {
        auto message = std::make_shared<const StoredMessage>(std::move(item.message));
        append.items.push_back({item.ticket, std::move(message), true});
      } else {
        publish_spill(item, append);
      }
    }
    append_to_store(std::move(append));
  }

  /// Into RAM if it may wait there, else to the disk, else into RAM after all.
  void publish_spill(Publish::Item& item, StoreAppend& append) {
    const LaneIndex lane = item.message.lane;
    const bool movable = on_the_way[lane] == 0;
    const bool later = movable && sender.may_spill_later(lane, item.message.topic);
    if (later && hold(item.ticket, item.message, true)) return;
    const std::size_t cost = item.message.cost();
    const bool disk = !appends.slow() && storage == StorageHealth::ok;
    if (disk && ungated_bytes + cost <= config.limits.memory / 2) {
      ungated_bytes += cost;
      ++on_the_way[lane];
      auto message = std::make_shared<const StoredMessage>(std::move(item.message));
      append.items.push_back({item.ticket, std::move(message), false});
    } else if (!hold(item.ticket, item.message, movable)) {
      reject(item.ticket, RejectReason::queue_full);
    }
  }

  /// Takes a message into RAM. False, and the message untouched, when there is no room.
  bool hold(Ticket ticket, StoredMessage& from, bool spill) {
    const MessageId id = last_volatile + 1;
    auto message = std::make_shared<StoredMessage>(std::move(from));
    message->id = id;
    message->spill = spill;
    if (spill) message->alias = id;
    set_ages(*message);
    if (!sender.add_volatile(now, message, work)) {
      from = std::move(*message);
      from.id = from.alias = 0;
      from.spill = false;
      from.expires = from.give_up = kNever;
      return false;
    }
    last_volatile = id;
    accept(ticket, id, spill ? Durability::spill : Durability::memory);
    return true;
  }

  void set_ages(StoredMessage& message) const {
    if (message.expiry_seconds) {
      message.expires = now + Seconds(*message.expiry_seconds);
      message.give_up = message.expires;
    }
    const auto rules = config.lane_rules.find(config.lanes[message.lane]);
    if (rules == config.lane_rules.end() || rules->second.max_age == Seconds::zero()) return;
    message.give_up = std::min(message.give_up, now + rules->second.max_age);
  }

  void append_to_store(StoreAppend append) {
    if (append.items.empty()) return;
    appends.asked(now, append.items.size());
    emit(std::move(append));
  }

  void accept(Ticket ticket, MessageId id, Durability kept) {
    const bool follows = follows_to_end(ticket);
    accounts.accept(id, follows ? ticket : 0);
    if (ticket == 0) return;
    emit(GiveReceipt{ticket, {ReceiptKind::accepted, id, {}, {}, 0, !follows, kept}});
  }

  void reject(Ticket ticket, RejectReason reason) {
    accounts.reject(reason);
    if (ticket == 0) return;
    emit(GiveReceipt{ticket, {ReceiptKind::rejected, 0, reason, {}, 0}});
  }

  /// One end for every message, whoever decided it.
  void settle(MessageId id, bool delivered, DropReason reason, std::uint8_t code) {
    const Accounts::Waiting waiting = accounts.settle(id, delivered, reason);
    if (waiting.ticket == 0) return;
    const ReceiptKind kind = delivered ? ReceiptKind::delivered : ReceiptKind::dropped;
    emit(GiveReceipt{waiting.ticket, {kind, waiting.known_id, {}, reason, code}});
  }

  // ---- storage ---------------------------------------------------------------------------------

  void on(const StoreAppended& appended) {
    appends.answered(appended.items.size());
    bool returned = false;
    for (const StoreAppended::Item& item : appended.items) {
      const bool moved = item.message->alias != 0;
      if (!item.gated) {
        HF_CHECK(on_the_way[item.lane] > 0);
        --on_the_way[item.lane];
      }
      if (item.id != 0) sender.stored(item.lane, item.id);
      if (moved) {
        sender.spill_left(*item.message, item.id);
        if (item.id != 0) accounts.move(item.message->alias, item.id);
        returned = returned || item.id == 0;
        continue;
      }
      if (!item.gated) ungated_bytes -= item.message->cost();
      if (item.id != 0) {
        accept(item.ticket, item.id, Durability::durable);
      } else {
        not_stored(item);
      }
    }
    if (!returned) return;
    spill_retry = now + (stopping || posture.save ? kSpillRetrySoon : kSpillRetry);
    sender.return_spill(now);
    if (closing) sender.drop_volatile(work);  // it was the last chance
  }

  void not_stored(const StoreAppended::Item& item) {
    const bool disk =
        item.rejected == RejectReason::storage_failed || item.rejected == RejectReason::outbox_full;
    if (disk && config.outbox.on_fault == OnFault::memory && !stopping) {
      StoredMessage copy = *item.message;
      spill_retry = std::max(spill_retry, now + kSpillRetry);
      if (hold(item.ticket, copy, on_the_way[item.lane] == 0)) return;
    }
    reject(item.ticket, item.rejected);
  }

  // ---- spill: in RAM while all goes well, then on disk -----------------------------------------

  /// Moves what has waited long enough, all of it when RAM runs out or the device stops.
  void spill() {
    const BootTime oldest = sender.oldest_spill();
    if (oldest == kNever || now < spill_retry || closing) return;
    const bool no_room = sender.volatile_bytes() > config.limits.memory / 4;
    const bool all = stopping || posture.save || no_room;
    const BootTime since = all ? now : now - config.outbox.spill_after;
    if (oldest > since) return;
    StoreAppend append;
    for (MessagePtr& message : sender.take_spill(since)) {
      ++on_the_way[message->lane];
      append.items.push_back({0, std::move(message), false});
    }
    append_to_store(std::move(append));
  }

  BootTime next_spill() const {
    const BootTime oldest = sender.oldest_spill();
    if (oldest == kNever || closing) return kNever;
    if (stopping || posture.save) return spill_retry;
    return std::max(oldest + config.outbox.spill_after, spill_retry);
  }

  void on(StoreFetched& fetched) {
    sender.fetched(now, fetched.lane, std::move(fetched.messages), fetched.more);
  }

  void on(StoreFetchedParked& fetched) {
    const bool found = sender.fetched_parked(now, fetched.topic, std::move(fetched.message));
    const bool tried = suspicion.trial() && suspicion.trial()->name == fetched.topic;
    if (!found && tried) suspicion.give_up_trial(now, true);
  }

  void on(const StoreNews& news) {
    for (const auto& [id, reason] : news.dropped) settle(id, false, reason, 0);
    for (const MessageId id : news.superseded) sender.supersede(id);
    for (std::size_t i = 0; i < std::min(news.over.size(), config.lanes.size()); ++i) {
      const auto lane = static_cast<LaneIndex>(i);
      const std::uint64_t rest = news.over[i] - sender.evict(lane, news.over[i], work);
      // What is on the way stays; then the next ones go.
      if (rest > 0) emit(StoreEvict{lane, rest});
    }
  }

  void on(const StoreReport& report) {
    accounts.report(report.ledger);
    for (std::size_t i = 0; i < std::min(report.unfetched.size(), config.lanes.size()); ++i) {
      sender.set_stored(static_cast<LaneIndex>(i), report.unfetched[i] > 0);
    }
    parked_in_store = report.parked;
    if (report.health == storage) return;
    storage = report.health;
    const bool well = storage == StorageHealth::ok;
    if (well) spill_retry = std::min(spill_retry, now + kSpillRetrySoon);
    say(storage_is(storage, config.outbox.on_fault));
  }

  void on(const StoreClosed&) { store_closed = true; }

  // ---- engine ----------------------------------------------------------------------------------

  void on(const EngineUp& up) {
    up_info = up.info;
    supervisor.on_up(now, up.attempt, up.info);
  }
  void on(const EngineFailed& failed) { supervisor.on_failed(now, failed.attempt, failed.failure); }
  void on(const EngineDown& down) {
    if (down.failure.verdict == Verdict::id_taken_over) subscriptions.distrust_sessions();
    const bool current = attached && supervisor.is_current(down.attempt);
    bool ours = false;  // a server that hangs up on what we asked for is there
    const env::Failure failure = current ? blame(down.failure, ours) : down.failure;
    supervisor.on_down(now, down.attempt, failure, ours);
  }
  void on(const EndpointProbed& p) { supervisor.probed(now, p.endpoint, p.failure.verdict); }
  void on(const NameLookedUp& answer) { supervisor.looked_up(now, answer.host, answer.canonical); }

  void on(const EnginePublished& published) {
    if (!answer_of(published.attempt)) return;
    const bool birth = published.token == flow::kBirthToken;
    if (birth && flow::meaning_of(published.reason_code) == flow::AckMeaning::refused) {
      say(birth_refused(published.reason_code));
    }
    hear(published);
    sender.published(now, published.token, published.reason_code, work);
  }

  void on(const EngineRefused& refused) {
    if (!answer_of(refused.attempt)) return;
    if (!is_volatile(refused.token) && refused.token > flow::kBirthToken) {
      tell(subscriptions.refused(now, refused.token));
      if (!subscriptions.outstanding() && trial_of_filter()) suspicion.give_up_trial(now, false);
    } else {
      const bool tried = sender.trying() && sender.in_flight(refused.token);
      if (tried) suspicion.give_up_trial(now, false);
      sender.refused(now, refused.token, refused.code, work);
    }
  }

  void on(const EngineSubscribed& subscribed) {
    if (!answer_of(subscribed.attempt)) return;
    const std::vector<flow::OpenOperation> asked = subscriptions.open();
    tell(subscriptions.answered(now, subscribed.token, subscribed.reason_codes));
    if (suspicion.idle() || subscriptions.outstanding()) return;
    // Whatever it said, it did not hang up.
    for (const flow::OpenOperation& o : asked) suspicion.answered(o.operation);
  }

  void on(EngineMessage& arrived) {
    if (!answer_of(arrived.attempt)) return;
    flow::take_prefix(supervisor.config().topic_prefix, arrived.arrival.message);
    const auto came = inbound.came(arrived.arrival, arrived.attempt, config);
    if (came.acknowledge) emit(EngineTaken{arrived.attempt, arrived.arrival.ticket});
    if (!came.give) return;
    std::vector<SubscriptionId> to = subscriptions.match(arrived.arrival.message.topic);
    // The session may still hold what an earlier run wanted; some answers come unasked for.
    if (to.empty()) ++unmatched;
    emit(GiveMessage{std::move(to), std::move(arrived.arrival.message), *came.give});
  }
  void on(const MessageTaken& done) {
    for (const auto& [attempt, ticket] : inbound.taken(done.delivery)) {
      if (attached && supervisor.is_current(attempt)) emit(EngineTaken{attempt, ticket});
    }
  }

  /// Whether an event of this attempt still counts; notes the sign of life.
  bool answer_of(env::AttemptId attempt) {
    if (!attached || !supervisor.is_current(attempt)) return false;
    last_answer = now;
    return true;
  }

  void tell(const std::vector<flow::Subscriptions::Notice>& notices) {
    for (const auto& notice : notices) {
      const bool denied = is_denial(notice.code, config.mqtt_version);
      if (denied) supervisor.note(Verdict::subscribe_denied);
      say(filter_refused(notice, denied));
    }
  }

  // ---- what the server denies ------------------------------------------------------------------

  [[nodiscard]] bool trial_of_filter() const {
    return suspicion.trial() && suspicion.trial()->kind == flow::Operation::Kind::subscribe;
  }

  /// The end of the connection as it is shown: something that the server denies, if that is proven.
  env::Failure blame(env::Failure failure, bool& ours) {
    std::vector<flow::OpenOperation> open = sender.open(now);
    for (flow::OpenOperation& o : subscriptions.open()) open.push_back(std::move(o));
    const auto end = supervisor.up() ? end_of(failure) : flow::Suspicion::End::elsewhere;
    ours = end == flow::Suspicion::End::hang_up && !open.empty();
    const auto proven = suspicion.ended(now, end, open);
    if (!proven) return failure;
    failure.verdict = proven->verdict();
    failure.detail = "'" + proven->name + "': the server has hung up on it " +
                     std::to_string(suspicion.find(*proven)->strikes) + " times";
    const bool publish = proven->kind == flow::Operation::Kind::publish;
    if (publish && config.denied_for == Seconds::zero()) sender.refuse_open(work);
    return failure;
  }

  /// A PUBACK, for what is suspected or denied.
  void hear(const EnginePublished& published) {
    const bool denied = flow::meaning_of(published.reason_code) == flow::AckMeaning::denied;
    if (suspicion.idle() && !denied) return;
    const MessagePtr message = sender.in_flight(published.token);
    if (!message) return;
    const flow::Operation operation{flow::Operation::Kind::publish, message->topic};
    if (!denied && message->qos == Qos::at_most_once) return;  // written is not answered
    if (denied) supervisor.note(operation.verdict());
    if (!denied || config.denied_for == Seconds::zero()) return suspicion.answered(operation);
    const bool news = suspicion.denied(now, operation, published.reason_code);
    if (news) say(operation_denied(operation, published.reason_code));
    follow_suspicion();
  }

  /// What is set aside has changed: whoever holds or sends it must know.
  void follow_suspicion() {
    if (suspicion.version() == suspicion_seen) return;
    suspicion_seen = suspicion.version();
    flow::Names topics = suspicion.names(flow::Operation::Kind::publish);
    flow::Names filters = suspicion.names(flow::Operation::Kind::subscribe);
    using Kind = flow::Operation::Kind;
    for (LogLine& line : set_aside(Kind::subscribe, filters_aside, filters)) say(std::move(line));
    for (LogLine& line : set_aside(Kind::publish, topics_aside, topics)) say(std::move(line));
    if (filters != filters_aside) subscriptions.set_aside(filters);
    filters_aside = std::move(filters);
    if (topics == topics_aside) return;
    emit(StorePark{{topics.begin(), topics.end()}});
    sender.park(topics, work);
    topics_aside = std::move(topics);
  }

  void begin_trial() {
    suspicion.service(now);
    for (std::string& topic : sender.survived(now)) {
      const flow::Operation operation{flow::Operation::Kind::publish, std::move(topic)};
      if (!suspicion.idle()) suspicion.answered(operation);
    }
    while (!sender.trying()) {
      const auto operation = suspicion.next_trial(now);
      if (!operation) break;
      if (operation->kind == flow::Operation::Kind::publish) {
        sender.begin_trial(now, operation->name, patience(*suspicion.find(*operation)), work);
      } else if (!subscriptions.wants(operation->name)) {
        suspicion.forget(*operation);
      }
    }
    follow_suspicion();
  }

  /// How long messages of this topic are kept, if it has been denied for so long.
  [[nodiscard]] std::optional<Duration> patience(const flow::Suspicion::Case& found) const {
    const Seconds most = config.denied_for;
    if (!found.denied || most == Seconds::zero() || now - found.since < most) return std::nullopt;
    return most;
  }

  /// SUBSCRIBE or UNSUBSCRIBE: not while something else must be alone.
  [[nodiscard]] bool may_ask() const {
    const bool alone = suspicion.careful() || trial_of_filter();
    const bool busy = sender.in_flight() > 0 || sender.next_survival() != kNever;
    return !stopping && !(alone && busy) && !sender.trying();
  }

  std::optional<flow::Subscriptions::Request> next_request() {
    if (!trial_of_filter()) {
      return subscriptions.next(now, suspicion.careful() ? 1 : limits::kFiltersPerSubscribe);
    }
    if (subscriptions.outstanding()) return std::nullopt;
    auto request = subscriptions.next_trial(now, suspicion.trial()->name);
    if (!request) suspicion.give_up_trial(now, true);
    return request;
  }

  [[nodiscard]] std::size_t may_send() const {
    if (stopping) return limits::kInFlightMax;
    if (trial_of_filter()) return 0;
    if (!suspicion.careful()) return limits::kInFlightMax;
    const bool busy = subscriptions.outstanding() || sender.next_survival() != kNever;
    return busy ? 0 : 1;
  }

  // ---- wishes ----------------------------------------------------------------------------------

  void on(Subscribe& wish) { subscriptions.add(wish.id, std::move(wish.filter), wish.qos); }
  void on(const Unsubscribe& wish) { subscriptions.remove(wish.id); }
  void on(const ReconnectNow&) {
    suspicion.try_now(now);
    supervisor.reconnect_now(now);
  }
  void on(const Changed& change) {
    const bool files = change.what == link::Mend::credentials;
    if (files || change.what == link::Mend::identity) suspicion.try_now(now);
    supervisor.changed(now, change.what);
  }

  void on(const NetworkNews& news) {
    supervisor.network(now, *news.state);
    hold_lanes();
  }
  void hold_lanes() {  // for the network's price, and for the power's sake
    sender.hold_lanes(flow::held_lanes(supervisor.advice().state(), config) |
                      flow::LaneSet(posture.held_lanes));
  }

  void on(const Reload& reload) {
    if (stopping) return;
    Config next = *reload.config;
    next.lanes = config.lanes;  // fixed for the life of the process
    const bool other_rules = next.lane_rules != config.lane_rules;
    config = std::move(next);
    if (other_rules) emit(StoreRules{lane_rules(config)});
    suspicion.try_now(now);
    supervisor.reconfigure(now, config);
    sender.reconfigure(config);
    hold_lanes();
    subscriptions.verify_every(verification(config));
  }

  void on(const Posture& wanted) {
    if (stopping) return;
    posture = wanted;
    save_due = posture.save;
    away_due = posture.away;
    if (posture.save) spill_retry = BootTime::min();  // what was refused gets another chance
    supervisor.stay_away(now, posture.away);
    hold_lanes();
  }

  /// Says once what the posture has led to.
  void report_posture() {
    if (save_due && appends.outstanding() == 0 && sender.oldest_spill() == kNever) {
      save_due = false;
      emit(Saved{});
      emit(StoreSync{});
    }
    if (!away_due || !supervisor.is_away()) return;
    away_due = false;
    emit(Away{});
  }

  void on(const Stop& stop) {
    if (stopping) return;
    stopping = true;
    const Duration deadline = std::max(stop.deadline, Duration::zero());
    drain_until = now + std::min(deadline / 2, kDrainTime);
    leave_by = now + deadline / 4 * 3;
    spill_retry = BootTime::min();  // what was refused before gets another chance
    stop_by = now + deadline;
    supervisor.drain();
    sender.volatile_only();
  }

  // ---- after every event -----------------------------------------------------------------------

  void run() {
    follow_suspicion();
    apply(work);
    if (appends.look(now)) say(disk_answers(!appends.slow()));
    decide_leaving();
    link::Orders orders = supervisor.service(now, answer_due());
    carry_out(orders);
    flow_on();
    spill();  // behind all that may bring messages back into RAM
    report_posture();
    if (stopping) finish_stop();
    if (supervisor.version() != version_given) {
      version_given = supervisor.version();
      emit(GiveConnection{supervisor.connection(now)});
    }
    if (finished) emit(Stopped{});  // the last word, also when one step does all
    accounts.check(sender.volatile_held() + sender.leaving(), sender.durable_held());
    HF_CHECK(!attached || supervisor.attached());
  }

  void carry_out(link::Orders& orders) {
    if (orders.abort) emit(EngineAbort{});
    if (attached && !supervisor.attached()) {
      attached = false;
      if (suspicion.up()) {
        static_cast<void>(suspicion.ended(now, flow::Suspicion::End::elsewhere, {}));
      }
      sender.disconnected();
      subscriptions.disconnected();
    }
    if (orders.disconnect) emit(EngineDisconnect{});
    for (LogLine& line : orders.log) say(std::move(line));
    if (orders.remember) emit(RememberEndpoint{std::move(*orders.remember)});
    if (orders.check_network) emit(CheckNetwork{});
    if (!orders.look_up.empty()) emit(LookUpName{std::move(orders.look_up)});
    if (orders.probe) {
      emit(ProbeEndpoint{std::make_shared<env::ConnectRequest>(std::move(*orders.probe))});
    }
    if (orders.connect) {
      auto request = std::make_shared<env::ConnectRequest>(std::move(*orders.connect));
      if (request->will) request->will->topic = prefixed(request->will->topic);
      emit(EngineConnect{std::move(request)});
    }
  }

  void flow_on() {
    if (supervisor.up()) {
      if (!attached) begin_session();
      if (!stopping) begin_trial();
      if (may_ask()) {
        if (auto request = next_request()) send(*request);
      }
      sender.hold_to(may_send());
      sender.send(now, work, !subscriptions.outstanding());
    }
    if (supervisor.near() && !stopping) sender.fetch(work);
    apply(work);
  }

  void begin_session() {
    attached = true;
    last_answer = now;
    sender.connected(up_info.receive_maximum);
    const std::string endpoint = link::session_owner(supervisor.config());
    if (endpoint != session_of && !session_of.empty()) suspicion.try_now(now);  // it may allow more
    session_of = endpoint;
    subscriptions.connected(up_info.session_present, session_of);
    suspicion.connected(now);
    follow_suspicion();
    if (config.birth && !stopping) sender.send_birth(now, birth_message(*config.birth), work);
    apply(work);  // the birth message goes ahead of everything
  }

  void send(flow::Subscriptions::Request& request) {
    const env::AttemptId attempt = supervisor.attempt();
    for (env::FilterRequest& one : request.subscribe) one.filter = prefixed(one.filter);
    for (std::string& filter : request.unsubscribe) filter = prefixed(filter);
    if (request.unsubscribe.empty()) {
      emit(EngineSubscribe{attempt, request.token, std::move(request.subscribe)});
    } else {
      emit(EngineUnsubscribe{attempt, request.token, std::move(request.unsubscribe)});
    }
  }

  void apply(flow::Work& done) {
    for (flow::Settlement& end : done.settled) {
      if (!is_volatile(end.id)) emit(StoreSettle{end.id, end.delivered, end.reason});
      if (!end.delivered && end.reason != DropReason::expired &&
          end.reason != DropReason::volatile_lost) {
        say(message_dropped(end));
      }
      settle(end.id, end.delivered, end.reason, end.code);
    }
    for (flow::Work::Send& item : done.sends) {
      emit(EnginePublish{
          supervisor.attempt(), item.token,
          flow::with_prefix(supervisor.config().topic_prefix, std::move(item.message))});
    }
    for (const MessageId id : done.given_back) emit(StoreGiveBack{id});
    if (done.fetch_parked) {
      emit(StoreFetchParked{std::move(done.fetch_parked->topic), done.fetch_parked->patience});
    }
    for (const flow::Work::Fetch& item : done.fetches) {
      emit(StoreFetch{item.lane, item.max_count, item.max_bytes});
    }
    done.settled.clear();
    done.sends.clear();
    done.fetches.clear();
    done.given_back.clear();
    done.fetch_parked.reset();
  }

  /// When the broker must have answered something: nothing at all heard for two thirds of
  /// silent_after while it owes an answer (the last third is for the health interval), or one
  /// message left out while others are answered.
  BootTime answer_due() const {
    if (!attached) return kNever;
    BootTime due = subscriptions.answer_due();
    const BootTime oldest = sender.oldest_sent();
    if (oldest == kNever) return due;
    const Duration silent = config.timing.silent_after;
    due = std::min(due, std::max(oldest, last_answer) + silent * 2 / 3);
    return std::min(due, oldest + silent * kOldestUnanswered);
  }

  // ---- stop: drain, leave, close, stopped ------------------------------------------------------

  /// Draining ends when nothing is on its way any more, or its time is over, or the connection is.
  void decide_leaving() {
    if (!stopping || left) return;
    const bool drained = sender.in_flight() == 0 && sender.volatile_held() == 0;
    if (supervisor.up() && !drained && now < drain_until) return;
    left = true;
    supervisor.leave(now, leave_by);
  }

  void finish_stop() {
    if (supervisor.stopped() && !closing) {
      // Appends under way are waited for, so that their receipts come, and a disk that refuses is
      // asked again; but not for ever.
      if (now < leave_by) spill();
      const bool safe = appends.outstanding() == 0 && sender.oldest_spill() == kNever;
      closing = safe || now >= leave_by;
      if (!closing) return;
      if (sender.volatile_held() > 0) sender.drop_volatile(work);
      apply(work);
      emit(StoreClose{});
    }
    if (!(closing && store_closed) && now < stop_by) return;
    finished = true;
    if (!store_closed) say(stopped_early());
  }

  BootTime next_wake() const {
    if (finished) return kNever;
    BootTime at = std::min(supervisor.next_wake(answer_due()), next_spill());
    at = std::min(at, appends.next_look());
    if (supervisor.up()) {
      at = std::min(at, sender.next_wake());
      if (may_ask()) at = std::min(at, subscriptions.next_wake());
      if (!stopping && !sender.trying()) at = std::min(at, suspicion.next_wake());
      if (!stopping && !suspicion.idle()) at = std::min(at, sender.next_survival());
    }
    if (!stopping) return at;
    if (!left) at = std::min(at, drain_until);
    if (!closing && supervisor.stopped()) at = std::min(at, leave_by);
    return std::min(at, stop_by);
  }

  /// Topics and filters leave here as the endpoint in use knows them, and nowhere else.
  [[nodiscard]] std::string prefixed(std::string_view topic) const {
    return flow::with_prefix(supervisor.config().topic_prefix, topic);
  }

  void say(LogLine line) { emit(Log{std::move(line)}); }

  template <class A>
  void emit(A&& action) {
    if (out.empty()) out.reserve(kActionsUsual);
    out.emplace_back(std::forward<A>(action));
  }

  Config config;
  link::Supervisor supervisor;
  flow::Sender sender;
  flow::Subscriptions subscriptions;
  flow::Suspicion suspicion;
  flow::Inbound inbound;
  Accounts accounts;
  MessageId last_volatile;

  BootTime now = BootTime::min();
  Actions out;
  flow::Work work;
  bool attached = false;  ///< flow knows of a connection.
  env::UpInfo up_info;
  std::string session_of;  ///< Whose session the present, or the last, connection had.
  BootTime last_answer{};
  std::uint64_t version_given = 0;
  std::uint64_t suspicion_seen = 0;
  flow::Names topics_aside;
  flow::Names filters_aside;
  std::uint64_t parked_in_store = 0;
  std::uint64_t unmatched = 0;  ///< Inbound, without a subscription.
  DiskWatch appends;
  std::size_t ungated_bytes = 0;  ///< Of those: spill, not from RAM.
  /// By lane: spill messages on the way to disk, from RAM or not. One held in RAM meanwhile could
  /// not know its place behind them: it stays there to its end.
  std::array<std::uint64_t, limits::kLanesMax> on_the_way{};
  BootTime spill_retry = BootTime::min();
  Posture posture;
  bool save_due = false;  ///< Saved is owed,
  bool away_due = false;  ///< and Away.
  StorageHealth storage = StorageHealth::ok;

  bool stopping = false;      ///< stop() was called.
  bool left = false;          ///< Draining is over.
  bool closing = false;       ///< StoreClose was sent.
  bool store_closed = false;  ///< ... and answered.
  bool finished = false;      ///< Stopped goes with this step; nothing happens any more.
  BootTime drain_until = kNever;
  BootTime leave_by = kNever;
  BootTime stop_by = kNever;
};

Core::Core(Config config, env::Random& random, Opening opening)
    : impl_(std::make_unique<Impl>(std::move(config), random, opening)) {}

Core::~Core() = default;

Actions Core::start(BootTime now) {
  Impl& core = *impl_;
  core.now = now;
  core.supervisor.start();
  core.run();
  return std::exchange(core.out, {});
}

Actions Core::step(BootTime now, Event event) {
  Impl& core = *impl_;
  if (core.finished) return {};
  core.now = std::max(core.now, now);
  std::visit([&](auto& what) { core.on(what); }, event);
  core.run();
  return std::exchange(core.out, {});
}

BootTime Core::next_wake() const { return impl_->next_wake(); }

std::vector<FilterState> Core::filters(BootTime now) const {
  return impl_->subscriptions.states(now);
}

std::uint64_t Core::filters_version() const { return impl_->subscriptions.version(); }

DeviceState Core::state(BootTime now) const {
  const Impl& core = *impl_;
  DeviceState state;
  state.connection = core.supervisor.connection(now);
  if (core.stopping) {
    state.connection.state = core.finished ? LinkState::stopped : LinkState::stopping;
  }
  state.endpoints = core.supervisor.endpoints(now);
  state.network = core.supervisor.advice().state();
  state.network_counts = core.supervisor.advice().counts();
  state.held_lanes = flow::held_lane_names(state.network, core.config);
  state.ledger = core.accounts.ledger();
  state.storage = core.storage;
  if (core.appends.slow() && core.storage == StorageHealth::ok) state.storage = StorageHealth::slow;
  state.in_flight = core.sender.in_flight();
  state.connects = core.supervisor.connects();
  state.attempts_total = core.supervisor.attempts_total();
  state.verdicts = core.supervisor.verdicts();
  state.sends_repeated = core.sender.sends_repeated();
  state.inbound = core.inbound.total();
  state.quarantine =
      quarantine_of(core.suspicion, core.subscriptions, core.config.mqtt_version, now);
  state.parked = core.parked_in_store + core.sender.parked();
  state.inbound_unmatched = core.unmatched;
  state.inbound_duplicates = core.inbound.repeated();
  HF_CHECK(state.ledger.balanced());
  return state;
}

}  // namespace holdfast::device
