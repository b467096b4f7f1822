// The slot files: made once, written full of zeros, recycled in place, never growing.
//
// Purpose:  a slot that take() gives has its name and its size on stable storage, so that writing
//           to it costs one flush and no file system metadata.
// Threads:  one thread at a time, as the outbox.
// Errors:   as env::Disk's. A slot that failed once is never written or synced again in this run:
//           what the page cache says of it proves nothing. It is removed and made anew.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "env/disk.h"
#include "outbox/format.h"

namespace holdfast::outbox {

[[nodiscard]] std::string slot_name(std::uint32_t slot);
[[nodiscard]] std::optional<std::uint32_t> slot_number(std::string_view name);

/// Bytes of a slot.
struct Extent {
  std::uint32_t slot = 0;
  std::uint32_t from = 0;
  std::uint32_t to = 0;
};

class Slots {
 public:
  explicit Slots(env::Disk& disk) : disk_(disk) {}

  /// Notes that a file exists. Errors: as Disk::open; read_only is not an error, the file is then
  /// open for reading only.
  Status found(std::uint32_t slot);
  /// Until this is called nothing can be taken. `count` bounds what may be made, beside the files
  /// that were set aside.
  void configure(std::uint32_t segment_bytes, std::uint32_t count);

  /// Null when there is no such file.
  [[nodiscard]] env::File* file(std::uint32_t slot);
  [[nodiscard]] bool writable(std::uint32_t slot) const;
  [[nodiscard]] std::vector<std::uint32_t> existing() const;

  /// Writes bytes again as they are read, and syncs. A process of this boot may have ended on a
  /// failed sync: its pages stay in the cache, pass as written, and no later sync writes them
  /// (ATC'20, Rebello et al.). Works for a slot that was found on a disk that was read-only then.
  Status write_again(const Extent& extent);

  void mark_used(std::uint32_t slot);
  /// Never touched again: it belongs to another store.
  void quarantine(std::uint32_t slot);
  /// The slot's content is no longer needed.
  void release(std::uint32_t slot);
  void mark_bad(std::uint32_t slot);
  /// Removes free slots beyond count(), as after the limit was lowered, while more than `keep`
  /// are ready.
  void trim(std::uint32_t keep);
  /// Names may not be durable: the directory must be synced before a slot is taken.
  void directory_unsynced() { directory_dirty_ = true; }

  /// Free slots that need no further disk space.
  [[nodiscard]] std::uint32_t ready() const;
  /// Whether at least `wanted` of them are ready: asked for each message, so it stops early.
  [[nodiscard]] bool has_ready(std::uint32_t wanted) const;
  [[nodiscard]] bool can_make() const;
  /// Makes one more ready slot. Errors: full when all exist, else the disk's.
  Status make();
  /// A ready slot, made if there is none, now in use.
  [[nodiscard]] Result<std::uint32_t> take();

  [[nodiscard]] std::uint32_t count() const { return count_; }

 private:
  enum class Use : std::uint8_t {
    absent,   ///< No file.
    free,     ///< Full size, content not needed: may be taken.
    spoiled,  ///< Content not needed, but of wrong size or failed: remove and make anew.
    used,     ///< Holds a segment.
    foreign,  ///< Not ours; left alone.
  };
  struct Slot {
    Use use = Use::absent;
    bool writable = false;
    bool bad = false;
    std::unique_ptr<env::File> file;
  };

  Status make_at(std::uint32_t slot);
  Status sync_directory();

  env::Disk& disk_;
  std::vector<Slot> slots_;
  std::uint32_t segment_bytes_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t end_ = 0;  ///< Slots from here on are not made.
  bool directory_dirty_ = false;
};

}  // namespace holdfast::outbox
