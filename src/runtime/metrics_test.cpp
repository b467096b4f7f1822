// Goal:   whatever `holdfast status --json` says in numbers is a metric, and docs/metrics.md lists
//         exactly the metrics that there are.
// Method: a state in which each number is another one, so that a metric is found by its value; what
//         has none must be among the exceptions, with the reason. The table is read from the docs.
#include "runtime/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "runtime/local_protocol.h"

namespace holdfast::runtime {
namespace {

using nlohmann::json;

/// Numbers that are each of their own, also as thousandths.
class Numbers {
 public:
  std::uint64_t operator()() { return next_ += 1009; }

 private:
  std::uint64_t next_ = 100'000'000;
};

template <std::size_t N>
void fill(std::array<std::uint64_t, N>& counts, Numbers& next) {
  for (std::uint64_t& count : counts) count = next();
}

void fill_machine(DeviceState& state, Numbers& next) {
  state.boot.id = "1";
  fill(state.boot.boots, next);
  state.power = {PowerPhase::on_battery, "words", "",     static_cast<unsigned>(next()),
                 Seconds(next()),        next(),  next(), Milliseconds(next())};
  state.guards = {{GuardKind::disk, true, static_cast<double>(next()), 7, "words", next()}};
  state.clock.last_step = Milliseconds(next());
  state.clock.floor_ms = static_cast<std::int64_t>(next());
  state.network.modems.push_back({});
  state.network.modems[0].signal = static_cast<std::uint32_t>(next());
}

DeviceState full_state(Numbers& next) {
  DeviceState state;
  state.connection.state = LinkState::waiting;
  state.connection.verdict = Verdict::dns_failed;
  state.connection.attempts = static_cast<std::uint32_t>(next());
  state.connection.retry_in = Milliseconds(next());
  state.ledger.accepted = next();
  state.ledger.delivered = next();
  state.ledger.pending = next();
  fill_machine(state, next);
  fill(state.ledger.dropped, next);
  fill(state.ledger.rejected, next);
  for (std::uint64_t* const number : {&state.in_flight,
                                      &state.connects,
                                      &state.attempts_total,
                                      &state.sends_repeated,
                                      &state.parked,
                                      &state.slow_callbacks,
                                      &state.inbound,
                                      &state.inbound_unmatched,
                                      &state.inbound_duplicates,
                                      &state.inbound_dropped,
                                      &state.requests.waiting,
                                      &state.requests.answered,
                                      &state.requests.timed_out,
                                      &state.requests.given_up,
                                      &state.requests.late,
                                      &state.requests.duplicate,
                                      &state.requests.unknown,
                                      &state.heartbeat_misses,
                                      &state.network_counts.changes,
                                      &state.network_counts.spared,
                                      &state.network_counts.checks,
                                      &state.clock.steps,
                                      &state.escalation.asked,
                                      &state.escalation.reconnects,
                                      &state.escalation.bearers,
                                      &state.escalation.modem_resets,
                                      &state.escalation.reboots,
                                      &state.escalation.failed,
                                      &state.acknowledgements.groups,
                                      &state.acknowledgements.waiting,
                                      &state.acknowledgements.acknowledged,
                                      &state.acknowledgements.repeated,
                                      &state.acknowledgements.overdue,
                                      &state.acknowledgements.overflow,
                                      &state.acknowledgements.abandoned}) {
    *number = next();
  }
  fill(state.verdicts, next);
  Quarantined one;
  one.reason_code = 135;
  one.hang_ups = static_cast<std::uint32_t>(next());
  one.since = Milliseconds(next());
  one.next_trial_in = Milliseconds(next());
  state.quarantine = {one};
  EndpointState place;
  place.name = "eu";
  place.current = true;
  place.health = static_cast<unsigned>(next());
  state.endpoints.all = {place};
  state.endpoints.changes = next();
  return state;
}

IdentityState full_identity(Numbers& next) {
  IdentityState identity;
  identity.kept = next();
  identity.rolled_back = next();
  identity.days_left = 77;
  identity.provisioning.step = ProvisioningStep::claim;
  identity.provisioning.tries = next();
  for (SlotState& slot : identity.slots) slot.not_after = static_cast<std::int64_t>(next());
  return identity;
}

std::vector<FilterState> full_filters() {
  FilterState granted;
  granted.granted = Qos::at_least_once;
  granted.next_in = Milliseconds(5);
  FilterState refused;
  refused.code = 0x87;
  return {granted, refused};
}

Figures full_figures() {
  Numbers next;
  Figures f{};
  f.state = full_state(next);
  f.identity = full_identity(next);
  f.filters = full_filters();
  f.heartbeats = {{"pump", HeartbeatPhase::missed, Milliseconds(1), Milliseconds(2), 3, false}};
  f.progress = {next(), next(), next(), next(), next()};
  f.store = {{"urgent", "bulk"}, {next(), next()}, {next(), next()}, next(), next(), next()};
  f.store_known = true;
  for (std::uint64_t* const number :
       {&f.log.written, &f.log.repeats, &f.log.over_ceiling, &f.log.not_taken, &f.log.file_lost}) {
    *number = next();
  }
  return f;
}

/// "a.b.0.c" and its number, for each number of a document.
void numbers_of(const json& node, const std::string& path, std::map<std::string, double>& all) {
  if (node.is_number()) all[path] = node.get<double>();
  if (!node.is_structured()) return;
  for (const auto& [key, value] : node.items()) {
    numbers_of(value, path.empty() ? key : path + '.' + key, all);
  }
}

/// What has no metric, and why.
const std::vector<std::pair<const char*, const char*>>& exceptions() {
  static const std::vector<std::pair<const char*, const char*>> all{
      {"quarantine\\.\\d+\\..*",
       "of one topic, whose name is no label; holdfast_quarantined counts"},
      {"filters\\.\\d+\\..*",
       "of one filter, whose name is no label; holdfast_subscriptions counts"},
      {"heartbeats\\.\\d+\\..*",
       "of one program, whose name is no label; holdfast_heartbeats counts"},
      {"identity\\.days_left", "no base unit; holdfast_certificate_expiry_timestamp_seconds"}};
  return all;
}

TEST(Metrics, EachNumberOfTheStatusHasOne) {
  const Figures figures = full_figures();
  const json status = json::parse(status_line("", figures.state, figures.filters, figures.identity,
                                              figures.log, figures.heartbeats))["status"];
  std::set<double> values;
  for (const MetricFamily& family : metric_families(figures)) {
    for (const MetricSample& sample : family.samples) values.insert(sample.value);
  }
  std::map<std::string, double> numbers;
  numbers_of(status, "", numbers);
  EXPECT_GT(numbers.size(), 60U);
  std::set<std::string> used;
  for (const auto& found : numbers) {
    const std::string& path = found.first;
    const double number = found.second;
    const auto exception = std::find_if(
        exceptions().begin(), exceptions().end(),
        [&](const auto& one) { return std::regex_match(path, std::regex(one.first)); });
    if (exception != exceptions().end()) {
      used.insert(exception->first);
      continue;
    }
    const double wanted = path.ends_with("_ms") ? number / 1000 : number;
    EXPECT_TRUE(values.contains(wanted)) << path << " = " << number << " has no metric";
  }
  EXPECT_EQ(used.size(), exceptions().size()) << "an exception for nothing";
}

TEST(Metrics, NamesAndHelpFollowTheConventions) {
  std::set<std::string> seen;
  for (const MetricFamily& family : metric_families(full_figures())) {
    EXPECT_TRUE(seen.insert(family.name).second) << family.name << " twice";
    EXPECT_TRUE(std::regex_match(family.name, std::regex("(holdfast|process)(_[a-z]+)+")))
        << family.name;
    EXPECT_EQ(family.name.ends_with("_total"), family.kind == MetricKind::counter) << family.name;
    EXPECT_TRUE(family.help.ends_with('.')) << family.name;
    EXPECT_FALSE(family.samples.empty()) << family.name;
    for (const MetricSample& sample : family.samples) {
      EXPECT_FALSE(std::isnan(sample.value)) << family.name;
      EXPECT_EQ(sample.labels.size(), family.samples.front().labels.size()) << family.name;
    }
  }
}

TEST(Metrics, LabelsDoNotGrowWithWhatIsSubscribedOrDenied) {
  Figures figures = full_figures();
  const auto samples = [&] {
    std::size_t count = 0;
    for (const MetricFamily& family : metric_families(figures)) count += family.samples.size();
    return count;
  };
  const std::size_t before = samples();
  figures.state.quarantine.resize(30);
  figures.filters.resize(400);
  figures.heartbeats.resize(30);
  figures.state.connection.detail = "words";
  EXPECT_EQ(samples(), before);
  EXPECT_LT(before, 250U);
}

TEST(Metrics, WhatIsNotKnownIsNotTold) {
  const auto names = [](const Figures& figures) {
    std::set<std::string> all;
    for (const MetricFamily& family : metric_families(figures)) {
      if (!family.samples.empty()) all.insert(family.name);
    }
    return all;
  };
  const std::set<std::string> none = names(Figures{});
  EXPECT_FALSE(none.contains("holdfast_disk_free_bytes"));
  EXPECT_FALSE(none.contains("holdfast_outbox_messages"));
  EXPECT_FALSE(none.contains("holdfast_certificate_expiry_timestamp_seconds"));
  EXPECT_TRUE(none.contains("holdfast_connected"));
}

/// Of the table in docs/metrics.md: "| `name{label}` | counter | meaning |"; a † behind the name
/// says that it is not always there.
std::map<std::string, std::pair<std::string, std::string>> documented() {
  std::ifstream file(HOLDFAST_DOCS "/metrics.md");
  const std::regex row(R"(\| `(\w+)(?:\{([\w, ]+)\})?`(?: †)? \| (counter|gauge) \|.+\|)");
  std::map<std::string, std::pair<std::string, std::string>> all;
  for (std::string line; std::getline(file, line);) {
    std::smatch found;
    if (std::regex_match(line, found, row)) all[found[1]] = {found[3], found[2]};
  }
  return all;
}

TEST(Metrics, TheDocumentationListsThemAllAndNoOthers) {
  std::map<std::string, std::pair<std::string, std::string>> made;
  for (const MetricFamily& family : metric_families(full_figures())) {
    std::string labels;
    for (const auto& [name, value] : family.samples.front().labels) {
      labels += (labels.empty() ? "" : ", ") + name;
    }
    made[family.name] = {family.kind == MetricKind::counter ? "counter" : "gauge", labels};
  }
  EXPECT_EQ(documented(), made);
}

}  // namespace
}  // namespace holdfast::runtime
