// The outbox over slot files: class Store implements Outbox. See outbox.h for the contract and
// docs/outbox-format.md for what is on disk.
//
// How a commit works: put() and settlements collect records in RAM (batch_). commit() writes them
// at the end of the active segment and syncs once. They stay in RAM until that sync has succeeded,
// so a failed one loses nothing: the segment is left alone for ever and the batch is written again
// into a fresh slot.
#pragma once

#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "outbox/outbox.h"
#include "outbox/reader.h"
#include "outbox/recovery.h"
#include "outbox/slots.h"
#include "outbox/state.h"

namespace holdfast::outbox {

inline constexpr std::uint32_t kBatchMax = 256 * 1024;  ///< Unconfirmed bytes held in RAM.
inline constexpr std::size_t kSettledMax = 4096;        ///< Unwritten ranges held in RAM.
inline constexpr Duration kRetryFirst = std::chrono::seconds(1);
inline constexpr Duration kRetryCap = std::chrono::seconds(60);
inline constexpr Duration kMakeRetry = std::chrono::seconds(1);  ///< After a full disk.
/// A wall clock before 2024-01-01 has never been set: no expiry is judged by it.
inline constexpr std::int64_t kPlausibleWallMs = 1'704'067'200'000;

class Store final : public Outbox {
 public:
  static Result<std::unique_ptr<Store>> open_store(env::Disk& disk, env::Clock& clock,
                                                   env::Random& random, Options options,
                                                   RecoveryReport& report);

  PutResult put(const StoredMessage& message) override;
  Status commit(std::vector<MessageId>& lost) override;
  Fetched fetch(LaneIndex lane, std::size_t max_count, std::size_t max_bytes) override;
  void settle_delivered(MessageId id) override;
  void settle_dropped(MessageId id, DropReason reason) override;
  void tick() override;
  [[nodiscard]] BootTime next_due() const override;
  Status close() override;
  [[nodiscard]] Ledger ledger() const override;
  [[nodiscard]] StorageHealth health() const override;
  [[nodiscard]] std::uint64_t unfetched(LaneIndex lane) const override;

 private:
  enum class Mode : std::uint8_t {
    ok,         // writes work; a failed commit that cannot be saved leads to one of the others
    read_only,  // EROFS: puts refused, settlements in RAM; a retry that succeeds leads to ok
    degraded,   // other write failures: the same
  };

  struct PendingPut {
    MessageId id = 0;
    StoreLane lane = 0;
  };

  // Where a lane stands: everything of it before this place was fetched.
  struct Cursor {
    std::uint64_t sequence = 0;
    std::uint32_t offset = 0;
    std::uint32_t index = 0;  // ids of the segment that were passed
  };

  Store(env::Disk& disk, env::Clock& clock, env::Random& random, Options options);

  // store.cpp
  Status begin(Recovered recovered);
  void map_lanes();
  void begin_session();
  void observe_wall();
  [[nodiscard]] Stamp stamp() const;
  PutResult refuse(RejectReason reason);
  void settle(MessageId id, bool delivered, DropReason reason);
  bool settle_one(MessageId id, StoreLane lane, bool delivered, DropReason reason);
  void remember_settled(const Range& range, bool delivered);
  [[nodiscard]] std::int64_t boot_ms() const;

  // store_write.cpp
  [[nodiscard]] bool fits(std::uint32_t size) const;
  [[nodiscard]] bool reserve_ready();
  [[nodiscard]] bool make_slots(std::uint32_t wanted);
  [[nodiscard]] RejectReason no_slot() const;
  [[nodiscard]] RejectReason make_room(std::uint32_t size);
  Status flush();
  Status write_batch();
  void append_settled();
  [[nodiscard]] std::uint32_t settled_size() const;
  void append_mark(std::vector<std::byte>& out, std::uint32_t place, MessageId next_id);
  void stamp_all(std::span<std::byte> records, const SegmentKey& key, std::uint32_t place) const;
  Status start_segment();
  Status try_start_segment();
  void confirm();
  void release_dead();
  Status rescue(Error cause);
  void fail(const Error& cause);
  [[nodiscard]] bool padding() const;
  [[nodiscard]] Segment* active();

  // store_fetch.cpp
  bool fetch_lane(StoreLane lane, LaneIndex as, std::size_t max_count, std::size_t max_bytes,
                  std::size_t& bytes, Fetched& out);
  bool step(StoreLane lane, LaneIndex as, Cursor& cursor, Segment& segment, std::size_t& bytes,
            Fetched& out);
  void leave_segment(Cursor& cursor, Segment& segment, Fetched& out);
  void audit(Segment& segment, Fetched& out);
  void drop(MessageId id, StoreLane lane, DropReason reason, Fetched& out);
  [[nodiscard]] bool expired(const PutRecord& put, std::int64_t wall_ms) const;
  [[nodiscard]] StoreLane clamp_lane(StoreLane lane) const;
  [[nodiscard]] std::optional<StoreLane> find_lane(Segment& segment, MessageId id);
  [[nodiscard]] std::uint64_t lane_pending(StoreLane lane) const;
  [[nodiscard]] std::uint64_t lane_unfetched(StoreLane lane) const;

  env::Clock& clock_;
  env::Random& random_;
  Options options_;
  Slots slots_;
  SegmentReader reader_;

  StoreUuid store_{};
  std::uint32_t segment_bytes_ = 0;
  State state_;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t active_ = 0;  // sequence; 0 while nothing can be written

  Mode mode_ = Mode::ok;
  bool full_ = false;
  bool closed_ = false;
  std::vector<std::byte> batch_;  // records not yet confirmed durable
  std::vector<PendingPut> batch_puts_;
  std::vector<std::pair<Range, bool>> settled_;  // not yet in batch_; true: delivered
  BootTime settled_since_{};
  std::vector<MessageId> lost_;
  Error last_error_;
  BootTime retry_at_ = kNever;
  Duration retry_delay_ = kRetryFirst;
  BootTime make_at_{};                // no new slot is tried before
  Errc make_error_ = Errc::no_space;  // why the last one was not made

  std::vector<StoreLane> lane_map_;  // configured lane to store lane
  std::vector<Cursor> cursors_;      // by store lane
  std::vector<std::uint64_t> fetched_by_lane_;
  std::unordered_map<MessageId, StoreLane> fetched_;  // fetched, not settled
  std::array<std::uint64_t, kRejectReasons> rejected_{};
};

}  // namespace holdfast::outbox
