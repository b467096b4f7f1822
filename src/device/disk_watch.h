// The appends that are on their way to the disk, and whether it takes too long to answer them.
//
// Purpose:  nothing is lost while a disk is slow, but nothing new is accepted either: it is said.
// Threads:  one thread, the core's.
// Errors:   none; more answers than there were appends end the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "base/time.h"

namespace holdfast::device {

/// A disk that has not answered for so long is called slow.
inline constexpr Duration kSlowDisk = std::chrono::seconds(2);

class DiskWatch {
 public:
  void asked(BootTime now, std::size_t count);
  /// Answers come in the order of the appends.
  void answered(std::size_t count);
  [[nodiscard]] std::uint64_t outstanding() const { return outstanding_; }

  /// True: slow() has changed.
  [[nodiscard]] bool look(BootTime now);
  [[nodiscard]] bool slow() const { return slow_; }
  /// Until then look() has nothing to say.
  [[nodiscard]] BootTime next_look() const;

 private:
  std::uint64_t outstanding_ = 0;
  std::deque<std::pair<BootTime, std::size_t>> since_;  ///< Since when, how many.
  bool slow_ = false;
};

}  // namespace holdfast::device
