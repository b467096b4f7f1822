// See device_world.h. Here: everything is healed, and what must happen then.
#include <algorithm>
#include <span>

#include "flow/sender.h"
#include "flow/subscriptions.h"
#include "flow/suspicion.h"
#include "link/policy.h"
#include "link/supervisor.h"
#include "sim/device_world.h"

namespace holdfast::sim {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

/// A broker that asked for later is asked again after at most this; for a filter, after that.
constexpr nanoseconds kRetries = flow::kRetryCap + seconds(1);
constexpr nanoseconds kFilterRetries = flow::kSubscribeRetryCap + seconds(11);
constexpr seconds kMargin(5);
/// From CONNACK to the birth message at the broker.
constexpr seconds kBirth(2);
/// From the arrival of a message to its PUBACK, and a turn of the storage to get the next ones.
constexpr std::chrono::milliseconds kAnswer(60);

}  // namespace

/// From the end of an attempt to the next one.
nanoseconds DeviceWorld::longest_delay() const {
  const nanoseconds hold_off = 2 * link::policy_of(Verdict::id_taken_over).at_least;
  const nanoseconds cap = config_.timing.backoff_cap;
  const nanoseconds paced = std::min<nanoseconds>(too_many_for_, link::kPacedMost);
  return std::max({cap, hold_off, paced}) + link::kMinute;
}

/// From its beginning to its end.
nanoseconds DeviceWorld::longest_attempt() const {
  const Config::Timing& timing = config_.timing;
  return nanoseconds(timing.resolve) + 2 * nanoseconds(timing.connect) +
         nanoseconds(timing.connack) + link::kAttemptMargin;
}

/// From the last packet of a peer to the end of its connection.
nanoseconds DeviceWorld::longest_end() const {
  return 2 * nanoseconds(config_.timing.silent_after) + nanoseconds(config_.timing.health_interval);
}

nanoseconds DeviceWorld::longest_trial() const {
  if (!core_) return {};
  nanoseconds most{};
  for (const Quarantined& q : core_->state(clock_.now()).quarantine) {
    const nanoseconds first = std::max<nanoseconds>(q.next_trial_in, flow::kControl);
    most = std::max(most, first) + flow::kSoon + kAnswer + 2 * ModelLink::kLatencyMost;
  }
  // What was sent one at a time until now may need as long again.
  return most + flow::kControl;
}

void DeviceWorld::heal() {
  sim_.trace.line(sim_.now, "everything is healed");
  sim_.faults.heal();
  broker_.deny_nothing();
  link_.heal();
  clock_.synchronize();
  link_.set_wall_error(Seconds(0));
  ++disk_trouble_;
  disk_.faults = {};
  slow_disk_ = cut_next_turn_ = false;
  metered(false);
  sim_.now = std::max(sim_.now, suspended_until_);
}

void DeviceWorld::demand_reconnect() {
  nanoseconds most = longest_attempt() + longest_delay() + kMargin;
  if (!core_) most += std::max(boots_at_ - sim_.now, nanoseconds::zero());
  // A stop that is under way ends first, and the process starts again.
  if (stopping_) most += config_.timing.stop_deadline + seconds(2);
  if (link_.up() && !link_.sound()) most += longest_end();
  const SimTime by = sim_.now + most;
  while (!sim_.checks.failed() && !(core_ && !stopping_ && link_.sound()) && sim_.now < by) {
    run_until(std::min(by, sim_.now + seconds(1)));
  }
  const bool there =
      core_ && link_.sound() && core_->state(clock_.now()).connection.state == LinkState::connected;
  sim_.checks.expect(Check::reconnect_bound, there, [&] {
    return "not connected " + std::to_string(std::chrono::duration_cast<seconds>(most).count()) +
           " s after everything was healed";
  });
}

void DeviceWorld::demand_drain() {
  // What a turn on the slow disk has begun stands in no account before it ends, and what was
  // published meanwhile goes into the next one.
  const SimTime turn_over = sim_.now + kSlowestTurn;
  while (in_turn_ && sim_.now < turn_over) run_until(sim_.now + kLongestTurn);
  run_until(sim_.now + 2 * kLongestTurn);
  if (sim_.checks.failed()) return;
  // What may go: the pace of the configuration, or a window for each way there and back. Messages
  // that nobody will answer end the connection, and the next one may be the worst there is.
  const bool unanswered = broker_.withheld() > 0;
  const nanoseconds latency = unanswered ? ModelLink::kLatencyMost : link_.latency();
  const nanoseconds way = 2 * latency + kAnswer;
  const double window = unanswered ? 1 : static_cast<double>(book_.window());
  double rate = window / std::chrono::duration<double>(way).count();
  if (config_.messages_per_second > 0) rate = std::min<double>(rate, config_.messages_per_second);
  const auto pending = static_cast<double>(book_.ledger().pending);
  nanoseconds takes = seconds(static_cast<std::int64_t>(pending / (0.8 * rate))) + kMargin;
  takes += kRetries;  // of messages that were told to come later
  takes += longest_trial();
  if (unanswered) takes += longest_end() + longest_delay() + longest_attempt();
  const SimTime by = sim_.now + takes;
  while (!sim_.checks.failed() && book_.ledger().pending > 0 && sim_.now < by) {
    run_until(std::min(by, sim_.now + seconds(1)));
  }
  sim_.checks.expect(Check::drain_bound, book_.ledger().pending == 0, [&] {
    return std::to_string(book_.ledger().pending) + " of " +
           std::to_string(static_cast<std::uint64_t>(pending)) + " still wait after " +
           std::to_string(std::chrono::duration_cast<seconds>(takes).count()) + " s";
  });
}

