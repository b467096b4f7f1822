// See device_world.h. Here: what the application does, and what happens to the device.
#include <algorithm>
#include <array>
#include <utility>

#include "device/admission.h"
#include "link/policy.h"
#include "link/supervisor.h"
#include "sim/device_world.h"

namespace holdfast::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::array kIncidents{
    // Outages, as the next attempts will see them.
    Fault::no_credentials, Fault::link_down, Fault::dns_fails, Fault::dns_hangs, Fault::dns_lies,
    Fault::tcp_refused, Fault::tls_fails, Fault::tls_hangs, Fault::connack_refused,
    Fault::connack_hangs, Fault::engine_hangs,
    // What happens to a connection.
    Fault::black_hole, Fault::black_hole_up, Fault::black_hole_down, Fault::half_open, Fault::reset,
    Fault::stall, Fault::slow_link, Fault::jitter, Fault::server_leaves, Fault::take_over,
    Fault::policy_hangs_up, Fault::policy_answers,
    // Process, machine, disk.
    Fault::kill, Fault::power_cut, Fault::cut_in_turn, Fault::clean_restart, Fault::reload,
    Fault::network_changed, Fault::reconnect_now, Fault::suspend, Fault::wall_step,
    Fault::disk_full, Fault::disk_read_only, Fault::disk_error, Fault::disk_unwritable,
    Fault::disk_slow};

/// Ten years, the largest step of the wall clock.
constexpr std::int64_t kWallStepS = std::int64_t{10} * 365 * 24 * 3600;
constexpr std::uint64_t kTopics = 8;
constexpr std::uint64_t kKeys = 20;
/// The product's smallest segment takes every message; the small ones of a simulation take these.
constexpr std::uint64_t kLargest = 3000;

}  // namespace

// ---- the application ----------------------------------------------------------------------------

void DeviceWorld::plan_publish() {
  const nanoseconds gap = sim_.between({}, 2 * scenario_.publish_gap);
  sim_.after(gap, Side::device, [this] {
    if (sim_.faults.healed()) return;
    publish_some();
    plan_publish();
  });
}

void DeviceWorld::publish_some() {
  if (!core_) return;
  if (sim_.random.below(scenario_.regions > 1 ? 20 : 200) == 0) change_subscriptions();
  if (!core_) return;
  std::uint64_t count = 1;
  if (sim_.random.below(scenario_.burst_one_in) == 0) count += sim_.random.below(scenario_.burst);
  device::Publish batch;
  for (std::uint64_t i = 0; i < count; ++i) publish_one(batch);
  sim_.note("publish count", {batch.items.size()});
  if (!batch.items.empty()) deliver(std::move(batch));
}

void DeviceWorld::publish_one(device::Publish& batch) {
  SeededRandom& random = sim_.random;
  Message message;
  const std::uint64_t lane = random.below(config_.lanes.size());
  message.lane = config_.lanes[lane];
  message.retain = random.below(8) == 0;
  message.topic = topic_of(static_cast<LaneIndex>(lane), message.retain);
  const std::uint64_t kind = random.below(10);
  message.durability = kind == 0   ? Durability::memory
                       : kind == 1 ? Durability::spill
                                   : Durability::durable;
  if (random.below(10) == 0 && !message.retain) message.qos = Qos::at_most_once;
  if (random.below(3) == 0) message.key = "k" + std::to_string(random.below(kKeys));
  if (random.below(20) == 0) message.expiry = seconds(1 + random.below(4000));
  const std::size_t size = random.below(random.below(20) == 0 ? kLargest : 400);
  const Serial serial = book_.next_serial();
  if (message.retain && random.below(8) == 0) {
    message.content_type = std::to_string(serial);  // empty: it deletes what is retained
  } else {
    message.payload = payload_of(serial, size);
  }
  const Durability durability = message.durability;
  device::Admission admitted = device::admit(std::move(message), config_);
  if (!sim_.checks.expect(Check::no_loss, admitted.rejected == RejectReason::none,
                          [] { return std::string("a good message is refused"); })) {
    return;
  }
  const std::size_t cost = admitted.message.cost();
  if (durability == Durability::durable) {
    if (gate_bytes_ > 0 && gate_bytes_ + cost > config_.limits.memory) return book_.turned_away();
    gate_bytes_ += cost;
  }
  // Of volatile messages the book sees the end by their receipts only.
  const bool to_end = durability != Durability::durable ||
                      config_.outbox.on_fault == OnFault::memory || random.below(3) != 0;
  const device::Ticket ticket = serial | (to_end ? 0 : device::kUntilAccepted);
  book_.published(admitted.message, durability);
  sim_.note("new serial lane durability size",
            {serial, lane, kind, admitted.message.payload.size()});
  batch.items.push_back({ticket, durability, std::move(admitted.message)});
}

