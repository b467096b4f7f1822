#include "sim/device_scenarios.h"

#include <cstdio>

namespace holdfast::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kKiB = 1024;

DeviceScenario field() {
  DeviceScenario s;
  s.name = "field";
  s.what = "a day in which everything happens by chance";
  s.duration = hours(24);
  s.publish_gap = seconds(15);
  s.incident_gap = minutes(15);
  s.longest_outage = hours(1);
  s.outbox_bytes = 512 * kKiB;
  return s;
}

}  // namespace

const std::vector<DeviceScenario>& device_scenarios() {
  static const std::vector<DeviceScenario> all{field()};
  return all;
}

std::vector<std::string> device_scenario_names() {
  std::vector<std::string> names;
  for (const DeviceScenario& scenario : device_scenarios()) names.emplace_back(scenario.name);
  return names;
}

void list_device_scenarios() {
  for (const DeviceScenario& scenario : device_scenarios()) {
    std::printf("%-14s %s\n", std::string(scenario.name).c_str(),
                std::string(scenario.what).c_str());
  }
}

}  // namespace holdfast::sim
