// See device_world.h. Here: the process and what it is made of, one event after the other.
#include "sim/device_world.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"
#include "flow/sender.h"
#include "link/supervisor.h"

namespace holdfast::sim {
namespace {

/// In the order of device::Event.
constexpr std::array<std::string_view, std::variant_size_v<device::Event>> kEventNames{
    "> tick",         "> publish",       "> subscribe",
    "> unsubscribe",  "> stored",        "> fetched",
    "> parked-one",   "> store-news",    "> store-report",
    "> engine-up",    "> engine-failed", "> engine-down",
    "> published",    "> refused",       "> subscribed",
    "> message",      "> taken",         "> probed",
    "> looked-up",    "> reconnect-now", "> network-changed",
    "> network-news", "> reload",        "> posture",
    "> stop",         "> store-closed"};

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

/// A run begins up to 100 days after a boot: 2^32 ms are within reach.
constexpr std::chrono::hours kUpMax(24 * 100);
/// The process manager starts what ended again after this.
constexpr seconds kRestartDelay(2);
/// Beyond what flow needs at its fastest: a message takes a few ticks at most.
constexpr std::uint64_t kTicksPerMinute = 30'000;
/// Delays are drawn from [0, range], and the least cap is 8 s: so many attempts in a minute are
/// almost five deviations away.
constexpr std::size_t kAttemptsPerMinute = 30;
/// Whoever took our id over has it for so long. Said here again, not taken from the product.
constexpr seconds kHoldOff(15);
/// What has hung up so often in one run of the process, with few other faults, must be known.
constexpr std::uint64_t kHangUpsMost = 40;
/// Connections that did not last, one behind the other, until their pace is judged.
constexpr std::uint64_t kSeries = 30;

}  // namespace

// ---- clocks -------------------------------------------------------------------------------------

WallTime DeviceClock::wall() const {
  const auto ms = std::chrono::duration_cast<milliseconds>(now_ + error_);
  return WallTime{wall_begin_ms_ + ms.count()};
}

void DeviceClock::begin(std::int64_t wall_ms, nanoseconds up) {
  wall_begin_ms_ = wall_ms;
  booted_ = now_ - up;
}

void DeviceClock::reboot(std::uint64_t id) {
  longest_up_ = longest_up();
  booted_ = now_;  // not before the power went
  for (std::size_t i = 0; i < 8; ++i) boot_id_[i] = static_cast<std::uint8_t>(id >> (8 * i));
}

void DeviceClock::step_wall(Seconds error) {
  error_ = error;
  synchronized_ = false;
}

void DeviceClock::synchronize() {
  error_ = Seconds(0);
  synchronized_ = true;
}

SimTime DeviceClock::in_sim(BootTime at) const {
  if (at == kNever) return kSimNever;
  return at <= now() ? now_ : at.time_since_epoch() + booted_;
}

// ---- the run ------------------------------------------------------------------------------------

DeviceWorld::DeviceWorld(const DeviceScenario& scenario, std::uint64_t seed, std::uint64_t hours,
                         bool print)
    : scenario_(scenario),
      sim_(seed, print),
      duration_(hours == 0 ? scenario.duration : std::chrono::hours(hours)),
      clock_(sim_.now),
      disk_random_(seed ^ 0xD15C),
      disk_(disk_random_),
      book_(sim_, config_),
      observer_(sim_, config_),
      broker_(sim_, book_, observer_, scenario_.broker),
      link_(sim_, broker_, scenario_.link, [this](device::Event e) { deliver(std::move(e)); }) {
  link_.on_refusal = [this](env::Token token, Errc code) {
    if (token != flow::kBirthToken) return;
    const bool for_good = code == Errc::too_large || code == Errc::unsupported;
    for_good ? observer_.birth_denied() : observer_.put_off();
  };
  sim_.faults.draw(sim_.random);
  for (const Fault fault : scenario.always) sim_.faults.enable(fault);
  const milliseconds within = scenario_.begins_within;
  const std::uint64_t day = sim_.random.below(static_cast<std::uint64_t>(within.count()));
  clock_.begin(scenario_.begins.ms + static_cast<std::int64_t>(day),
               sim_.scattered(seconds(10), kUpMax));
  draw_config();
}

void DeviceWorld::draw_config() {
  SeededRandom& random = sim_.random;
  config_.host = "broker.example";
  config_.client_id = "device-1";
  config_.max_in_flight = static_cast<std::uint16_t>(1 + random.below(100));
  if (random.below(4) == 0) config_.messages_per_second = random.below(2) == 0 ? 0 : 200;
  config_.limits.memory = (256 * std::size_t{1024}) << random.below(3);
  constexpr std::array kCaps{8, 30, 120, 120};
  config_.timing.backoff_cap = seconds(kCaps.at(random.below(kCaps.size())));
  if (scenario_.sparse) draw_timers();
  config_.outbox.max_bytes = scenario_.outbox_bytes;
  config_.outbox.ack_flush = milliseconds(100 + random.below(5000));
  config_.outbox.always_pad = random.below(4) == 0;
  config_.outbox.preallocate = random.below(4) == 0;
  if (random.below(3) == 0) config_.outbox.on_fault = OnFault::memory;
  if (random.below(3) == 0) config_.mqtt_version = MqttVersion::v311;
  constexpr std::array kPatience{0, 1, 24, 24};
  config_.denied_for = std::chrono::hours(kPatience.at(random.below(kPatience.size())));
  draw_status();
  if (random.below(2) == 0) draw_rules();
  if (scenario_.regions > 1) draw_endpoints();
  segment_bytes_ = std::max<std::uint64_t>(32 * 1024, scenario_.outbox_bytes / 16);
}

/// Birth and will, on one topic.
void DeviceWorld::draw_status() {
  SeededRandom& random = sim_.random;
  StatusMessage status{kStatusTopic, "online", Qos::at_least_once, true};
  status.retain = random.below(4) != 0;
  if (random.below(4) != 0) config_.birth = status;
  status.payload = "offline";
  if (random.below(4) != 0) config_.will = status;
}

void DeviceWorld::draw_endpoints() {
  SeededRandom& random = sim_.random;
  for (std::size_t i = 1; i < scenario_.regions; ++i) {
    EndpointConfig other = endpoint_of(config_);
    other.name = "region-" + std::to_string(i);
    other.host = other.name + ".example";
    config_.endpoints.push_back(std::move(other));
  }
  if (random.below(2) == 0) {
    config_.session_expiry = config_.endpoints[0].session_expiry = std::chrono::hours(24);
  }
  config_.failover.after = seconds(5 + random.below(120));
  if (random.below(2) == 0) config_.failover.spread = seconds(random.below(60));
  config_.failback.automatic = random.below(4) != 0;
  config_.failback.healthy_for = seconds(60 + random.below(1800));
  config_.failback.probe_every = seconds(5 + random.below(55));
  config_.failback.fleet_size = static_cast<std::uint32_t>(1 + random.below(10'000));
}

/// So that ten years are few events.
void DeviceWorld::draw_timers() {
  Config::Timing& timing = config_.timing;
  config_.keep_alive = Seconds(1200);
  timing.silent_after = sim_.random.below(4) == 0 ? minutes(20) : minutes(60);
  timing.health_interval = minutes(60);
  timing.backoff_cap = timing.backoff_cap * 15;
}

void DeviceWorld::draw_rules() {
  SeededRandom& random = sim_.random;
  LaneRules& urgent = config_.lane_rules[config_.lanes[0]];
  if (random.below(2) == 0) urgent.max_age = seconds(60 + random.below(7200));
  LaneRules& normal = config_.lane_rules[config_.lanes[1]];
  normal.conflate = random.below(2) == 0;
  LaneRules& bulk = config_.lane_rules[config_.lanes[2]];
  bulk.max_messages = 20 + random.below(200);
  bulk.metered = WhenMetered::hold;
  constexpr std::array kRules{WhenFull::reject, WhenFull::drop_oldest, WhenFull::drop_newest};
  bulk.when_full = kRules.at(random.below(kRules.size()));
}

DeviceResult DeviceWorld::run() {
  DeviceResult result;
  result.wall_begin = clock_.wall();
  boot();
  plan_publish();
  plan_command();
  plan_certificate();
  plan_region_loss();
  plan_incident();
  if (scenario_.policy) check_allowed();
  run_until(duration_);
  if (!sim_.checks.failed()) judge();
  result.wall_end = clock_.wall();
  result.longest_up = clock_.longest_up();
  result.failure = sim_.checks.failure();
  result.failed_at = result.lived = sim_.now;
  result.hash = sim_.trace.hash();
  result.events = events_;
  result.messages = book_.messages();
  result.arrivals = book_.arrivals();
  result.duplicates = book_.duplicates();
  result.processes = run_;
  result.faults = sim_.faults.counts();
  result.checks = sim_.checks.counts();
  return result;
}

void DeviceWorld::run_until(SimTime end) {
  while (!sim_.checks.failed()) {
    SimTime wake = core_ ? clock_.in_sim(core_->next_wake()) : kSimNever;
    SimTime turn = turn_due();
    wake = std::max(wake, suspended_until_);
    turn = std::max(turn, suspended_until_);
    const SimTime next = std::min({sim_.agenda.next(), wake, turn});
    if (next > end) break;
    sim_.now = std::max(sim_.now, next);
    if (sim_.agenda.next() <= sim_.now) {
      Agenda::Entry entry = sim_.agenda.take();
      if (entry.side == Side::device && sim_.now < suspended_until_) {
        sim_.agenda.add(suspended_until_, Side::device, std::move(entry.what));
        continue;
      }
      ++events_;
      entry.what();
    } else if (turn <= sim_.now) {
      ++events_;
      take_turn();
    } else {
      deliver(device::Tick{});
    }
  }
  if (!sim_.checks.failed()) sim_.now = std::max(sim_.now, end);
}

// ---- the process --------------------------------------------------------------------------------

void DeviceWorld::boot_after(nanoseconds delay) {
  boots_at_ = sim_.now + delay;
  sim_.agenda.add(boots_at_, Side::device, [this] {
    if (!core_) boot();
  });
}

outbox::Options DeviceWorld::store_options() const {
  outbox::Options options = device::store_options(config_);
  options.segment_bytes = segment_bytes_;
  return options;
}

void DeviceWorld::boot() {
  process_random_ = std::make_unique<SeededRandom>(sim_.random.next());
  store_random_ = std::make_unique<SeededRandom>(sim_.random.next());
  outbox::RecoveryReport report;
  auto opened = outbox::Outbox::open(disk_, clock_, *store_random_, store_options(), report);
  sim_.note("boot opened pending epoch", {opened.ok() ? 1U : 0U, report.pending, report.epoch});
  if (!opened.ok()) {
    // Only a disk in trouble may refuse; the process ends and is started again.
    sim_.checks.expect(Check::accept_is_durable, rough_,
                       [&] { return "the outbox does not open: " + opened.error().message; });
    return boot_after(kRestartDelay);
  }
  outbox_ = std::move(opened).value();
  book_.opened(*outbox_, rough_);
  check_twin();
  ++run_;
  boots_at_ = kSimNever;
  last_turn_ = clock_.now();
  device::Opening opening = device::opening_of(report);
  opening.endpoint = remembered_;
  core_ = std::make_unique<device::Core>(config_, *process_random_, opening);
  state_since_ = sim_.now;
  carry_out(core_->start(clock_.now()));
  deliver(device::store_report(*outbox_, config_.lanes.size()));
  for (int i = 0; i < 3; ++i) change_subscriptions();
}

/// Opens an image of the disk twice more: the next recovery finds what this one found.
void DeviceWorld::check_twin() {
  SeededRandom random(sim_.random.next());
  if (random.below(4) != 0 || sim_.checks.failed() || disk_.is_down()) return;
  const std::unique_ptr<PowerCutDisk> image = disk_.image(random);
  const Ledger mine = outbox_->ledger();
  for (int i = 0; i < 2; ++i) {
    outbox::RecoveryReport report;
    auto twin = outbox::Outbox::open(*image, clock_, random, store_options(), report);
    const bool same = twin.ok() && (*twin)->ledger().accepted == mine.accepted &&
                      (*twin)->ledger().delivered == mine.delivered &&
                      (*twin)->ledger().pending == mine.pending &&
                      (*twin)->ledger().dropped == mine.dropped;
    sim_.checks.expect(Check::recovery_idempotent, same, [&] {
      return "opening " + std::to_string(i + 2) + " finds another ledger than the first";
    });
    image->kill();
  }
}

void DeviceWorld::end_process(End end) {
  sim_.note("process-ends how", {static_cast<std::uint64_t>(end)});
  link_.process_died(end == End::power_cut);
  core_.reset();
  disk_.faults.kill = end != End::power_cut;
  disk_.restart();
  disk_.faults.kill = false;
  outbox_.reset();
  queue_ = {};
  in_turn_ = stopping_ = store_closed_ = cut_next_turn_ = asked_ = false;
  gate_bytes_ = 0;
  works_until_ = {};
  series_ = ticks_ = 0;
  attempt_at_.reset();
  taken_over_at_.reset();
  ups_.clear();
  broker_.count_anew();
  up_at_.reset();
  too_many_since_.reset();
  too_many_for_ = nanoseconds::zero();
  attempts_.clear();
  wanted_.clear();
  state_ = LinkState::idle;
  book_.ended(end == End::in_order);
  if (end == End::power_cut) clock_.reboot(sim_.random.next());
}

void DeviceWorld::stop_in_order() {
  if (!core_ || stopping_) return;
  const Duration deadline = config_.timing.stop_deadline;
  stopping_ = true;
  const SimTime by = sim_.now + deadline;
  sim_.agenda.add(by + milliseconds(1), Side::device, [this, run = run_, by] {
    if (run != run_ || !core_) return;
    const bool slept = sim_.now > by + milliseconds(1);  // nobody stops while suspended
    sim_.checks.expect(Check::shutdown_bound, slept,
                       [] { return std::string("stop() has not ended by its deadline"); });
  });
  book_.stops();
  leaves_well_ = link_.undisturbed();
  deliver(device::Stop{deadline});
}

// ---- events in, actions out ---------------------------------------------------------------------

void DeviceWorld::deliver(device::Event event) {
  if (!core_ || sim_.checks.failed()) return;
  ++events_;
  sim_.note(kEventNames.at(event.index()));
  book_.sees(event);
  const bool tick = std::holds_alternative<device::Tick>(event);
  std::optional<env::Failure> failure;
  if (const auto* up = std::get_if<device::EngineUp>(&event)) {
    connection_up(*up);
  } else if (const auto* down = std::get_if<device::EngineDown>(&event)) {
    failure = down->failure;
    connection_over();
    note_end(down->failure.verdict);
    if (down->failure.verdict == Verdict::id_taken_over) taken_over_at_ = sim_.now;
  } else if (const auto* failed = std::get_if<device::EngineFailed>(&event)) {
    failure = failed->failure;
    asked_ = false;
    note_end(failed->failure.verdict);
  } else if (std::holds_alternative<device::EnginePublished>(event)) {
    answered_at_ = sim_.now;
  } else if (const auto* appended = std::get_if<device::StoreAppended>(&event)) {
    for (const auto& item : appended->items) {
      if (item.gated) gate_bytes_ -= item.message->cost();
    }
  }
  const bool counts = state_ == LinkState::connecting || state_ == LinkState::connected;
  carry_out(core_->step(clock_.now(), std::move(event)));
  if (!core_) return;
  if (failure && counts) check_verdict(*failure);
  after_step(tick);
}

void DeviceWorld::check_verdict(const env::Failure& failure) {
  const Verdict shown = core_->state(clock_.now()).connection.verdict;
  // A connection that ended because of what is denied says so.
  const bool ended =
      failure.verdict == Verdict::server_gone || failure.verdict == Verdict::not_authorized;
  const bool denied =
      ended && (shown == Verdict::publish_denied || shown == Verdict::subscribe_denied);
  sim_.checks.expect(Check::verdict_named, shown == failure.verdict || denied, [&] {
    return "the connection ended as " + std::string(to_string(failure.verdict)) + ", and " +
           std::string(to_string(shown)) + " is shown";
  });
}

void DeviceWorld::connection_up(const device::EngineUp& up) {
  book_.connected(up.attempt, up.info.receive_maximum);
  observer_.connected(aside(kStatusTopic));
  demand_birth(up.attempt);
  ups_.push_back(sim_.now);
  if (ups_.size() > link::kConnectsPerMinute) ups_.pop_front();
  up_at_ = sim_.now;
  if (series_++ == 0) series_since_ = sim_.now;
}

void DeviceWorld::connection_over() {
  book_.disconnected();
  asked_ = false;
  if (up_at_ && sim_.now - *up_at_ >= config_.timing.stable_after) {
    series_ = 0;
    too_many_since_.reset();
  }
  up_at_.reset();
  note_end(Verdict::none);
}

void DeviceWorld::note_end(Verdict verdict) {
  const bool too_many = verdict == Verdict::throttled || verdict == Verdict::quota_exceeded;
  if (too_many && !too_many_since_) too_many_since_ = sim_.now;
  too_many_for_ = too_many_since_ ? sim_.now - *too_many_since_ : nanoseconds::zero();
}

void DeviceWorld::carry_out(device::Actions actions) {
  for (device::Action& action : actions) {
    if (sim_.checks.failed()) return;
    std::visit([this](auto& a) { act(a); }, action);
  }
}

void DeviceWorld::act(device::StoreSettle& action) {
  sim_.note("settle id delivered reason",
            {action.id, action.delivered ? 1U : 0U, static_cast<std::uint64_t>(action.reason)});
  book_.settles(action);
  to_store(action);
}

void DeviceWorld::check_attempts() {
  if (attempt_at_) {
    sim_.checks.expect(Check::no_hot_loop, sim_.now - *attempt_at_ >= link::kAttemptGap,
                       [] { return std::string("two attempts within a second"); });
  }
  if (asked_) return;
  attempts_.push_back(sim_.now);
  if (attempts_.size() <= kAttemptsPerMinute) return;
  sim_.checks.expect(Check::no_hot_loop, sim_.now - attempts_.front() >= link::kMinute,
                     [] { return std::string("more than 30 attempts in a minute"); });
  attempts_.pop_front();
}

void DeviceWorld::act(device::StorePark& action) {
  sim_.note("park topics", {action.topics.size()});
  book_.parks(action.topics);
  to_store(std::move(action));
}

void DeviceWorld::act(device::StoreGiveBack& action) {
  sim_.note("give-back id", {action.id});
  book_.gives_back(action.id);
  to_store(action);
}

void DeviceWorld::act(device::EngineConnect& action) {
  sim_.note("connect attempt", {action.request->attempt});
  check_attempts();
  if (const auto since = std::exchange(taken_over_at_, std::nullopt); since && !asked_) {
    sim_.checks.expect(Check::hold_off, sim_.now - *since >= kHoldOff,
                       [] { return "back at once, though another device has our id"; });
  }
  const bool budget =
      asked_ || ups_.size() < link::kConnectsPerMinute || sim_.now - ups_.front() >= link::kMinute;
  sim_.checks.expect(Check::no_hot_loop, budget,
                     [] { return std::string("more than 10 connects in a minute"); });
  if (series_ >= kSeries && config_.timing.backoff_cap >= seconds(100)) {
    // Thirty delays, most of them drawn from [0, cap]: 4 caps are 5 deviations below their mean.
    const nanoseconds least = 4 * nanoseconds(config_.timing.backoff_cap);
    sim_.checks.expect(Check::delay_resets_late, sim_.now - series_since_ >= least, [] {
      return std::string("connections that don't last are renewed without growing delays");
    });
    series_ = 0;
  }
  attempt_at_ = state_since_ = sim_.now;
  observer_.asks(*action.request);
  link_.connect(*action.request);
}

void DeviceWorld::act(device::EnginePublish& action) {
  sim_.note("send token", {action.token});
  book_.sends(action);
  observer_.sends(action.token);
  link_.publish(action.attempt, action.token, action.message);
}

void DeviceWorld::act(device::EngineTaken& action) {
  sim_.note("taken number", {action.ticket});
  sim_.checks.expect(Check::command_kept, handled_.contains(action.ticket), [&] {
    return "command " + std::to_string(action.ticket) + " is acknowledged, and not dealt with";
  });
  link_.taken(action);
}

/// The application, which may die meanwhile.
void DeviceWorld::work_on(std::uint64_t number, flow::Delivery delivery) {
  const bool long_work = sim_.random.below(20) == 0;
  works_until_ = std::max(works_until_, sim_.now) +
                 sim_.scattered(milliseconds(1), long_work ? minutes(2) : seconds(3));
  sim_.agenda.add(works_until_, Side::device, [this, run = run_, number, delivery] {
    if (run != run_ || !core_) return;
    handled_.insert(number);
    deliver(device::MessageTaken{delivery});
  });
}

void DeviceWorld::act(device::EngineDisconnect&) {
  sim_.note("disconnect");
  link_.disconnect();
}

void DeviceWorld::act(device::ProbeEndpoint& action) {
  sim_.note("probe endpoint", {action.request->endpoint});
  link_.probe(*action.request);
}

void DeviceWorld::act(device::LookUpName& action) {
  sim_.note("look up " + action.host);
  sim_.after(sim_.between(milliseconds(1), seconds(2)), Side::device,
             [this, run = run_, host = action.host] {
               if (run == run_ && core_) deliver(device::NameLookedUp{host, {}});
             });
}

void DeviceWorld::act(device::RememberEndpoint& action) {
  sim_.note("remember " + action.name);
  // A file of its own, written by and by: a cut may leave the one before.
  sim_.after(sim_.between({}, seconds(1)), Side::world,
             [this, name = action.name] { remembered_ = name; });
}

void DeviceWorld::act(device::EngineAbort&) {
  sim_.note("abort");
  connection_over();
  link_.abort();
}

void DeviceWorld::act(device::GiveReceipt& action) {
  const Receipt& receipt = action.receipt;
  sim_.note("receipt-" + std::string(to_string(receipt.kind)) + " ticket id",
            {action.ticket & ~device::kUntilAccepted, receipt.id});
  book_.gives(action);
}

void DeviceWorld::act(device::GiveMessage& action) {
  const InboundMessage& message = action.message;
  ModelBroker::Command command{serial_of(message.payload), message.topic, message.retain};
  if (message.payload.empty()) command.number = std::stoull('0' + message.content_type);
  work_on(command.number, action.delivery);
  if (action.to.empty()) {  // asked for once, and meanwhile not any more
    const bool wanted = std::any_of(wanted_.begin(), wanted_.end(),
                                    [&](const auto& wish) { return wish.second == message.topic; });
    sim_.checks.expect(Check::no_forgery, !wanted, [] {
      return std::string("a message reached nobody, and somebody wants it");
    });
    return;
  }
  if (message.retain) got_retained_[message.topic] = command.number;
  sim_.note("message number", {command.number});
  const bool known = broker_.knows(command) &&
                     std::all_of(action.to.begin(), action.to.end(), [&](SubscriptionId id) {
                       const auto wish = wanted_.find(id);
                       return wish != wanted_.end() && wish->second == command.topic;
                     });
  sim_.checks.expect(Check::no_forgery, known, [] {
    return std::string("a message came that nobody sent, or to the wrong");
  });
}

void DeviceWorld::act(device::Log& action) {
  sim_.trace.line(sim_.now, action.line.text);
  check_secrets(action.line.text);
}

void DeviceWorld::check_secrets(std::string_view shown) {
  sim_.checks.expect(Check::secrets, shown.find(kSecret) == std::string_view::npos,
                     [&] { return "a payload is shown: " + std::string(shown); });
}

void DeviceWorld::act(device::GiveConnection& action) {
  sim_.note("state " + std::string(to_string(action.state.state)) + ' ' +
            std::string(to_string(action.state.verdict)));
  check_secrets(action.state.detail);
}

void DeviceWorld::act(device::Stopped&) {
  sim_.note("stopped");
  sim_.checks.expect(Check::shutdown_bound, stopping_,
                     [] { return std::string("stopped without being asked"); });
  const bool well = leaves_well_ && link_.undisturbed_to_the_end() && !broker_.dawdled();
  sim_.checks.expect(Check::will_after_loss, !well || link_.said_goodbye(),
                     [] { return "stopped without a DISCONNECT on a good connection"; });
  // The driver is not called again; the process ends at its own pace.
  sim_.agenda.add(sim_.now, Side::device, [this, run = run_] {
    if (run != run_ || !core_) return;
    end_process(store_closed_ ? End::in_order : End::killed);
    boot_after(sim_.faults.healed() ? seconds(1) : sim_.scattered(milliseconds(100), minutes(2)));
  });
}

// ---- the storage --------------------------------------------------------------------------------

SimTime DeviceWorld::turn_due() const {
  if (!outbox_ || in_turn_ || store_closed_) return kSimNever;
  return clock_.in_sim(queue_.due(last_turn_, outbox_->next_due()));
}

void DeviceWorld::take_turn() {
  if (std::exchange(cut_next_turn_, false)) {
    disk_.faults.cut_at = disk_.operations() + sim_.random.below(6);
    disk_.faults.kill = sim_.random.below(2) == 0;
  }
  device::StoreTurn turn = take_store_turn(*outbox_, config_.lanes.size(), queue_.take());
  sim_.note("turn events", {turn.events.size()});
  if (disk_.is_down()) {
    sim_.trace.line(sim_.now, "cut in this turn");
    const End end = disk_.faults.kill ? End::killed : End::power_cut;
    end_process(end);
    return boot_after(sim_.scattered(seconds(1), minutes(2)));
  }
  disk_.faults.cut_at = PowerCutDisk::kNever;
  disk_.faults.kill = false;
  check_disk();
  in_turn_ = true;
  nanoseconds takes = sim_.scattered(milliseconds(1), kLongestTurn);
  if (slow_disk_) takes = sim_.scattered(milliseconds(50), kSlowestTurn);
  sim_.after(takes, Side::device,
             [this, run = run_, turn = std::make_shared<device::StoreTurn>(std::move(turn))] {
               if (run == run_ && core_) answer(std::move(*turn));
             });
}

void DeviceWorld::check_disk() {
  if (disk_.faults.capacity != PowerCutDisk::kNever) return;  // then nothing grows anyway
  const auto free = disk_.free_bytes();
  if (!free.ok()) return;
  const std::uint64_t used = PowerCutDisk::kNever - *free;
  sim_.checks.expect(Check::bounded_disk, used <= config_.outbox.max_bytes, [&] {
    return std::to_string(used) + " bytes on disk, " + std::to_string(config_.outbox.max_bytes) +
           " are allowed";
  });
}

void DeviceWorld::answer(device::StoreTurn turn) {
  in_turn_ = false;
  last_turn_ = clock_.now();
  store_closed_ = turn.closed;
  for (device::Event& event : turn.events) {
    if (!core_) return;
    deliver(std::move(event));
  }
}

// ---- after every step ---------------------------------------------------------------------------

void DeviceWorld::after_step(bool tick) {
  const DeviceState state = core_->state(clock_.now());
  book_.compare(state);
  check_pace(tick);
  check_state(state);
  check_blame(state);
}

bool DeviceWorld::aside(const std::string& name) const {
  const DeviceState state = core_->state(clock_.now());
  return std::any_of(state.quarantine.begin(), state.quarantine.end(),
                     [&](const Quarantined& q) { return q.name == name; });
}

/// Nothing is blamed that was not denied in this very way; and what hangs up again and again is
/// found, if there are connections that last without it.
void DeviceWorld::check_blame(const DeviceState& state) {
  for (const Quarantined& q : state.quarantine) {
    if (!q.confirmed) continue;
    const bool guilty = broker_.has_denied(q.name, q.reason_code != 0);
    sim_.checks.expect(Check::blame, guilty, [&] {
      return q.name + " is said to be denied (" + std::to_string(q.hang_ups) +
             " ends), and never was";
    });
  }
  if (!scenario_.policy) return;
  for (const auto& [name, count] : broker_.hang_ups()) {
    if (count <= kHangUpsMost) continue;
    const bool shown =
        std::any_of(state.quarantine.begin(), state.quarantine.end(),
                    [&, n = name](const Quarantined& q) { return q.name == n && q.confirmed; });
    sim_.checks.expect(Check::blame, shown, [&, n = name, c = count] {
      return n + " has ended " + std::to_string(c) + " connections, and is not named";
    });
  }
}

/// Whether it is offline, and not because of what a policy denies.
bool DeviceWorld::away_for_another_reason() const {
  const ConnectionState connection = core_->state(clock_.now()).connection;
  switch (connection.verdict) {
    case Verdict::none:
    case Verdict::server_gone:
    case Verdict::not_authorized:
    case Verdict::publish_denied:
    case Verdict::subscribe_denied:
      return false;
    default:
      return connection.state != LinkState::connected;
  }
}

/// Once a minute: what is allowed is not held up for long by what is denied.
void DeviceWorld::check_allowed() {
  sim_.after(minutes(1), Side::world, [this] {
    if (sim_.faults.healed()) return;
    const bool works =
        core_ && !stopping_ && sim_.now >= suspended_until_ && !away_for_another_reason();
    book_.check_allowed(
        [&](const std::string& topic) { return !works || broker_.denies(topic) || aside(topic); });
    check_allowed();
  });
}

void DeviceWorld::check_pace(bool tick) {
  sim_.checks.expect(Check::no_hot_loop, core_->next_wake() > clock_.now(),
                     [] { return std::string("a wake-up is due again at once"); });
  const SimTime minute = std::chrono::floor<minutes>(sim_.now);
  if (minute != minute_) ticks_ = 0;
  minute_ = minute;
  if (tick) ++ticks_;
  sim_.checks.expect(Check::no_hot_loop, ticks_ <= kTicksPerMinute,
                     [&] { return std::to_string(ticks_) + " wake-ups in a minute"; });
}

void DeviceWorld::check_state(const DeviceState& state) {
  const LinkState now = state.connection.state;
  if (now != state_ || sim_.now < suspended_until_) state_since_ = sim_.now;
  state_ = now;
  constexpr seconds kMargin(1);
  const nanoseconds held = sim_.now - state_since_;
  if (now == LinkState::connecting || now == LinkState::waiting) {
    const nanoseconds most = now == LinkState::connecting ? longest_attempt() : longest_delay();
    sim_.checks.expect(Check::progress, held <= most + kMargin, [&] {
      return std::string(to_string(now)) + " for " +
             std::to_string(std::chrono::duration_cast<seconds>(held).count()) + " s";
    });
  }
  if (state.in_flight == 0 || now != LinkState::connected) answered_at_ = sim_.now;
  const nanoseconds most = longest_end() + kMargin;
  sim_.checks.expect(Check::progress, sim_.now - answered_at_ <= most,
                     [] { return std::string("messages in flight, and no answer for too long"); });
}

}  // namespace holdfast::sim
