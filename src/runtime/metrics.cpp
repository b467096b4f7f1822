// See metrics.h.
#include "runtime/metrics.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace holdfast::runtime {
namespace {

constexpr MetricKind kCounter = MetricKind::counter;
constexpr MetricKind kGauge = MetricKind::gauge;

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

class List {
 public:
  MetricFamilies all;

  MetricFamily& family(MetricKind kind, std::string name, std::string help) {
    return all.emplace_back(MetricFamily{std::move(name), std::move(help), kind, {}});
  }
  template <class Number>
  void one(MetricKind kind, std::string name, Number value, std::string help) {
    family(kind, std::move(name), std::move(help))
        .samples.push_back({{}, static_cast<double>(value)});
  }
  /// One sample for each value of a label.
  void by(MetricKind kind, std::string name, const std::string& label,
          const std::vector<std::pair<std::string_view, std::uint64_t>>& values, std::string help) {
    MetricFamily& made = family(kind, std::move(name), std::move(help));
    for (const auto& [text, value] : values) {
      made.samples.push_back({{{label, std::string(text)}}, static_cast<double>(value)});
    }
  }
  /// One for each word of an enumeration; "none" counts nothing.
  template <class Enum, std::size_t N>
  void counts(MetricKind kind, std::string name, const std::string& label,
              const std::array<std::uint64_t, N>& counts, std::string help) {
    MetricFamily& made = family(kind, std::move(name), std::move(help));
    for (std::size_t i = 0; i < N; ++i) {
      const std::string word(to_string(static_cast<Enum>(i)));
      if (word != "none") {
        made.samples.push_back({{{label, word}}, static_cast<double>(counts[i])});
      }
    }
  }
  /// 1 for the word that holds, 0 for the others.
  template <class Enum>
  void state(std::string name, const std::string& label, Enum now, std::size_t words,
             std::string help) {
    MetricFamily& made = family(kGauge, std::move(name), std::move(help));
    for (std::size_t i = 0; i < words; ++i) {
      const auto word = static_cast<Enum>(i);
      made.samples.push_back({{{label, std::string(to_string(word))}}, word == now ? 1.0 : 0.0});
    }
  }
};

void add_connection(List& list, const Figures& f) {
  const ConnectionState& connection = f.state.connection;
  list.one(kGauge, "holdfast_connected", connection.state == LinkState::connected,
           "Whether the device is connected to its broker.");
  list.state("holdfast_connection_state", "state", connection.state,
             static_cast<std::size_t>(LinkState::stopped) + 1, "1 for the state that holds.");
  list.state("holdfast_connection_verdict", "verdict", connection.verdict, kVerdicts,
             "1 for why the device is not connected; none while it is.");
  list.one(kGauge, "holdfast_connection_session_present", connection.session_present,
           "Whether the broker remembered the session at the last connect.");
  list.one(kGauge, "holdfast_connection_failed_attempts", connection.attempts,
           "Attempts since the device was last connected.");
  list.one(kGauge, "holdfast_connection_retry_seconds", seconds_of(connection.retry_in),
           "Time to the next attempt, while waiting for it.");
  list.one(kGauge, "holdfast_offline_seconds", seconds_of(f.offline),
           "Time since the connection ended, or since the start; 0 while connected.");
  list.one(kCounter, "holdfast_connection_attempts_total", f.state.attempts_total,
           "Connection attempts.");
  list.one(kCounter, "holdfast_connects_total", f.state.connects, "Attempts that succeeded.");
  list.one(kCounter, "holdfast_outages_total", f.outages, "Connections that ended.");
  list.counts<Verdict>(kCounter, "holdfast_verdicts_total", "verdict", f.state.verdicts,
                       "How often each verdict was given.");
}

void add_endpoints(List& list, const Figures& f) {
  const EndpointsState& endpoints = f.state.endpoints;
  if (endpoints.all.empty()) return;
  std::vector<std::pair<std::string_view, std::uint64_t>> current;
  std::vector<std::pair<std::string_view, std::uint64_t>> health;
  for (const EndpointState& one : endpoints.all) {
    current.emplace_back(one.name, one.current ? 1 : 0);
    health.emplace_back(one.name, one.health);
  }
  list.by(kGauge, "holdfast_endpoint_current", "endpoint", current,
          "1 for the endpoint that is used.");
  list.by(kGauge, "holdfast_endpoint_health", "endpoint", health,
          "0 to 100: how well each endpoint has done lately.");
  list.one(kCounter, "holdfast_endpoint_changes_total", endpoints.changes,
           "Connections made at another endpoint than the one before.");
}

void add_network(List& list, const Figures& f) {
  const NetworkState& network = f.state.network;
  list.one(kGauge, "holdfast_network_managed", network.managed,
           "Whether NetworkManager tells about the network.");
  list.state("holdfast_network_connectivity", "connectivity", network.connectivity,
             static_cast<std::size_t>(Connectivity::full) + 1,
             "1 for how far the network leads, as NetworkManager says.");
  list.state("holdfast_network_metered", "metered", network.metered,
             static_cast<std::size_t>(Metered::guess_no) + 1,
             "1 for whether traffic costs money, as NetworkManager says.");
  list.one(kCounter, "holdfast_network_changes_total", f.state.network_counts.changes,
           "Changes of NetworkManager's primary connection.");
  list.one(kCounter, "holdfast_network_checks_total", f.state.network_counts.checks,
           "How often NetworkManager was asked to look again.");
  list.one(kCounter, "holdfast_connection_attempts_spared_total", f.state.network_counts.spared,
           "Attempts put off because NetworkManager saw no way.");
  list.one(kGauge, "holdfast_lanes_held", f.state.held_lanes.size(),
           "Lanes that wait for a network that costs nothing.");
  list.one(kGauge, "holdfast_clock_synchronized", f.state.clock.synchronized,
           "Whether a time service keeps the clock right, as the kernel says.");
  list.one(kCounter, "holdfast_clock_steps_total", f.state.clock.steps,
           "How often the clock was set.");
  list.one(kGauge, "holdfast_clock_last_step_seconds", seconds_of(f.state.clock.last_step),
           "By how much it was set the last time; below 0: back.");
  list.one(kGauge, "holdfast_clock_floor_timestamp_seconds",
           static_cast<double>(f.state.clock.floor_ms) / 1000,
           "What the clock showed when it was last known to be right, in seconds since 1970.");
}

void add_escalation(List& list, const Figures& f) {
  const EscalationCounts& done = f.state.escalation;
  list.one(kCounter, "holdfast_escalation_asked_total", done.asked,
           "How often the reference hosts were asked whether the network is there.");
  list.by(kCounter, "holdfast_escalation_steps_total", "step",
          {{"reconnect", done.reconnects},
           {"bearer", done.bearers},
           {"modem", done.modem_resets},
           {"reboot", done.reboots}},
          "Steps taken because the network stayed away.");
  list.one(kCounter, "holdfast_escalation_failed_total", done.failed,
           "Of these steps, those that could not be taken.");
}

/// By the place of each modem in ModemManager's list, since their names are not bounded.
void add_modems(List& list, const Figures& f) {
  const std::vector<ModemState>& modems = f.state.network.modems;
  if (modems.empty()) return;
  MetricFamily& signal = list.family(kGauge, "holdfast_modem_signal_percent",
                                     "Signal quality of each modem, 0 to 100.");
  MetricFamily& roaming = list.family(kGauge, "holdfast_modem_roaming",
                                      "Whether each modem is in a network that is not its own.");
  MetricFamily& registered =
      list.family(kGauge, "holdfast_modem_registered", "Whether each modem is in any network.");
  for (std::size_t i = 0; i < modems.size(); ++i) {
    const std::vector<std::pair<std::string, std::string>> label{{"modem", std::to_string(i)}};
    const bool home = modems[i].registration.starts_with("home");
    signal.samples.push_back({label, static_cast<double>(modems[i].signal)});
    roaming.samples.push_back({label, modems[i].roaming() ? 1.0 : 0.0});
    registered.samples.push_back({label, home || modems[i].roaming() ? 1.0 : 0.0});
  }
}

void add_messages(List& list, const Figures& f) {
  const Ledger& ledger = f.state.ledger;
  list.one(kCounter, "holdfast_messages_accepted_total", ledger.accepted,
           "Messages that Holdfast took responsibility for, earlier runs included.");
  list.one(kCounter, "holdfast_messages_delivered_total", ledger.delivered,
           "Messages that the broker has acknowledged, earlier runs included.");
  list.counts<DropReason>(kCounter, "holdfast_messages_dropped_total", "reason", ledger.dropped,
                          "Accepted messages that were given up, earlier runs included.");
  list.counts<RejectReason>(kCounter, "holdfast_messages_rejected_total", "reason", ledger.rejected,
                            "Messages that were not accepted.");
  list.one(kGauge, "holdfast_messages_pending", ledger.pending,
           "Accepted messages that wait or are in flight, on disk and in RAM.");
  list.one(kGauge, "holdfast_messages_in_flight", f.state.in_flight,
           "Messages sent and not yet acknowledged.");
  list.one(kGauge, "holdfast_messages_parked", f.state.parked,
           "Of the pending, those whose topic the broker denies.");
  list.one(kGauge, "holdfast_ledger_balanced", ledger.balanced(),
           "Whether accepted = delivered + pending + dropped; 0 is a bug.");
  list.one(kCounter, "holdfast_sends_repeated_total", f.state.sends_repeated,
           "Sends of a message that was sent before: possible duplicates.");
  std::uint64_t denied_publishes = 0;
  for (const Quarantined& one : f.state.quarantine) {
    denied_publishes += one.reason == Verdict::publish_denied ? 1 : 0;
  }
  list.by(kGauge, "holdfast_quarantined", "what",
          {{"topic", denied_publishes}, {"filter", f.state.quarantine.size() - denied_publishes}},
          "Topics and filters set aside because the broker denies them.");
}

void add_inbound(List& list, const Figures& f) {
  const DeviceState& state = f.state;
  list.one(kCounter, "holdfast_inbound_messages_total", state.inbound, "Messages received.");
  list.one(kCounter, "holdfast_inbound_unmatched_total", state.inbound_unmatched,
           "Messages received on topics that no subscription is for.");
  list.one(kCounter, "holdfast_inbound_duplicates_total", state.inbound_duplicates,
           "Messages received again, by their sender's stamp, and left out.");
  list.one(kCounter, "holdfast_inbound_dropped_total", state.inbound_dropped,
           "Messages received and dropped because callbacks were too slow.");
  const AcknowledgementCounts& acks = state.acknowledgements;
  list.one(kGauge, "holdfast_acknowledge_groups", acks.groups,
           "Groups of programs that acknowledge messages.");
  list.one(kGauge, "holdfast_acknowledge_waiting", acks.waiting,
           "Messages for programs, not acknowledged yet.");
  list.by(kCounter, "holdfast_acknowledge_messages_total", "result",
          {{"acknowledged", acks.acknowledged},
           {"repeated", acks.repeated},
           {"overdue", acks.overdue},
           {"overflow", acks.overflow},
           {"abandoned", acks.abandoned}},
          "Messages that programs acknowledge, by what became of them.");
  list.one(kCounter, "holdfast_slow_callbacks_total", state.slow_callbacks,
           "Application callbacks that took longer than timing.callback_alarm.");
  const RequestCounts& requests = state.requests;
  list.one(kGauge, "holdfast_requests_waiting", requests.waiting,
           "Requests without an answer yet.");
  list.by(kCounter, "holdfast_requests_total", "result",
          {{"answered", requests.answered},
           {"timed_out", requests.timed_out},
           {"given_up", requests.given_up}},
          "Requests that have ended.");
  list.by(
      kCounter, "holdfast_responses_unexpected_total", "what",
      {{"late", requests.late}, {"duplicate", requests.duplicate}, {"unknown", requests.unknown}},
      "Answers that no request was waiting for.");
  std::uint64_t granted = 0;
  std::uint64_t refused = 0;
  for (const FilterState& one : f.filters) {
    if (one.granted) {
      ++granted;
    } else if (one.code && *one.code >= 0x80) {
      ++refused;
    }
  }
  list.by(kGauge, "holdfast_subscriptions", "state",
          {{"granted", granted},
           {"refused", refused},
           {"waiting", f.filters.size() - granted - refused}},
          "Topic filters that somebody wants.");
}

void add_storage(List& list, const Figures& f) {
  list.state("holdfast_storage_health", "health", f.state.storage,
             static_cast<std::size_t>(StorageHealth::slow) + 1, "1 for the health that holds.");
  list.one(kGauge, "holdfast_recovered_unclean", f.state.recovered_unclean,
           "Whether the run before did not end in order.");
  list.one(kGauge, "holdfast_safe_mode", !f.state.safe_mode.empty(),
           "Whether the agent does with less, after a crash loop.");
  list.one(kCounter, "holdfast_outbox_written_bytes_total", f.written_bytes,
           "Bytes that the outbox has written.");
  list.one(kCounter, "holdfast_outbox_flushes_total", f.flushes,
           "How often the outbox has flushed a file or its directory.");
  list.one(kGauge, "holdfast_outbox_limit_bytes", f.outbox_limit, "outbox.max_size.");
  MetricFamily& messages = list.family(kGauge, "holdfast_outbox_messages",
                                       "Messages that wait on disk, in flight or not.");
  for (std::size_t i = 0; i < f.store.lanes.size(); ++i) {
    messages.samples.push_back(
        {{{"lane", f.store.lanes[i]}}, static_cast<double>(f.store.messages[i])});
  }
  MetricFamily& bytes =
      list.family(kGauge, "holdfast_outbox_bytes", "Bytes on disk of the messages that wait.");
  for (std::size_t i = 0; i < f.store.lanes.size(); ++i) {
    bytes.samples.push_back({{{"lane", f.store.lanes[i]}}, static_cast<double>(f.store.bytes[i])});
  }
  list.one(kGauge, "holdfast_outbox_set_aside", f.set_aside,
           "Outboxes that were moved aside, since opening them crashed.");
  if (!f.store_known) return;
  list.one(kGauge, "holdfast_outbox_file_bytes", f.store.file_bytes,
           "Bytes of the outbox's files, with what is free in them.");
  list.one(kGauge, "holdfast_outbox_figures_age_seconds", seconds_of(f.store_age),
           "Age of the figures of outbox and disk; it grows while the disk does not answer.");
  if (f.store.disk_size == 0) return;
  list.one(kGauge, "holdfast_disk_free_bytes", f.store.disk_free,
           "Bytes free for the device on the outbox's file system.");
  list.one(kGauge, "holdfast_disk_size_bytes", f.store.disk_size,
           "Size of the outbox's file system.");
}

void add_identity(List& list, const Figures& f) {
  MetricFamily& expiry =
      list.family(kGauge, "holdfast_certificate_expiry_timestamp_seconds",
                  "When the certificate of a slot expires, in seconds since 1970.");
  for (std::size_t i = 0; i < kIdentitySlots; ++i) {
    const std::int64_t end = f.identity.slots[i].not_after;
    if (end == 0) continue;
    expiry.samples.push_back({{{"slot", std::string(to_string(static_cast<IdentitySlot>(i)))}},
                              static_cast<double>(end)});
  }
  list.by(kCounter, "holdfast_identity_changes_total", "result",
          {{"kept", f.identity.kept}, {"rolled_back", f.identity.rolled_back}},
          "Changes to another certificate, by how they ended.");
  list.one(kGauge, "holdfast_clock_suspect", f.identity.clock_suspect,
           "Whether the clock shows a time that is over.");
  list.one(kGauge, "holdfast_provisioning_failed_tries", f.identity.provisioning.tries,
           "Tries of the present step of provisioning that failed.");
  list.one(kGauge, "holdfast_provisioning_blocked", f.identity.provisioning.blocked,
           "Whether provisioning waits for somebody's help.");
}

void add_health(List& list, const Figures& f) {
  list.by(kCounter, "holdfast_progress_total", "part",
          {{"loop", f.progress.loop},
           {"engine", f.progress.engine},
           {"storage", f.progress.storage},
           {"callbacks", f.progress.callbacks},
           {"applications", f.progress.applications}},
          "Work that each part has finished; one that stands still is stuck.");
  std::array<std::uint64_t, kHeartbeatPhases> phases{};
  for (const HeartbeatState& one : f.heartbeats) {
    ++phases.at(static_cast<std::size_t>(one.phase));
  }
  list.counts<HeartbeatPhase>(kGauge, "holdfast_heartbeats", "phase", phases,
                              "Heartbeats of programs.");
  list.one(kCounter, "holdfast_heartbeat_misses_total", f.state.heartbeat_misses,
           "How often a heartbeat did not come in time.");
  list.by(kCounter, "holdfast_log_lines_total", "result",
          {{"written", f.log.written},
           {"repeat", f.log.repeats},
           {"over_ceiling", f.log.over_ceiling},
           {"not_taken", f.log.not_taken},
           {"file_lost", f.log.file_lost}},
          "Log lines of at least the configured level, before floods are cut.");
  const MetricsUse& use = f.use;
  list.by(kCounter, "holdfast_metrics_requests_total", "result",
          {{"answered", use.answered},
           {"refused", use.refused},
           {"timed_out", use.timed_out},
           {"displaced", use.displaced},
           {"lost", use.lost}},
          "Connections to the page of metrics, by how they ended.");
  list.by(kCounter, "holdfast_metrics_reports_total", "result",
          {{"published", use.reports_published},
           {"refused", use.reports_refused},
           {"accepted", use.reports_accepted},
           {"rejected", use.reports_rejected}},
          "Reports of metrics over MQTT: published, not taken, and Device Defender's answers.");
}

void add_boot(List& list, const Figures& f) {
  const BootState& boot = f.state.boot;
  if (boot.id.empty()) return;
  MetricFamily& info =
      list.family(kGauge, "holdfast_boot_info",
                  "Always 1: why this machine was started, as far as can be told.");
  info.samples.push_back({{{"reason", std::string(to_string(boot.reason))}}, 1});
  MetricFamily& boots = list.family(kCounter, "holdfast_boots_total",
                                    "Boots of this machine by reason, earlier runs included.");
  for (std::size_t i = 0; i < kBootReasons; ++i) {
    boots.samples.push_back({{{"reason", std::string(to_string(static_cast<BootReason>(i)))}},
                             static_cast<double>(boot.boots.at(i))});
  }
}

void add_power(List& list, const Figures& f) {
  const PowerState& power = f.state.power;
  list.state("holdfast_power_phase", "phase", power.phase, kPowerPhases,
             "1 for how this machine's power is.");
  list.one(kCounter, "holdfast_power_on_battery_total", power.on_battery,
           "How often mains was away for longer than power.on_battery_after.");
  list.one(kCounter, "holdfast_power_going_down_total", power.going_down,
           "How often the power went, or was said to.");
  if (power.charge) {
    list.one(kGauge, "holdfast_battery_charge_percent", *power.charge, "Of the emptiest battery.");
  }
  if (power.runtime) {
    list.one(kGauge, "holdfast_battery_runtime_seconds", power.runtime->count(),
             "How long the battery lasts, as it reckons itself.");
  }
  if (!power.safe) return;
  list.one(kGauge, "holdfast_power_saved_seconds", seconds_of(*power.safe),
           "How long the last saving took, from the word that the power goes.");
}

void add_guards(List& list, const Figures& f) {
  if (f.state.guards.empty()) return;
  const auto add = [&](MetricKind kind, const char* name, const char* help, auto&& value) {
    MetricFamily& family = list.family(kind, name, help);
    for (const GuardState& one : f.state.guards) {
      family.samples.push_back(
          {{{"guard", std::string(to_string(one.kind))}}, static_cast<double>(value(one))});
    }
  };
  add(kGauge, "holdfast_guard_value", "What is watched of this machine, in its unit.",
      [](const GuardState& one) { return one.value; });
  add(kGauge, "holdfast_guard_limit", "From here on, for a while, it is an alarm.",
      [](const GuardState& one) { return one.limit; });
  add(kGauge, "holdfast_guard_alarm", "Whether it is one.",
      [](const GuardState& one) { return one.alarm ? 1 : 0; });
  add(kCounter, "holdfast_guard_alarms_total", "How often it was one.",
      [](const GuardState& one) { return one.alarms; });
}

void add_process(List& list, const Figures& f) {
  MetricFamily& build = list.family(kGauge, "holdfast_build_info", "Always 1.");
  build.samples.push_back({{{"version", f.version}, {"engine", f.engine}}, 1});
  list.one(kGauge, "holdfast_uptime_seconds", seconds_of(f.uptime),
           "How long the process has run, suspend included.");
  list.one(kGauge, "process_start_time_seconds",
           static_cast<double>(f.wall.ms) / 1000 - seconds_of(f.uptime),
           "When the process began, in seconds since 1970, by the present clock.");
  list.one(kCounter, "process_cpu_seconds_total", seconds_of(f.process.cpu),
           "CPU time of the process.");
  list.one(kGauge, "process_resident_memory_bytes", f.process.resident_bytes,
           "Memory of the process in RAM.");
  list.one(kGauge, "process_virtual_memory_bytes", f.process.virtual_bytes,
           "Address space of the process.");
  list.one(kGauge, "process_open_fds", f.process.open_files, "Open descriptors.");
  list.one(kGauge, "process_max_fds", f.process.max_files, "The limit of descriptors.");
}

}  // namespace

MetricFamilies metric_families(const Figures& figures) {
  List list;
  add_connection(list, figures);
  add_endpoints(list, figures);
  add_network(list, figures);
  add_modems(list, figures);
  add_escalation(list, figures);
  add_messages(list, figures);
  add_inbound(list, figures);
  add_storage(list, figures);
  add_identity(list, figures);
  add_health(list, figures);
  add_boot(list, figures);
  add_power(list, figures);
  add_guards(list, figures);
  add_process(list, figures);
  return std::move(list.all);
}

}  // namespace holdfast::runtime
