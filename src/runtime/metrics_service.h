// Serves the device's metrics (metrics.h): a page for Prometheus, a report over MQTT on an
// interval.
//
// Purpose:  [metrics] of the configuration. A report is a message as any other: volatile, in the
//           last lane, gone when the next one is due, and counted. None is made while offline.
// Threads:  opened before the loop runs; all else on the loop's. The outbox is looked at by the
//           storage thread, which may outlive this object.
// Bounds:   one look at the outbox at a time; a page waits kLookPatience for it, and then has the
//           figures of the look before, and says how old they are.
// Errors:   open() names the key: the address is not ours or in use, the module is missing.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "env/clock.h"
#include "env/random.h"
#include "holdfast/device.h"
#include "outbox/outbox.h"
#include "posix/event_loop.h"
#include "runtime/counting_disk.h"
#include "runtime/metrics.h"

namespace holdfast::runtime {

inline constexpr Duration kLookPatience = std::chrono::seconds(1);
/// The first report, of this run or after an outage, goes within this time, at a moment of the
/// device's own.
inline constexpr Milliseconds kFirstReport{30000};

class MetricsService {
 public:
  struct Sources {
    posix::EventLoop& loop;
    Device& device;
    const env::Clock& clock;
    env::Random& random;
    std::shared_ptr<const DiskCounts> disk;
    std::function<std::shared_ptr<const Config>()> config;
    /// Lets the storage thread look at the outbox.
    std::function<void(std::function<bool(outbox::Outbox&)>)> look;
    LogHandler log;
  };
  [[nodiscard]] static Result<std::unique_ptr<MetricsService>> open(Sources sources);
  ~MetricsService();
  MetricsService(const MetricsService&) = delete;
  MetricsService& operator=(const MetricsService&) = delete;

  void connection_changed(const ConnectionState& state);

 private:
  class Impl;
  explicit MetricsService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Where reports go: metrics.topic, or what stands for it. Empty while the device has no name.
[[nodiscard]] std::string report_topic(const Config& config);

}  // namespace holdfast::runtime
