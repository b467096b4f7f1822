// Looks into an outbox without touching it: also while its owner writes.
//
// Purpose:  `holdfast outbox ls|stat|cat|verify|export DIR`. Recovers as opening would, on a disk
//           that refuses every write (SnapshotDisk), then answers from that state.
// Threads:  one at a time. Needs no lock: another process may write meanwhile. open() looks until
//           nothing it depends on has changed underneath; when a segment was used again since, its
//           messages had been settled or carried elsewhere, and list() looks anew.
// Memory:   as opening the store: a bit per waiting message, a page of messages, one buffer.
// Errors:   not_found (no outbox there), io, permission; in_use when the store changed faster than
//           it could be read.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/disk.h"
#include "outbox/outbox.h"
#include "outbox/reader.h"
#include "outbox/slots.h"
#include "outbox/snapshot_disk.h"
#include "outbox/state.h"
#include "outbox/view.h"

namespace holdfast::outbox {

/// The two copies of a slot's header.
struct HeaderCopies {
  std::array<std::optional<SegmentHeader>, 2> copy;
  std::array<bool, 2> zero{};  ///< Nothing but zeros there.
  bool other_format = false;   ///< Our magic, another version.

  /// The valid copy that counts.
  [[nodiscard]] const SegmentHeader* best() const;
  /// Whether both name the same use of the slot.
  [[nodiscard]] bool same_use(const HeaderCopies& other) const;
};
[[nodiscard]] HeaderCopies read_headers(env::File& file);

enum class FileState : std::uint8_t {
  active,        ///< The newest segment.
  waiting,       ///< Messages wait in it.
  free,          ///< Everything in it is settled; to be used again.
  blank,         ///< Never used.
  unfinished,    ///< Was cut while being made; the owner makes it anew.
  foreign,       ///< A segment of another store.
  other_format,  ///< A segment of another version of the format.
  wrong_size,    ///< A segment of this store, cut short or grown.
};
[[nodiscard]] std::string_view to_string(FileState state) noexcept;

struct FileView {
  std::uint32_t slot = 0;
  std::uint64_t bytes = 0;
  std::uint64_t sequence = 0;  ///< 0: no valid header.
  FileState state = FileState::blank;
};

class Inspector {
 public:
  /// `keys` opens what is sealed; it must outlive the inspector. Null: that stays locked.
  [[nodiscard]] static Result<std::unique_ptr<Inspector>> open(env::Disk& disk,
                                                               env::KeyRing* keys = nullptr);

  [[nodiscard]] const StoreView& view() const { return view_; }
  [[nodiscard]] const std::vector<FileView>& files() const { return files_; }
  /// What an opening would find, and count.
  [[nodiscard]] const RecoveryReport& report() const { return report_; }
  [[nodiscard]] const State& state() const { return state_; }

  /// A page, from a newer state if a segment was used again since; then view() is newer, too.
  [[nodiscard]] Result<Page> list(const ListCursor& from, const ListQuery& query);

  // For verify().
  [[nodiscard]] env::File* file(std::uint32_t slot) { return slots_->file(slot); }
  [[nodiscard]] SegmentReader& reader() { return reader_; }
  /// Whether the slot of a segment has been used again since open().
  [[nodiscard]] bool used_again(const Segment& segment);
  [[nodiscard]] const std::vector<Segment>& missing() const { return missing_; }
  /// Sequence of the segment that the next commit goes to.
  [[nodiscard]] std::uint64_t newest() const { return newest_; }

 private:
  Inspector(env::Disk& disk, env::KeyRing* keys) : disk_(disk), seals_(keys, nullptr) {}

  struct Seen {
    std::uint32_t slot = 0;
    std::uint64_t bytes = 0;
    HeaderCopies headers;
  };
  enum class Attempt : std::uint8_t { good, changed };

  Status look_anew();
  Result<Attempt> attempt(bool strict);
  Status look(std::vector<Seen>& seen);
  /// Limits what is shown of segments that may grow. False: something has changed meanwhile.
  Result<bool> freeze(const std::vector<Seen>& seen, const StoreUuid& store);
  [[nodiscard]] Result<std::uint32_t> end_of(const Seen& growing);
  void note_files(const std::vector<Seen>& seen);
  void note_missing(const std::vector<Seen>& seen);
  void forgive_carried();
  bool note_missing_of(const Segment& segment, const std::vector<Seen>& seen);
  void settle_missing(const Segment& segment);

  env::Disk& disk_;
  std::optional<SnapshotDisk> snapshot_;
  std::optional<Slots> slots_;
  SegmentReader reader_;
  Seals seals_;
  State state_;
  StoreUuid store_{};
  std::uint32_t segment_bytes_ = 0;
  std::uint64_t newest_ = 0;  // log segment
  StoreView view_;
  std::vector<FileView> files_;
  std::vector<Segment> missing_;  // of the newest checkpoint's table, without their file
  RecoveryReport report_;
};

}  // namespace holdfast::outbox
