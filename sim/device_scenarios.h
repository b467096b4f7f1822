// The named lives of a simulated device.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/device_faults.h"
#include "sim/model_broker.h"
#include "sim/model_link.h"

namespace holdfast::sim {

struct DeviceScenario {
  std::string_view name;
  std::string_view what;
  std::chrono::nanoseconds duration{};      ///< With faults; healing and judging come behind.
  std::chrono::nanoseconds publish_gap{};   ///< Mean time between two publishes.
  std::chrono::nanoseconds incident_gap{};  ///< Mean time between two incidents.
  std::chrono::nanoseconds longest_outage{};
  std::uint64_t burst_one_in = 50;  ///< A publish is a burst of up to `burst` messages.
  std::uint64_t burst = 60;
  std::uint64_t outbox_bytes = 0;
  std::chrono::nanoseconds command_gap = std::chrono::minutes(10);
  std::chrono::nanoseconds longest_disk_trouble = std::chrono::hours(1);
  /// Timers as of a device that says little: pings and checks every quarter of an hour or rarer.
  bool sparse = false;
  /// The wall clock at the beginning is drawn from here on, over `begins_within`.
  WallTime begins{1'577'836'800'000};  // 2020
  std::chrono::hours begins_within{24 * 365 * 10};
  /// The device's certificate expires so often, and is renewed too late; 0: it never does.
  std::chrono::hours certificate_life{0};
  /// Mean time between two losses of the whole endpoint; 0: there are none.
  std::chrono::hours region_gap{0};
  /// So many endpoints, each with sessions of its own; one at a time is lost.
  std::size_t regions = 1;
  /// The policy denies one thing for up to so long.
  std::chrono::nanoseconds longest_denial = std::chrono::hours(2);
  /// Little else goes wrong: what is denied must be found, and must not hold up the rest.
  bool policy = false;
  LinkRates link;
  BrokerRates broker;
  std::vector<Fault> always;  ///< Enabled in every run, besides the random half.
};

[[nodiscard]] const std::vector<DeviceScenario>& device_scenarios();

}  // namespace holdfast::sim