void DeviceWorld::change_subscriptions() {
  if (!core_ || stopping_) return;
  if (wanted_.size() > 3 && sim_.random.below(2) == 0) {
    const SubscriptionId id = wanted_.begin()->first;
    wanted_.erase(id);
    return deliver(device::Unsubscribe{id});
  }
  const SubscriptionId id = ++last_subscription_;
  wanted_[id] = "c/" + std::to_string(sim_.random.below(kTopics));
  deliver(device::Subscribe{id, wanted_[id], Qos::at_least_once});
}

void DeviceWorld::plan_command() {
  sim_.after(sim_.between({}, 2 * scenario_.command_gap), Side::world, [this] {
    if (sim_.faults.healed()) return;
    broker_.command("c/" + std::to_string(sim_.random.below(kTopics)));
    plan_command();
  });
}

// ---- the device's certificate -------------------------------------------------------------------

/// It is renewed up to four weeks late; whoever brings the new files asks for an attempt.
void DeviceWorld::plan_certificate() {
  if (scenario_.certificate_life == hours(0)) return;
  sim_.after(scenario_.certificate_life, Side::world, [this] {
    if (sim_.faults.healed()) return;
    const nanoseconds late = sim_.between({}, hours(24 * 28));
    link_.expire_certificate(late);
    if (sim_.random.below(2) == 0) link_.strike(Fault::reset);
    sim_.after(late, Side::device, [this] {
      sim_.trace.line(sim_.now, "the certificate is renewed");
      if (!core_) return;
      attempt_asked_for();
      deliver(device::ReconnectNow{});
    });
    plan_certificate();
  });
}

// ---- the endpoint's region ----------------------------------------------------------------------

void DeviceWorld::plan_region_loss() {
  if (scenario_.region_gap == hours(0)) return;
  sim_.after(sim_.between({}, 2 * scenario_.region_gap), Side::world, [this] {
    if (sim_.faults.healed()) return;
    const nanoseconds gone = sim_.scattered(minutes(15), hours(8));
    const std::size_t which = scenario_.regions == 1 ? 0 : sim_.random.below(scenario_.regions);
    // Not the Region itself, only the way to it: the sessions there live on.
    const bool way_only = scenario_.regions > 1 && sim_.random.below(2) == 0;
    link_.lose_region(which, way_only, gone, sim_.between(minutes(1), minutes(15)));
    plan_region_loss();
  });
}

// ---- incidents ----------------------------------------------------------------------------------

void DeviceWorld::plan_incident() {
  sim_.after(sim_.between({}, 2 * scenario_.incident_gap), Side::world, [this] {
    if (sim_.faults.healed()) return;
    incident();
    plan_incident();
  });
}

void DeviceWorld::incident() {
  const Fault kind = kIncidents.at(sim_.random.below(kIncidents.size()));
  if (!sim_.faults.enabled(kind)) return;
  if (kind <= Fault::engine_hangs) {
    link_.begin_outage(kind, sim_.scattered(seconds(1), scenario_.longest_outage));
    constexpr std::array kEnds{Fault::reset, Fault::black_hole, Fault::half_open,
                               Fault::server_leaves};
    return link_.strike(kEnds.at(sim_.random.below(kEnds.size())));
  }
  if (kind <= Fault::take_over) return link_.strike(kind);
  if (kind <= Fault::policy_answers) return change_policy(kind);
  if (kind <= Fault::reconnect_now) return strike_process(kind);
  if (kind <= Fault::wall_step) return strike_machine(kind);
  strike_disk(kind);
}

/// One thing is denied for a while: a topic of a lane, that of the status, or a filter.
void DeviceWorld::change_policy(Fault kind) {
  if (!sim_.strikes(kind, 1)) return;
  const std::uint64_t what = sim_.random.below(8);
  std::string name;
  if (what < 5) {
    const auto lane = static_cast<LaneIndex>(sim_.random.below(config_.lanes.size()));
    name = topic_of(lane, sim_.random.below(3) == 0);
  } else if (what < 6) {
    name = kStatusTopic;
  } else {
    name = "c/" + std::to_string(sim_.random.below(kTopics));
  }
  const nanoseconds length = sim_.scattered(minutes(1), scenario_.longest_denial);
  sim_.trace.line(sim_.now, "the policy denies " + name);
  broker_.deny(name, kind == Fault::policy_answers, sim_.now + length);
}

