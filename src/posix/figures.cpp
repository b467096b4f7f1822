// See figures.h.
#include "posix/figures.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string>

namespace holdfast::posix {
namespace {

/// The fields of /proc/self/stat behind the name, which may have blanks in it: field 3 is [0].
std::array<std::uint64_t, 22> own_stat() {
  std::array<std::uint64_t, 22> fields{};
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream rest(line.substr(std::min(line.rfind(')') + 1, line.size())));
  char state = 0;
  rest >> state;
  for (std::size_t i = 1; i < fields.size(); ++i) {
    std::int64_t value = 0;
    if (rest >> value) fields[i] = static_cast<std::uint64_t>(value);
  }
  return fields;
}

std::uint64_t open_files() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  std::uint64_t count = 0;
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] != '.') ++count;
  }
  ::closedir(folder);
  return count - 1;  // the folder's own
}

Duration ticks(std::uint64_t count) {
  const auto per_second = static_cast<std::uint64_t>(std::max(::sysconf(_SC_CLK_TCK), 1L));
  return std::chrono::milliseconds(count * 1000 / per_second);
}

/// Connections in the state ESTABLISHED (1), see proc(5): the fourth field of each line.
std::uint64_t established(const char* table) {
  std::ifstream file(table);
  std::string line;
  std::uint64_t count = 0;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string number;
    std::string local;
    std::string remote;
    std::string state;
    if (fields >> number >> local >> remote >> state && state == "01") ++count;
  }
  return count;
}

}  // namespace

ProcessFigures process_figures() {
  // Numbers of proc(5): 14 utime, 15 stime, 23 vsize, 24 rss.
  const auto stat = own_stat();
  ProcessFigures figures;
  figures.cpu = ticks(stat[14 - 3] + stat[15 - 3]);
  figures.virtual_bytes = stat[23 - 3];
  figures.resident_bytes = stat[24 - 3] * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  figures.open_files = open_files();
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) figures.max_files = files.rlim_cur;
  return figures;
}

Duration process_age(BootTime now) {
  const Duration age = now.time_since_epoch() - ticks(own_stat()[22 - 3]);
  return std::max(age, Duration{0});
}

std::optional<NetworkFigures> network_figures() {
  std::ifstream file("/proc/net/dev");
  if (!file) return std::nullopt;
  NetworkFigures all;
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;  // the two lines of the head
    const std::size_t name = line.find_first_not_of(' ');
    if (line.substr(name, colon - name) == "lo") continue;
    std::istringstream rest(line.substr(colon + 1));
    std::array<std::uint64_t, 10> fields{};
    for (std::uint64_t& field : fields) rest >> field;
    all.bytes_in += fields[0];
    all.packets_in += fields[1];
    all.bytes_out += fields[8];
    all.packets_out += fields[9];
  }
  all.established = established("/proc/net/tcp") + established("/proc/net/tcp6");
  return all;
}

}  // namespace holdfast::posix
