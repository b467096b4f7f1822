// The metrics of a device: everything that `holdfast status` says in numbers, and what the process
// uses, under the names that docs/metrics.md lists.
//
// Purpose:  one list, from which the page, the report over MQTT and the documentation are checked.
// Threads:  pure functions of plain values.
// Labels:   only names of verdicts, reasons, lanes, slots, endpoints and the like; never a topic, a
//           filter, an address or a payload.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/metric.h"
#include "base/time.h"
#include "holdfast/config.h"
#include "holdfast/device.h"
#include "posix/figures.h"

namespace holdfast::runtime {

/// The outbox and its disk, as the storage thread saw them.
struct StoreFigures {
  std::vector<std::string> lanes;
  std::vector<std::uint64_t> messages;  ///< Waiting, by lane.
  std::vector<std::uint64_t> bytes;     ///< Of their records.
  std::uint64_t file_bytes = 0;         ///< Of all files, used or not.
  std::uint64_t disk_free = 0;          ///< For us, on the file system.
  std::uint64_t disk_size = 0;          ///< 0: not known, and so is disk_free.
};

/// How the page was asked for (host::HttpServer::Counts) and what became of reports.
struct MetricsUse {
  std::uint64_t answered = 0;
  std::uint64_t refused = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t displaced = 0;
  std::uint64_t lost = 0;
  std::uint64_t reports_published = 0;  ///< Taken by publish().
  std::uint64_t reports_refused = 0;    ///< Not taken; the ledger says why.
  std::uint64_t reports_accepted = 0;   ///< By Device Defender.
  std::uint64_t reports_rejected = 0;   ///< By Device Defender.
};

struct Figures {
  DeviceState state;
  IdentityState identity;
  std::vector<FilterState> filters;
  std::vector<HeartbeatState> heartbeats;
  Progress progress;
  StoreFigures store;
  bool store_known = false;
  std::uint64_t set_aside = 0;      ///< Outboxes that made the program crash.
  Duration store_age{};             ///< How old `store` is.
  std::uint64_t written_bytes = 0;  ///< By the outbox, in this run.
  std::uint64_t flushes = 0;        ///< The same: syncs of files and of the directory.
  std::uint64_t outages = 0;        ///< Connections that ended, in this run.
  Duration offline{};               ///< Since the connection ended, or since the start.
  LogState log;
  posix::ProcessFigures process;
  Duration uptime{};
  WallTime wall;
  MetricsUse use;
  std::uint64_t outbox_limit = 0;
  std::string version;
  std::string engine;
};

[[nodiscard]] MetricFamilies metric_families(const Figures& figures);

/// {"time":"…","client_id":"…","metrics":{"NAME":1,"NAME":{"VALUE":1,…},…}}: a family with labels
/// is an object by the label's value. What is 0 in such an object is left out.
[[nodiscard]] std::string metrics_json(const MetricFamilies& families, WallTime at,
                                       const std::string& client_id);

/// A report for AWS IoT Device Defender, format 1.0. Custom metrics are the families without labels
/// that kDefenderMetrics names, and sums of those with. `before` and `now` are what the network
/// figures were at the report before and are now; without them there are no "metrics".
[[nodiscard]] std::string defender_report(const MetricFamilies& families, std::int64_t report_id,
                                          const std::optional<posix::NetworkFigures>& before,
                                          const std::optional<posix::NetworkFigures>& now);

/// The custom metrics of a report: few, since AWS wants each one declared and charges by size.
inline constexpr std::array<const char*, 12> kDefenderMetrics{"holdfast_connects_total",
                                                              "holdfast_connection_attempts_total",
                                                              "holdfast_outages_total",
                                                              "holdfast_messages_accepted_total",
                                                              "holdfast_messages_delivered_total",
                                                              "holdfast_messages_dropped_total",
                                                              "holdfast_messages_rejected_total",
                                                              "holdfast_messages_pending",
                                                              "holdfast_inbound_messages_total",
                                                              "holdfast_disk_free_bytes",
                                                              "process_resident_memory_bytes",
                                                              "holdfast_uptime_seconds"};

}  // namespace holdfast::runtime
