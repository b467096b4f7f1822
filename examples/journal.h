// A diary of what the device promised and kept, for an auditor outside to compare with what
// arrived.
//
// Purpose:  one line a receipt: "A run seq topic id" accepted, "D run seq topic id" delivered,
//           "X run seq topic id reason" dropped or rejected (id 0).
// Threads:  any; each line is one write(2) to a file opened for appending, so that lines of two
//           processes never mix, and a line written is in the kernel's hands whatever becomes of
//           us.
// Errors:   a failed write is reported once on standard error and counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>

#include "holdfast/result.h"
#include "holdfast/types.h"

namespace telemetry {

class Journal {
 public:
  Journal() = default;
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Without a successful open(), notes go nowhere.
  [[nodiscard]] holdfast::Status open(const std::filesystem::path& file);

  /// `entry` is "run seq topic".
  void note(const std::string& entry, const holdfast::Receipt& receipt);

 private:
  int fd_ = -1;
  std::atomic<std::uint64_t> failed_{0};
};

}  // namespace telemetry
