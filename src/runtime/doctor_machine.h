// The doctor's looks at this machine: files, certificates, clock, disk, service manager.
//
// Threads:  any. Blocks as long as the disk does, and at most kAskTime for systemctl(1).
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "env/clock.h"
#include "health/doctor_identity.h"
#include "health/doctor_machine.h"
#include "holdfast/config.h"

namespace holdfast::runtime {

inline constexpr Duration kAskTime = std::chrono::seconds(5);
/// Enough to see a median and a slow one; on a slow card some seconds.
inline constexpr unsigned kSyncedWrites = 12;

[[nodiscard]] std::vector<health::FileFacts> file_facts(const std::filesystem::path& config_file,
                                                        const Config& config);
[[nodiscard]] health::CredentialFacts credential_facts(const Config& config);
[[nodiscard]] health::ClockFacts clock_facts(const env::Clock& clock, const Config* config);
[[nodiscard]] health::TimeSyncFacts time_sync_facts(const env::Clock& clock);
[[nodiscard]] health::DiskFacts disk_facts(const Config& config);
[[nodiscard]] health::SyncFacts sync_facts(const Config& config);
[[nodiscard]] health::UnitFacts unit_facts(const std::string& unit);
[[nodiscard]] health::WatchdogFacts watchdog_facts(const std::filesystem::path& wanted);
[[nodiscard]] health::ManagerFacts manager_facts();
/// Whether a program has the outbox of this configuration open.
[[nodiscard]] bool outbox_in_use(const Config& config);

}  // namespace holdfast::runtime
