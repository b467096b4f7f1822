#include "bench/outbox/measure.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <sstream>

#include "bench/outbox/candidate.h"

namespace holdfast::bench {
namespace {

constexpr std::uint64_t kStatSector = 512;  // the unit of the stat file, whatever the device's is

double seconds_of(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

double cpu_seconds() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) die("getrusage failed");
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

void write_percentiles(std::ostream& out, const char* name, std::vector<double>& samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&samples](double part) {
    return samples[static_cast<std::size_t>(part * static_cast<double>(samples.size() - 1))];
  };
  out << ",\"" << name << "_p50_us\":" << at(0.5) << ",\"" << name << "_p99_us\":" << at(0.99)
      << ",\"" << name << "_percentiles_us\":[";
  for (int i = 0; i <= 100; ++i) out << (i == 0 ? "" : ",") << at(i / 100.0);
  out << "]";
}

}  // namespace

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::uint64_t anonymous_kib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  std::uint64_t value = 0;
  while (status >> word) {
    if (word == "RssAnon:" && status >> value) return value;
  }
  die("no RssAnon in /proc/self/status");
}

Meter::Meter(std::string directory, std::string device)
    : directory_(std::move(directory)), device_(std::move(device)) {}

DeviceCounters Meter::device() const {
  DeviceCounters out;
  if (device_.empty()) return out;
  std::ifstream stat("/sys/block/" + device_ + "/stat");
  constexpr std::size_t kFields = 16;
  std::array<std::uint64_t, kFields> field{};
  for (std::uint64_t& value : field) {
    if (!(stat >> value))
      die("/sys/block/" + device_ + "/stat has no field 16: Linux 5.5 is needed");
  }
  out.writes = field[4];
  out.bytes = field[6] * kStatSector;
  out.flushes = field[15];
  return out;
}

void Meter::settle() const {
  const int fd = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || ::syncfs(fd) != 0) die("cannot sync the file system of " + directory_);
  ::close(fd);
}

void Meter::start() {
  settle();
  before_ = device();
  cpu_begun_ = cpu_seconds();
  begun_ = now_seconds();
}

void Meter::stop() {
  seconds_ = now_seconds() - begun_;
  cpu_ = cpu_seconds() - cpu_begun_;
  settle();
  after_ = device();
}

std::string Meter::json(std::uint64_t messages) {
  const auto n = static_cast<double>(messages);
  std::ostringstream out;
  out << "\"messages\":" << messages << ",\"seconds\":" << seconds_
      << ",\"per_second\":" << n / seconds_ << ",\"cpu_us\":" << cpu_ * 1e6 / n;
  if (!device_.empty()) {
    out << ",\"kib\":" << static_cast<double>(after_.bytes - before_.bytes) / 1024 / n
        << ",\"flushes\":" << static_cast<double>(after_.flushes - before_.flushes) / n
        << ",\"writes\":" << static_cast<double>(after_.writes - before_.writes) / n;
  }
  if (!commits_.empty()) {
    write_percentiles(out, "commit", commits_);
    write_percentiles(out, "batch", batches_);
  }
  return out.str();
}

}  // namespace holdfast::bench
