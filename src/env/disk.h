// One directory of files, as the outbox (and later the journals) see it.
//
// Purpose:  the seam for real files, a full disk, a power cut in simulation.
// Threads:  one thread at a time.
// Errors:   Errc::io with errno, no_space (ENOSPC, EDQUOT), read_only (EROFS), permission,
//           not_found, in_use (lock).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/result.h"

namespace holdfast::env {

/// An open file. Destroying it closes it without syncing.
class File {
 public:
  virtual ~File() = default;
  /// Reads up to out.size() bytes at offset; fewer only at the end of the file.
  [[nodiscard]] virtual Result<std::size_t> read_at(std::uint64_t offset,
                                                    std::span<std::byte> out) = 0;
  /// Writes all bytes or fails; after a failure the range's content is unknown.
  [[nodiscard]] virtual Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  /// Waits until everything written is on stable storage (fdatasync). After a failure a later
  /// success proves nothing: do not write to this file again (ATC'20, Rebello et al.).
  [[nodiscard]] virtual Status sync() = 0;
  [[nodiscard]] virtual Result<std::uint64_t> size() = 0;
};

enum class OpenMode : std::uint8_t {
  read,        ///< Must exist.
  read_write,  ///< Must exist.
  create,      ///< Must not exist; made with mode 0600.
};

/// A directory. Names are plain file names, without '/'.
class Disk {
 public:
  virtual ~Disk() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<File>> open(std::string_view name,
                                                           OpenMode mode) = 0;
  /// Names of all files, in no order.
  [[nodiscard]] virtual Result<std::vector<std::string>> list() = 0;
  [[nodiscard]] virtual Status remove(std::string_view name) = 0;
  /// Gives a file another name; a file that had it is replaced, at once for every reader.
  [[nodiscard]] virtual Status rename(std::string_view from, std::string_view to) = 0;
  /// Makes creations, removals and changes of names durable (fsync of the directory).
  [[nodiscard]] virtual Status sync_directory() = 0;
  /// Takes the directory for this process until the Disk is destroyed; in_use if it is taken.
  [[nodiscard]] virtual Status lock() = 0;
  /// Bytes that an unprivileged writer can still use on the file system.
  [[nodiscard]] virtual Result<std::uint64_t> free_bytes() = 0;
};

}  // namespace holdfast::env
