#include "posix/boot_look.h"

#include <linux/watchdog.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utmpx.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "posix/machine.h"
#include "posix/os_error.h"
#include "posix/system.h"

namespace holdfast::posix {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWordMax = 256;
constexpr std::size_t kRecordMax = std::size_t{1024} * 1024;
constexpr std::size_t kFilesMax = 512;  // of all records
constexpr std::string_view kPanicMark = "Kernel panic - not syncing: ";
constexpr std::string_view kPanicHead = "Panic#";

std::string first_line(const fs::path& file) {
  const Result<std::string> text = read_file(file, kWordMax);
  return text ? text->substr(0, text->find('\n')) : std::string();
}

void look_at_watchdogs(const fs::path& folder, BootLook& look) {
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(folder, failure)) {
    const std::string text = first_line(entry.path() / "bootstatus");
    unsigned status = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), status);
    if (problem != std::errc() || status == 0) continue;
    if (look.boot_status == 0) {
      look.watchdog = entry.path().filename().string();
      const std::string driver = first_line(entry.path() / "identity");
      if (!driver.empty()) look.watchdog += " (" + driver + ")";
    }
    look.boot_status |= status;
  }
}

struct Found {
  fs::path file;
  std::int64_t at = 0;
};

/// The files of a folder, and of those in it.
void gather(const fs::path& folder, std::vector<Found>& found, std::string& problem) {
  std::error_code failure;
  auto entry = fs::recursive_directory_iterator(folder, failure);
  if (failure && failure != std::errc::no_such_file_or_directory) {
    problem = folder.string() + ": " + failure.message();
  }
  while (!failure && entry != fs::recursive_directory_iterator() && found.size() < kFilesMax) {
    struct stat about {};
    if (::lstat(entry->path().c_str(), &about) == 0 && S_ISREG(about.st_mode) &&
        entry->path().filename().string().starts_with("dmesg")) {
      found.push_back({entry->path(), std::int64_t{about.st_mtim.tv_sec}});
    }
    if (entry.depth() > 0) entry.disable_recursion_pending();
    entry.increment(failure);
  }
}

void look_at_panics(const fs::path& root, BootLook& look) {
  std::vector<Found> found;
  gather(root / "sys/fs/pstore", found, look.panics_problem);
  gather(root / "var/lib/systemd/pstore", found, look.panics_problem);
  std::sort(found.begin(), found.end(), [](const Found& one, const Found& other) {
    return std::pair(other.at, one.file) < std::pair(one.at, other.file);
  });
  for (const Found& one : found) {
    if (look.panics.size() == kPanicLooks) break;
    const Result<std::string> text = read_file(one.file, kRecordMax);
    if (!text) {
      look.panics_problem = text.error().message;
      continue;
    }
    const std::size_t mark = text->find(kPanicMark);
    if (mark == std::string::npos && !text->starts_with(kPanicHead)) continue;
    std::string words;
    if (mark != std::string::npos) {
      words = text->substr(mark + kPanicMark.size(), kWordMax);
      words.resize(std::min(words.find('\n'), words.size()));
    }
    const fs::path folder = one.file.parent_path().filename();
    look.panics.push_back(
        {(folder / one.file.filename()).string() + " of " + std::to_string(one.at),
         std::move(words)});
  }
  std::stable_partition(look.panics.begin(), look.panics.end(),
                        [](const PanicLook& one) { return !one.words.empty(); });
}

/// The run level of System V's init, as utmp has it; 0: none.
char run_level() {
  char level = 0;
  ::setutxent();
  while (const utmpx* entry = ::getutxent()) {
    if (entry->ut_type == RUN_LVL) level = static_cast<char>(entry->ut_pid % 256);
  }
  ::endutxent();
  return level;
}

}  // namespace

BootLook look_at_boot(const fs::path& root) {
  BootLook look;
  look_at_watchdogs(root / "sys/class/watchdog", look);
  look_at_panics(root, look);
  return look;
}

std::string going_down_in(const std::string& jobs) {
  std::istringstream lines(jobs);
  bool down = false;
  std::string how;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string number;
    std::string unit;
    std::string type;
    words >> number >> unit >> type;
    if (type != "start") continue;
    down = down || unit == "shutdown.target";
    constexpr std::array<std::string_view, 5> kEnds{
        "reboot.target", "poweroff.target", "halt.target", "kexec.target", "soft-reboot.target"};
    if (std::find(kEnds.begin(), kEnds.end(), unit) != kEnds.end()) how = unit;
  }
  return down || !how.empty() ? "systemd: " + (how.empty() ? "shutdown.target" : how) : "";
}

std::string going_down(Duration patience) {
  if (::access("/run/systemd/system", F_OK) == 0) {  // as sd_booted(3) looks
    const auto jobs = output_of({"systemctl", "list-jobs", "--no-legend", "--no-pager"}, patience);
    return jobs ? going_down_in(*jobs) : "";
  }
  const char level = run_level();
  return level == '0' || level == '6' ? std::string("init: run level ") + level : "";
}

}  // namespace holdfast::posix
