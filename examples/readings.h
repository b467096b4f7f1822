// What this machine can say about itself, read live from /proc and /sys.
//
// Purpose:  load, processor time, memory, temperatures, disk use and traffic, network counters.
//           What the machine doesn't have is left out; nothing is made up.
// Threads:  plain functions. Each call opens, reads and closes a few dozen small kernel files.
// Sources:  proc(5); Documentation/ABI/testing/sysfs-class-thermal, -hwmon; iostats.rst.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace telemetry {

inline constexpr std::size_t kReadingsMax = 256;

struct Reading {
  std::string name;  ///< Path of topic levels, such as "network/eth0/received".
  double value = 0;
  std::string unit;  ///< Such as "By", "Cel", "s"; "1" for plain numbers (UCUM).
};

/// All readings there are now, at most kReadingsMax. `root` stands before /proc and /sys, for
/// tests.
[[nodiscard]] std::vector<Reading> take_readings(const std::filesystem::path& root = "/");

/// A text made fit to be one topic level: without '/', '+', '#', spaces and control characters.
[[nodiscard]] std::string topic_level(std::string_view text);

}  // namespace telemetry