void DeviceWorld::demand_subscriptions() {
  const auto all_there = [this] {
    return std::all_of(wanted_.begin(), wanted_.end(), [this](const auto& wish) {
      return broker_.filters().contains(wish.second);
    });
  };
  const SimTime by = sim_.now + kFilterRetries + longest_trial();
  while (!sim_.checks.failed() && !all_there() && sim_.now < by) {
    run_until(std::min(by, sim_.now + seconds(1)));
  }
  sim_.checks.expect(Check::subscribed, all_there(),
                     [] { return std::string("the broker lacks a filter that is wanted"); });
}

/// A connection that nothing happens to brings the birth message soon, or after what kept it.
void DeviceWorld::demand_birth(env::AttemptId attempt) {
  if (!config_.birth || stopping_) return;
  const auto look = [this, attempt, run = run_] {
    if (run != run_ || link_.attempt() != attempt || !link_.undisturbed() || broker_.dawdled())
      return;
    sim_.checks.expect(Check::will_after_loss, observer_.born(),
                       [] { return "connected, and no birth message"; });
  };
  sim_.after(kBirth, Side::world, look);
  sim_.after(kBirth + kRetries + kMargin, Side::world, look);
}

bool DeviceWorld::heard_within(nanoseconds most, Observer::Heard wanted) {
  const SimTime by = sim_.now + most;
  while (!sim_.checks.failed() && observer_.heard() != wanted && sim_.now < by) {
    run_until(std::min(by, sim_.now + seconds(1)));
  }
  return observer_.heard() == wanted;
}

/// The power goes: whoever watches the device hears its will once the broker has missed it for one
/// and a half keep-alives, and its birth message when it is back.
void DeviceWorld::demand_will() {
  demand_reconnect();  // The broker may have ended the connection of a device that had slept.
  if (sim_.checks.failed()) return;
  const nanoseconds late = std::max(link_.last_arrival() - sim_.now, nanoseconds::zero());
  const nanoseconds missed = late + nanoseconds(config_.keep_alive) * 3 / 2 + kMargin;
  observer_.listen_anew();
  end_process(End::power_cut);
  boot_after(missed + kMargin);
  if (config_.will) {
    sim_.checks.expect(Check::will_after_loss, heard_within(missed, Observer::Heard::will),
                       [] { return "the device is gone, and its will was not heard"; });
    demand_status(*config_.will);
  }
  demand_reconnect();
  if (!config_.birth) return;
  sim_.checks.expect(Check::will_after_loss, heard_within(kRetries, Observer::Heard::birth),
                     [] { return "the device is back, and its birth message was not heard"; });
  demand_status(*config_.birth);
}

/// Whoever comes later learns the same.
void DeviceWorld::demand_status(const StatusMessage& status) {
  if (!status.retain) return;
  const Bytes kept = broker_.retained(status.topic);
  const auto text = std::as_bytes(std::span(status.payload));
  sim_.checks.expect(Check::retained_last,
                     std::equal(kept.begin(), kept.end(), text.begin(), text.end()),
                     [] { return "what is retained of the device's status is not the last"; });
}

/// Each topic retains the newest, in both directions.
void DeviceWorld::demand_retained() {
  if (sim_.checks.failed()) return;
  for (std::size_t lane = 0; lane < config_.lanes.size(); ++lane) {
    const std::string topic = topic_of(static_cast<LaneIndex>(lane), true);
    const std::optional<Bytes> wanted = book_.retained_on(topic);
    sim_.checks.expect(Check::retained_last, !wanted || *wanted == broker_.retained(topic), [&] {
      return topic + " retains " + std::to_string(serial_of(broker_.retained(topic))) +
             ", not the newest one delivered, " + std::to_string(serial_of(*wanted));
    });
  }
  const std::string topic = "c/retained";
  broker_.command_retained(topic, false);
  const std::uint64_t newest = broker_.command_retained(topic, false);
  const SubscriptionId id = ++last_subscription_;
  wanted_[id] = topic;
  deliver(device::Subscribe{id, topic, Qos::at_least_once});
  run_until(sim_.now + kFilterRetries);
  sim_.checks.expect(Check::retained_last, got_retained_[topic] == newest, [&] {
    return "subscribed, and the retained message " + std::to_string(newest) + " did not come";
  });
}

void DeviceWorld::judge() {
  heal();
  demand_reconnect();
  if (scenario_.link.rival && !sim_.checks.failed()) {
    link_.rival_connects();  // a last time, so that nobody has to guess whose session is there
    run_until(sim_.now + kMargin);
    demand_reconnect();
  }
  demand_drain();
  demand_subscriptions();
  demand_will();
  demand_drain();  // a cut may undo ends that were not written yet
  demand_retained();
  if (sim_.checks.failed()) return;
  // A last stop in order, and a look at what it left.
  const std::uint64_t last = run_;
  stop_in_order();
  run_until(sim_.now + config_.timing.stop_deadline + seconds(3));
  if (sim_.checks.failed()) return;
  sim_.checks.expect(Check::shutdown_bound, run_ == last + 1,
                     [] { return std::string("the last stop did not end"); });
  sim_.checks.expect(Check::will_after_loss,
                     !config_.birth || observer_.heard() == Observer::Heard::birth,
                     [] { return "after a stop in order the will was heard"; });
  sim_.checks.expect(Check::no_loss, book_.ledger().pending == 0,
                     [] { return std::string("something waits after all was delivered"); });
  book_.judge();
}

}  // namespace holdfast::sim