void DeviceWorld::strike_process(Fault kind) {
  if (!core_ || sim_.now < suspended_until_ || !sim_.strikes(kind, 1)) return;
  switch (kind) {
    case Fault::kill:
      end_process(End::killed);
      return boot_after(sim_.scattered(milliseconds(100), minutes(2)));
    case Fault::power_cut:
      end_process(End::power_cut);
      return boot_after(sim_.scattered(seconds(5), minutes(10)));
    case Fault::cut_in_turn:
      cut_next_turn_ = true;
      return;
    case Fault::clean_restart:
      return stop_in_order();
    case Fault::reload:
      return reload();
    case Fault::network_changed:
      return network_changed();
    default:  // reconnect_now
      attempt_asked_for();
      return deliver(device::ReconnectNow{});
  }
}

/// Where the network may have been the trouble, nobody waits any longer; where it was not, a
/// hold-off stays what it is.
void DeviceWorld::network_changed() {
  const auto before = core_->state(clock_.now()).connection;
  const bool helps = before.state == LinkState::waiting &&
                     link::policy_of(before.verdict).mended_by(link::Mend::network);
  if (helps) attempt_asked_for();
  deliver(device::Changed{link::Mend::network});
  metered(!metered_);
  if (!helps || stopping_ || !core_) return;
  const auto after = core_->state(clock_.now()).connection;
  sim_.checks.expect(Check::reconnect_bound,
                     after.state != LinkState::waiting || after.retry_in <= link::kAttemptGap,
                     [] { return std::string("a new way is there, and it is waited for on"); });
}

/// The way out costs money from now on, or does not: lanes wait, or go on.
void DeviceWorld::metered(bool costs) {
  metered_ = costs;
  NetworkState state;
  state.managed = true;
  state.metered = costs ? Metered::yes : Metered::no;
  deliver(device::NetworkNews{std::make_shared<const NetworkState>(std::move(state))});
}

/// Such an attempt is made at once, whatever the delays.
void DeviceWorld::attempt_asked_for() {
  asked_ = true;
  series_ = 0;
}

void DeviceWorld::reload() {
  if (stopping_) return;
  switch (sim_.random.below(5)) {
    case 0:
    case 1:
      config_.max_in_flight = static_cast<std::uint16_t>(1 + sim_.random.below(100));
      break;
    case 2: {
      const bool v5 = config_.mqtt_version == MqttVersion::v5;
      config_.mqtt_version = v5 ? MqttVersion::v311 : MqttVersion::v5;
      break;
    }
    case 3:
      if (config_.will) config_.will->payload += '!';
      break;
    default:
      config_.host = config_.host == "broker.example" ? "other.example" : "broker.example";
      break;
  }
  attempt_asked_for();
  deliver(device::Reload{std::make_shared<const Config>(config_)});
}

void DeviceWorld::strike_machine(Fault kind) {
  if (kind == Fault::suspend && sim_.now < suspended_until_) return;
  if (!sim_.strikes(kind, 1)) return;
  if (kind == Fault::suspend) {
    suspended_until_ = sim_.now + sim_.scattered(seconds(1), hours(2));
    state_since_ = answered_at_ = suspended_until_;
    return;
  }
  const auto span = static_cast<std::uint64_t>(2 * kWallStepS);
  const auto by = static_cast<std::int64_t>(sim_.random.below(span)) - kWallStepS;
  clock_.step_wall(Seconds(by));
  link_.set_wall_error(clock_.wall_error());
  sim_.after(sim_.scattered(seconds(10), hours(1)), Side::world, [this] {
    clock_.synchronize();
    link_.set_wall_error(Seconds(0));
  });
}

void DeviceWorld::strike_disk(Fault kind) {
  if (!sim_.strikes(kind, 1)) return;
  rough_ = true;
  switch (kind) {
    case Fault::disk_full:
      disk_.faults.capacity = 1;  // what exists stays, nothing grows
      break;
    case Fault::disk_read_only:
      disk_.faults.read_only = true;
      break;
    case Fault::disk_error:
      disk_.faults.io_error_at = disk_.operations() + sim_.random.below(20);
      return;
    case Fault::disk_unwritable:
      disk_.faults.io_errors = true;
      break;
    default:  // disk_slow
      slow_disk_ = true;
      break;
  }
  disk_heals(sim_.scattered(seconds(1), scenario_.longest_disk_trouble));
}

void DeviceWorld::disk_heals(nanoseconds after) {
  sim_.after(after, Side::world, [this, trouble = ++disk_trouble_] {
    if (trouble != disk_trouble_) return;
    disk_.faults.capacity = PowerCutDisk::kNever;
    disk_.faults.read_only = disk_.faults.io_errors = false;
    slow_disk_ = false;
    sim_.trace.line(sim_.now, "the disk is well again");
  });
}

}  // namespace holdfast::sim
