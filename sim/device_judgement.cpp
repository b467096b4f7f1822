// See device_world.h. Here: everything is healed, and what must happen then.
#include <algorithm>

#include "flow/sender.h"
#include "flow/subscriptions.h"
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

void DeviceWorld::heal() {
  sim_.trace.line(sim_.now, "everything is healed");
  sim_.faults.heal();
  link_.heal();
  clock_.synchronize();
  link_.set_wall_error(Seconds(0));
  ++disk_trouble_;
  disk_.faults = {};
  slow_disk_ = cut_next_turn_ = false;
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
  const SimTime by = sim_.now + kFilterRetries;
  while (!sim_.checks.failed() && !all_there() && sim_.now < by) {
    run_until(std::min(by, sim_.now + seconds(1)));
  }
  sim_.checks.expect(Check::subscribed, all_there(),
                     [] { return std::string("the broker lacks a filter that is wanted"); });
}

void DeviceWorld::judge() {
  heal();
  demand_reconnect();
  demand_drain();
  demand_subscriptions();
  if (sim_.checks.failed()) return;
  // A last stop in order, and a look at what it left.
  const std::uint64_t last = run_;
  stop_in_order();
  run_until(sim_.now + config_.timing.stop_deadline + seconds(3));
  if (sim_.checks.failed()) return;
  sim_.checks.expect(Check::shutdown_bound, run_ == last + 1,
                     [] { return std::string("the last stop did not end"); });
  sim_.checks.expect(Check::no_loss, book_.ledger().pending == 0,
                     [] { return std::string("something waits after all was delivered"); });
  book_.judge();
}

}  // namespace holdfast::sim
