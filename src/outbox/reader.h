// Records of a segment, in order, past whatever is damaged.
//
// Purpose:  one buffer of 64 KiB for all reading, so that a record costs no system call of its own
//           and RAM does not grow with the backlog.
// Threads:  one thread at a time. A view is valid until the next call.
// Errors:   none. Sectors that cannot be read are passed over like damaged ones, and errors() tells
//           that it was so: whoever misses a message then may look again later.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "env/disk.h"
#include "outbox/segment.h"

namespace holdfast::outbox {

/// What a disk reads or fails to read in one piece.
inline constexpr std::uint32_t kSector = 512;

struct RecordView {
  std::uint32_t offset = 0;
  std::uint32_t next = 0;  ///< Where the following record should begin.
  RecordHeader header;
  std::span<const std::byte> bytes;  ///< header.length of them.
};

/// Counts put records of one epoch whose header can be read and whose checksum is wrong.
struct BrokenPuts {
  std::uint32_t epoch = 0;
  std::uint64_t count = 0;
};

class SegmentReader {
 public:
  /// The first valid record at `from` or behind it, and before `limit`. When there is none,
  /// `broken` (if given) counts what was met instead.
  [[nodiscard]] std::optional<RecordView> next(env::File& file, const SegmentKey& key,
                                               std::uint64_t sequence, std::uint32_t from,
                                               std::uint32_t limit, BrokenPuts* broken = nullptr);
  /// Forgets what was read; needed when bytes that were read may have changed, or may be read now.
  void forget() { length_ = 0; }
  /// Grows whenever bytes are looked at that could not be read.
  [[nodiscard]] std::uint64_t errors() const { return errors_; }
  /// Sectors that could not be read, each time they were tried.
  [[nodiscard]] std::uint64_t sector_errors() const { return sector_errors_; }
  /// Where in its segment the sector is that made errors() grow last.
  [[nodiscard]] std::uint32_t error_offset() const { return error_offset_; }

 private:
  std::span<const std::byte> view(env::File& file, std::uint64_t sequence, std::uint32_t offset,
                                  std::uint32_t length, std::uint32_t limit);
  void load(env::File& file, std::uint32_t offset, std::uint32_t length);
  void note_errors(std::uint32_t offset, std::uint32_t length);

  std::vector<std::byte> buffer_;
  std::vector<std::uint32_t> unread_;  // sectors of the buffer that could not be read, ascending
  std::uint64_t sequence_ = 0;
  std::uint32_t offset_ = 0;
  std::uint32_t length_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t sector_errors_ = 0;
  std::uint32_t error_offset_ = 0;
};

}  // namespace holdfast::outbox
