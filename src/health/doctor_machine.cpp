#include "health/doctor_machine.h"

#include <algorithm>
#include <array>
#include <utility>

namespace holdfast::health {

namespace {

/// A message is accepted after its sync; above these an application notices.
constexpr double kSlowMedianMs = 100;
constexpr double kSlowWorstMs = 1000;

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// Why messages on this file system may not outlive what they should.
std::string file_system_advice(const std::string& name) {
  if (one_of(name, {"tmpfs", "ramfs"})) {
    return "move outbox.directory to a disk: this one is RAM, and empty after a restart of the "
           "machine";
  }
  if (name == "overlay") {
    return "put outbox.directory on a volume: what a container's own layer holds goes with the "
           "container";
  }
  if (one_of(name, {"nfs", "cifs", "fuse"})) {
    return "move outbox.directory to a local disk: messages are needed just when the network is "
           "away";
  }
  if (one_of(name, {"vfat", "exfat"})) {
    return "move outbox.directory to ext4, f2fs or the like: this one has no journal and may be "
           "lost whole at a power cut";
  }
  return {};
}

}  // namespace

Finding judge_disk(const DiskFacts& facts) {
  const std::uint64_t wanted =
      facts.max_bytes > facts.used_bytes ? facts.max_bytes - facts.used_bytes : 0;
  Finding finding;
  if (facts.read_only) {
    finding = fail(facts.directory + " is on a file system that is read-only",
                   "mount it for writing; if the kernel made it read-only, the disk has errors: "
                   "see `dmesg`, and check the file system");
  } else if (!facts.problem.empty()) {
    finding = fail(facts.directory + ": " + facts.problem,
                   "give outbox.directory a path in which the agent's user may make a folder, or "
                   "make it for that user alone (chown to it, chmod 700)");
  } else if (facts.free_bytes < wanted) {
    const std::string found =
        in_bytes(facts.free_bytes) + " free, outbox.max_size wants " + in_bytes(wanted) + " more";
    finding = facts.free_bytes == 0
                  ? fail("the disk of " + facts.directory + " is full",
                         "free space there: until then no durable message is accepted")
                  : warn(found,
                         "free space, or lower outbox.max_size: when the disk is full, "
                         "durable messages are refused");
  } else if (const std::string advice = file_system_advice(facts.file_system); !advice.empty()) {
    finding = warn(facts.directory + " is on " + facts.file_system, advice);
  } else {
    finding = fine(facts.directory + (facts.exists ? "" : " (will be made)") + " on " +
                   facts.file_system + ", " + in_bytes(facts.free_bytes) + " free, " +
                   in_bytes(facts.used_bytes) + " of " + in_bytes(facts.max_bytes) + " used");
  }
  finding.figures = {{"file_system", facts.file_system},
                     {"free_bytes", static_cast<std::int64_t>(facts.free_bytes)},
                     {"used_bytes", static_cast<std::int64_t>(facts.used_bytes)},
                     {"max_bytes", static_cast<std::int64_t>(facts.max_bytes)}};
  return finding;
}

Finding judge_sync(const SyncFacts& facts) {
  if (!facts.problem.empty() || facts.ms.empty()) {
    return fail("a synced write failed: " + facts.problem,
                "until the disk writes, no durable message is accepted: look at its space, its "
                "mount and `dmesg`");
  }
  std::vector<double> sorted = facts.ms;
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[sorted.size() / 2];
  const double worst = sorted.back();
  const std::string found = "median " + in_ms(median) + ", worst " + in_ms(worst) + " of " +
                            counted(sorted.size(), "synced write", "synced writes");
  Finding finding = median < kSlowMedianMs && worst < kSlowWorstMs
                        ? fine(found)
                        : warn(found,
                               "each durable message waits so long for its receipt: look for what "
                               "else writes to this disk; an SD card that has become slow is near "
                               "its end");
  finding.figures = {{"median_ms", median}, {"worst_ms", worst}};
  return finding;
}

void read_unit(std::string_view shown, UnitFacts& facts) {
  const std::array<std::pair<std::string_view, std::string*>, 6> fields{{
      {"LoadState", &facts.load},
      {"UnitFileState", &facts.file_state},
      {"ActiveState", &facts.active},
      {"Restart", &facts.restart},
      {"WatchdogUSec", &facts.watchdog},
      {"NRestarts", &facts.restarts},
  }};
  while (!shown.empty()) {
    const std::string_view line = shown.substr(0, shown.find('\n'));
    shown.remove_prefix(std::min(shown.size(), line.size() + 1));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    for (const auto& [name, into] : fields) {
      if (line.substr(0, equals) == name) *into = line.substr(equals + 1);
    }
  }
}

Finding judge_unit(const UnitFacts& facts) {
  if (!facts.systemd) return not_applicable("systemd does not run here");
  Finding finding;
  if (!facts.problem.empty()) {
    finding = warn("systemd cannot be asked: " + facts.problem, "run the doctor as root");
  } else if (facts.load == "masked") {
    finding = warn(facts.unit + " is masked: it cannot be started",
                   "systemctl unmask --now " + facts.unit);
  } else if (facts.load != "loaded") {
    finding = warn("there is no unit " + facts.unit,
                   "install deploy/systemd/holdfastd.service, or name the program's own unit with "
                   "--unit; else nobody starts it after a reboot");
  } else if (facts.active == "failed") {
    finding = fail(facts.unit + " has failed",
                   "see `journalctl -u " + facts.unit + "`, then systemctl restart " + facts.unit);
  } else if (one_of(facts.file_state, {"disabled", "indirect"})) {
    finding = warn(facts.unit + " is not enabled: it will not run after a reboot",
                   "systemctl enable " + facts.unit);
  } else if (facts.active == "inactive") {
    finding = warn(facts.unit + " does not run", "systemctl start " + facts.unit);
  } else if (one_of(facts.restart, {"no", ""})) {
    finding = warn(facts.unit + " is not restarted when it ends",
                   "set Restart=always and StartLimitIntervalSec=0 in the unit");
  } else if (one_of(facts.watchdog, {"0", "infinity", ""})) {
    finding = warn(facts.unit + " is not watched: one that hangs stays so",
                   "set Type=notify and WatchdogSec=60s in the unit");
  } else {
    finding = fine(facts.unit + ": " + facts.active + ", " + facts.file_state +
                   ", Restart=" + facts.restart + ", WatchdogSec=" + facts.watchdog + ", " +
                   (facts.restarts.empty() ? "0" : facts.restarts) + " restarts");
  }
  finding.figures = {{"unit", facts.unit},          {"load", facts.load},
                     {"enabled", facts.file_state}, {"active", facts.active},
                     {"restart", facts.restart},    {"watchdog", facts.watchdog}};
  return finding;
}

Finding judge_watchdog(const WatchdogFacts& facts) {
  if (!facts.wanted.empty() && !facts.there) {
    return warn("watchdog.device " + facts.wanted + " is not there",
                "load its driver, or give the device that this machine has (ls /dev/watchdog*); "
                "the agent works without it, and nothing resets a machine that hangs");
  }
  if (facts.devices.empty()) {
    if (facts.container) return not_applicable("a container; the watchdog is the host's");
    return warn("this machine has no watchdog device",
                "load its driver (or softdog, which helps less) and set RuntimeWatchdogSec=30s in "
                "/etc/systemd/system.conf, so that a kernel that hangs is restarted");
  }
  std::vector<std::string> shown;
  bool active = false;
  bool known = false;
  for (const WatchdogFacts::Device& device : facts.devices) {
    std::string text = device.name;
    if (!device.identity.empty()) text += " (" + device.identity + ")";
    if (!device.state.empty()) text += " " + device.state;
    if (!device.timeout_s.empty()) text += ", " + device.timeout_s + " s";
    shown.push_back(std::move(text));
    active = active || device.state == "active";
    known = known || !device.state.empty();
  }
  Finding finding =
      active || !known
          ? fine(in_words(shown))
          : warn(in_words(shown) + ": nobody uses it",
                 facts.wanted.empty() ? "set RuntimeWatchdogSec=30s in /etc/systemd/system.conf; "
                                        "systemd then restarts a machine that hangs"
                                      : "start the agent, which is to hold " + facts.wanted +
                                            "; its log says what keeps it from it");
  finding.figures = {{"devices", shown}};
  return finding;
}

Finding judge_manager(const ManagerFacts& facts) {
  Finding finding;
  if (facts.managers.empty()) {
    finding = facts.container ? not_applicable("a container; the host manages its network")
                              : fine("none found: addresses are set by hand or by the kernel");
  } else if (facts.managers.size() > 1) {
    finding = warn(in_words(facts.managers) + " run together",
                   "leave each interface to one of them, or they undo each other's work: tell the "
                   "others to keep off (NetworkManager: unmanaged-devices; networkd: a .network "
                   "file with Unmanaged=yes)");
  } else {
    finding = fine(facts.managers.front());
  }
  finding.figures = {{"managers", facts.managers}};
  return finding;
}

}  // namespace holdfast::health
