// See readings.h.
#include "readings.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

namespace telemetry {
namespace {

namespace fs = std::filesystem;

class Collector {
 public:
  explicit Collector(const fs::path& root) : proc_(root / "proc"), sys_(root / "sys") {}

  std::vector<Reading> take() {
    load();
    processor();
    memory();
    thermal_zones();
    sensors();
    file_systems();
    disk_traffic();
    network();
    if (readings_.size() > kReadingsMax) readings_.resize(kReadingsMax);
    return std::move(readings_);
  }

 private:
  void add(std::string name, double value, std::string unit) {
    readings_.push_back({std::move(name), value, std::move(unit)});
  }

  void load() {
    std::ifstream in(proc_ / "loadavg");
    double one = 0;
    double five = 0;
    double fifteen = 0;
    if (in >> one >> five >> fifteen) {
      add("load/1min", one, "1");
      add("load/5min", five, "1");
      add("load/15min", fifteen, "1");
    }
    std::ifstream up(proc_ / "uptime");
    double seconds = 0;
    if (up >> seconds) add("uptime", seconds, "s");
  }

  // "cpu  user nice system idle iowait …", in ticks since boot.
  void processor() {
    std::ifstream in(proc_ / "stat");
    std::string word;
    std::array<double, 5> ticks{};
    if (!(in >> word >> ticks[0] >> ticks[1] >> ticks[2] >> ticks[3] >> ticks[4])) return;
    const auto per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
    constexpr std::array kNames{"user", "nice", "system", "idle", "iowait"};
    for (std::size_t i = 0; i < ticks.size(); ++i) {
      add(std::string("processor/") + kNames[i], ticks[i] / per_second, "s");
    }
  }

  void memory() {
    std::ifstream in(proc_ / "meminfo");
    std::string line;
    while (std::getline(in, line)) {
      std::istringstream fields(line);
      std::string key;
      double kib = 0;
      if (!(fields >> key >> kib)) continue;
      if (key == "MemTotal:") add("memory/total", kib * 1024, "By");
      if (key == "MemAvailable:") add("memory/available", kib * 1024, "By");
      if (key == "Dirty:") add("memory/dirty", kib * 1024, "By");
      if (key == "SwapFree:") add("memory/swap_free", kib * 1024, "By");
    }
  }

  void thermal_zones() {
    for (const fs::path& zone : children(sys_ / "class/thermal", "thermal_zone")) {
      const auto milli = number(zone / "temp");
      if (!milli) continue;
      add("temperature/" + topic_level(zone.filename().string() + "-" + text(zone / "type")),
          *milli / 1000, "Cel");
    }
  }

  void sensors() {
    for (const fs::path& chip : children(sys_ / "class/hwmon", "hwmon")) {
      const std::string chip_name = text(chip / "name");
      for (const fs::path& input : children(chip, "temp")) {
        const std::string file = input.filename().string();
        if (!file.ends_with("_input")) continue;
        const auto milli = number(input);
        if (!milli) continue;  // a sensor may be asleep
        const std::string sensor = file.substr(0, file.size() - 6);
        add("temperature/" + topic_level(chip.filename().string() + "-" + chip_name + "-" + sensor),
            *milli / 1000, "Cel");
      }
    }
  }

  // Every mounted block device once, and the root whatever it is.
  void file_systems() {
    std::ifstream in(proc_ / "mounts");
    std::set<std::string> seen;
    std::string line;
    while (std::getline(in, line)) {
      std::istringstream fields(line);
      std::string device;
      std::string where;
      if (!(fields >> device >> where)) continue;
      if (where != "/" && !device.starts_with("/dev/")) continue;
      struct statvfs use {};
      if (!seen.insert(device).second || ::statvfs(where.c_str(), &use) != 0) continue;
      const auto block = static_cast<double>(use.f_frsize);
      const std::string name = "disk/" + (where == "/" ? "root" : topic_level(where.substr(1)));
      add(name + "/size", static_cast<double>(use.f_blocks) * block, "By");
      add(name + "/available", static_cast<double>(use.f_bavail) * block, "By");
    }
  }

  // Whole disks only: partitions have no folder in /sys/block.
  void disk_traffic() {
    constexpr double kSector = 512;  // of /proc/diskstats, whatever the disk's own is
    std::ifstream in(proc_ / "diskstats");
    std::string line;
    while (std::getline(in, line)) {
      std::istringstream fields(line);
      std::string skip;
      std::string disk;
      std::array<double, 7> f{};  // reads, merged, sectors, ms, writes, merged, sectors
      fields >> skip >> skip >> disk;
      for (double& field : f) fields >> field;
      if (!fields || disk.starts_with("loop") || disk.starts_with("ram")) continue;
      if (!fs::exists(sys_ / "block" / disk)) continue;
      add("disk/" + topic_level(disk) + "/read", f[2] * kSector, "By");
      add("disk/" + topic_level(disk) + "/written", f[6] * kSector, "By");
    }
  }

  // "  eth0: bytes packets errs drop fifo frame compressed multicast  bytes packets errs …"
  void network() {
    std::ifstream in(proc_ / "net/dev");
    std::string line;
    while (std::getline(in, line)) {
      const std::size_t colon = line.find(':');
      if (colon == std::string::npos) continue;  // the two lines of headings
      const std::size_t start = line.find_first_not_of(' ');
      const std::string interface = line.substr(start, colon - start);
      if (interface == "lo") continue;
      std::istringstream fields(line.substr(colon + 1));
      std::array<double, 11> f{};
      for (double& field : f) fields >> field;
      if (!fields) continue;
      const std::string name = "network/" + topic_level(interface);
      add(name + "/received", f[0], "By");
      add(name + "/receive_errors", f[2], "1");
      add(name + "/sent", f[8], "By");
      add(name + "/send_errors", f[10], "1");
    }
  }

  static std::vector<fs::path> children(const fs::path& folder, std::string_view prefix) {
    std::vector<fs::path> found;
    std::error_code none;
    for (fs::directory_iterator entry(folder, none), end; entry != end; entry.increment(none)) {
      if (entry->path().filename().string().starts_with(prefix)) found.push_back(entry->path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  static std::string text(const fs::path& file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
  }

  static std::optional<double> number(const fs::path& file) {
    std::ifstream in(file);
    double value = 0;
    if (in >> value) return value;
    return std::nullopt;
  }

  fs::path proc_;
  fs::path sys_;
  std::vector<Reading> readings_;
};

}  // namespace

std::vector<Reading> take_readings(const std::filesystem::path& root) {
  return Collector(root).take();
}

std::string topic_level(std::string_view text) {
  std::string level;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.';
    level += plain ? c : '_';
  }
  return level.empty() ? "_" : level;
}

}  // namespace telemetry
