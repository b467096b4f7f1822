// Lines to a descriptor that may stop taking them: never waits, loses whole lines only, and counts
// them.
//
// Method:  a pipe or terminal is opened a second time, non-blocking, so that nobody who shares the
//          descriptor is concerned; a socket is sent to without waiting; a file never blocks for
//          want of a reader. What a pipe has taken of a line is followed by the rest of that line.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "posix/unique_fd.h"

namespace holdfast::posix {

class LineWriter {
 public:
  /// `fd` stays the caller's and must stay open.
  explicit LineWriter(int fd);

  /// Adds the line's end. False: not taken, and counted.
  bool put(std::string_view line);
  /// Goes on with a line that was begun. False: it still waits.
  bool flush();

  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  enum class Way : std::uint8_t { file, stream, socket };

  [[nodiscard]] ssize_t write_some(std::string_view bytes) const;
  /// Gives away what it can of rest_. False: none can be given any more, for good or for now.
  bool give();

  int fd_;
  UniqueFd own_;  ///< The second, non-blocking way to the same pipe or terminal.
  Way way_ = Way::file;
  std::string rest_;  ///< Of a line that was begun.
  std::uint64_t lost_ = 0;
};

/// Whether `fd` is the stream that JOURNAL_STREAM ("DEVICE:INODE") names.
[[nodiscard]] bool is_journal_stream(int fd);

}  // namespace holdfast::posix
