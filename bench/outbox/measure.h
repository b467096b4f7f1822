// What a run costs: time, CPU, and what the block device below the directory was asked to do.
//
// Purpose:  counters before and after, and their difference as JSON fields.
// Threads:  one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::bench {

/// Fields 5, 7 and 16 of /sys/block/DEVICE/stat (Documentation/block/stat.rst).
struct DeviceCounters {
  std::uint64_t writes = 0;
  std::uint64_t bytes = 0;
  std::uint64_t flushes = 0;
};

class Meter {
 public:
  /// `device` may be empty: then bytes and flushes are not reported.
  Meter(std::string directory, std::string device);

  /// Waits for everything written so far to reach the device, then begins to count.
  void start();
  /// Ends the time and CPU count, then waits again and ends the device's count.
  void stop();
  /// The time of one commit, and that of its puts and itself together.
  void sample(double commit_us, double batch_us) {
    commits_.push_back(commit_us);
    batches_.push_back(batch_us);
  }

  /// Fields for a run of this many messages, without braces: "seconds":…,"cpu_us":…,…
  [[nodiscard]] std::string json(std::uint64_t messages);

 private:
  [[nodiscard]] DeviceCounters device() const;
  void settle() const;

  std::string directory_;
  std::string device_;
  DeviceCounters before_;
  DeviceCounters after_;
  double begun_ = 0;
  double seconds_ = 0;
  double cpu_begun_ = 0;
  double cpu_ = 0;
  std::vector<double> commits_;
  std::vector<double> batches_;
};

/// Monotonic seconds.
[[nodiscard]] double now_seconds();
/// Kilobytes of anonymous memory of this process (RssAnon).
[[nodiscard]] std::uint64_t anonymous_kib();

}  // namespace holdfast::bench
