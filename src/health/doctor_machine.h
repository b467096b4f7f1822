// What the agent stands on: disk, service manager, watchdog, who manages the network.
//
// Threads:  plain values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "health/doctor.h"

namespace holdfast::health {

struct DiskFacts {
  std::string directory;
  std::string problem;  ///< Why the agent could not use it; empty: it can.
  bool exists = true;
  std::string file_system;
  bool read_only = false;
  std::uint64_t free_bytes = 0;
  std::uint64_t used_bytes = 0;  ///< By the outbox now.
  std::uint64_t max_bytes = 0;   ///< outbox.max_size.
};
[[nodiscard]] Finding judge_disk(const DiskFacts& facts);

struct SyncFacts {
  std::string directory;
  std::string problem;     ///< Why it could not be measured.
  std::vector<double> ms;  ///< Of each small write with its sync.
};
[[nodiscard]] Finding judge_sync(const SyncFacts& facts);

/// What systemd says of the unit; see systemctl(1), show.
struct UnitFacts {
  bool systemd = false;  ///< It runs here.
  std::string unit;
  std::string problem;     ///< Why it cannot be asked.
  std::string load;        ///< "loaded", "not-found", "masked".
  std::string file_state;  ///< "enabled", "disabled", "static".
  std::string active;      ///< "active", "failed", "activating".
  std::string restart;     ///< "always", "no".
  std::string watchdog;    ///< Microseconds, or a span as systemd writes it ("1min"); "0": none.
  std::string restarts;    ///< How often it was restarted by itself.
};
/// Fills in what `systemctl show` printed, "Name=value" lines.
void read_unit(std::string_view shown, UnitFacts& facts);
[[nodiscard]] Finding judge_unit(const UnitFacts& facts);

struct WatchdogFacts {
  struct Device {
    std::string name;
    std::string identity;
    std::string state;
    std::string timeout_s;
  };
  std::vector<Device> devices;
  bool container = false;
  std::string wanted;  ///< watchdog.device, which the agent is to hold; empty: none.
  bool there = false;  ///< That device exists.
};
[[nodiscard]] Finding judge_watchdog(const WatchdogFacts& facts);

struct ManagerFacts {
  std::vector<std::string> managers;  ///< Programs that run, or "ifupdown" for its file.
  bool container = false;
};
[[nodiscard]] Finding judge_manager(const ManagerFacts& facts);

}  // namespace holdfast::health
