// The outbox's implementation: what is known (State), what is not yet on disk (a batch), and the
// slots it is written to.
//
// Parts:    store.cpp (opening, putting, settling, time), store_write.cpp (records onto the disk),
//           store_fetch.cpp (messages back), store_parked.cpp (topics that are passed over),
//           store_space.cpp (limits: eviction, compaction), store_keys.cpp (conflation).
// Threads:  one thread at a time; blocks on the disk it is given.
// Failure:  a write or sync that fails loses nothing: the segment is left alone for ever and the
//           batch is written again into a fresh slot.
#pragma once

#include <memory>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "outbox/outbox.h"
#include "outbox/reader.h"
#include "outbox/recovery.h"
#include "outbox/seals.h"
#include "outbox/slots.h"
#include "outbox/state.h"

namespace holdfast::outbox {

inline constexpr std::uint32_t kBatchMax = 512 * 1024;  ///< Unconfirmed bytes held in RAM.
static_assert(limits::kMessageMax <= kBatchMax, "a batch holds each message");
inline constexpr std::size_t kSettledMax = 4096;  ///< Unwritten ranges held in RAM.
inline constexpr Duration kRetryFirst = std::chrono::seconds(1);
inline constexpr Duration kRetryCap = std::chrono::seconds(60);
inline constexpr Duration kMakeRetry = std::chrono::seconds(1);  ///< After a full disk.
// Slots are made ahead after such a time without a put, one at a time.
inline constexpr Duration kPrepareIdle = std::chrono::seconds(1);
inline constexpr Duration kPreparePause = std::chrono::milliseconds(100);
inline constexpr Duration kPrepareRetry = std::chrono::seconds(60);
// What cannot be read is given up as damaged only when it has failed for so long, and so often.
inline constexpr Duration kReadRetry = std::chrono::seconds(1);
inline constexpr Duration kReadPatience = std::chrono::seconds(30);
inline constexpr std::uint32_t kReadTries = 3;
inline constexpr Duration kSweepEvery = std::chrono::seconds(10);  ///< Looking for expired ones ...
inline constexpr Duration kParkedSweepEvery = std::chrono::minutes(10);  ///< ... that are parked.
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
  void park(std::vector<std::string> topics) override;
  void give_back(MessageId id) override;
  MessagePtr fetch_parked(const std::string& topic, std::optional<Duration> patience) override;
  [[nodiscard]] std::uint64_t parked() const override;
  void settle_delivered(MessageId id) override;
  void settle_dropped(MessageId id, DropReason reason) override;
  void evict(LaneIndex lane, std::uint64_t count) override;
  void set_rules(const std::vector<LaneRules>& rules) override;
  [[nodiscard]] Fate fate(MessageId id) const override;
  News take_news() override;
  void tick() override;
  [[nodiscard]] BootTime next_due() const override;
  Status close() override;
  [[nodiscard]] Ledger ledger() const override;
  [[nodiscard]] StorageHealth health() const override;
  [[nodiscard]] std::uint64_t unfetched(LaneIndex lane) const override;
  [[nodiscard]] StoreView view() const override;
  [[nodiscard]] Page list(const ListCursor& from, const ListQuery& query) override;
  /// Reads every segment in which messages wait, and gives up those that cannot be read (counted as
  /// corrupt); otherwise that happens when they are fetched. Gives how many.
  std::uint64_t audit_all();

 private:
  enum class Mode : std::uint8_t {
    ok,         // writes work; a failed commit that cannot be saved leads to one of the others
    read_only,  // EROFS: puts refused, settlements in RAM; a retry that succeeds leads to ok
    degraded,   // other write failures: the same
  };

  struct PendingPut {
    MessageId id = 0;
    StoreLane lane = 0;
    std::uint32_t bytes = 0;
    bool kept = true;  // false: accepted and given up at once, there is no record
  };

  // Where a lane stands: everything of it before this place was fetched, or is parked.
  struct Cursor {
    std::uint64_t place = 0;
    std::uint32_t offset = 0;
    std::uint32_t index = 0;        // ids of the segment that were passed
    std::uint32_t parked_here = 0;  // of these, parked ...
    std::uint64_t parked = 0;       // ... and in the segments before

    // At the beginning of a segment: this one again, or the next.
    [[nodiscard]] Cursor in(std::uint64_t its_place) const {
      const std::uint32_t here = its_place == place ? 0 : parked_here;
      return {its_place, kDataStart, 0, 0, parked + here};
    }
  };

  // What a pass over a lane looks for.
  struct Search {
    enum class For : std::uint8_t {
      next,    // what may be sent: it goes on where the last one ended, and counts what is parked
      oldest,  // parked or not
      parked,  // of one topic
    };
    For what = For::next;
    const std::string* topic = nullptr;  // when `parked`
    std::optional<Duration> patience{};  // older ones of it are given up
  };

  // What is known of a message whose record was read.
  struct Held {
    StoreLane lane = 0;
    std::uint32_t bytes = 0;
  };

  // What waits in a lane, the batch included.
  struct Total {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
  };

  // A segment of which messages are missing while a sector of it cannot be read.
  struct Unread {
    std::uint64_t sequence = 0;
    std::uint32_t offset = 0;  // of the sector
    BootTime since{};
    BootTime next{};  // when it is tried again
    std::uint32_t tries = 0;
  };

  struct Newest {
    MessageId id = 0;
    Held held;
  };

  enum class Step : std::uint8_t {
    passed,   // nothing of this lane here
    changed,  // a message was taken, or messages were given up
    stopped,  // looking only for expired ones: the next one is not
    unread,   // messages are missing that the disk may give later
  };

  Store(env::Disk& disk, env::Clock& clock, env::Random& random, Options options);

  // store.cpp
  Status begin(Recovered recovered);
  Status write_doubtful();
  Status start_anew();
  void map_lanes();
  void count_totals();
  void begin_session();
  void observe_wall();
  [[nodiscard]] Stamp stamp(const StoredMessage& message) const;
  PutResult refuse(RejectReason reason);
  PutResult give_up_at_once(StoreLane lane);
  void settle(MessageId id, bool delivered, DropReason reason);
  bool settle_one(MessageId id, Held held, bool delivered, DropReason reason);
  void remember_settled(const Range& range, bool delivered);
  void remember_end(MessageId id, EndKind kind, DropReason reason);
  void sweep_expired();
  void prepare_slot();
  [[nodiscard]] BootTime prepare_due() const;
  [[nodiscard]] std::int64_t boot_ms() const;
  [[nodiscard]] const LaneRules& rules(StoreLane lane) const { return rules_[lane]; }

  // store_write.cpp
  [[nodiscard]] bool fits(std::uint32_t size) const;
  [[nodiscard]] std::uint32_t batch_max() const;
  [[nodiscard]] bool reserve_ready();
  [[nodiscard]] bool renew();
  [[nodiscard]] bool make_slots(std::uint32_t wanted);
  [[nodiscard]] bool slot_allowed() const;
  [[nodiscard]] RejectReason no_slot() const;
  [[nodiscard]] RejectReason make_room(std::uint32_t size);
  Status flush();
  Status write_batch();
  void append_settled();
  [[nodiscard]] std::uint32_t settled_size() const;
  void append_mark(std::vector<std::byte>& out, std::uint32_t place, MessageId next_id);
  void stamp_batch();
  void stamp_all(std::span<std::byte> records, const SegmentKey& key, std::uint32_t place) const;
  Status start_segment();
  Status try_start_segment();
  [[nodiscard]] SegmentHeader next_header(SegmentKind kind);
  void seal_records(std::vector<std::byte>& records, env::Sealer* from, env::Sealer* to);
  void confirm();
  void release_dead();
  [[nodiscard]] bool release_settled();
  Status rescue(Error cause);
  void fail(const Error& cause);
  [[nodiscard]] bool padding() const;
  [[nodiscard]] Segment* active();

  // store_fetch.cpp
  bool fetch_lane(StoreLane lane, LaneIndex as, std::size_t max_count, std::size_t max_bytes,
                  std::size_t& bytes, Fetched* out) {
    return search_lane({}, cursors_[lane], lane, as, max_count, max_bytes, bytes, out);
  }
  bool search_lane(const Search& search, Cursor& cursor, StoreLane lane, LaneIndex as,
                   std::size_t max_count, std::size_t max_bytes, std::size_t& bytes, Fetched* out);
  Step step(const Search& search, StoreLane lane, LaneIndex as, Cursor& cursor, Segment& segment,
            Fetched* out);
  void hand_out(PutRecord put, StoreLane lane, LaneIndex as, std::uint32_t bytes, Fetched& out);
  [[nodiscard]] MessagePtr search_parked(const Search& search, StoreLane lane, LaneIndex as);
  [[nodiscard]] std::vector<StoreLane> orphans() const;
  [[nodiscard]] std::uint64_t parked_in(StoreLane lane) const;
  void unpark(const Segment& segment, MessageId id, StoreLane lane);
  void rewind_all();
  [[nodiscard]] bool leave_segment(Cursor& cursor, Segment& segment);
  [[nodiscard]] env::Sealer* sealer(const Segment& segment) { return seals_.of(store_, segment); }
  [[nodiscard]] bool missed(const Segment& segment, std::uint32_t from, std::uint32_t until) const;
  [[nodiscard]] bool look_for_missed(Cursor& cursor, Segment& segment, std::uint32_t until);
  bool audit(Segment& segment, bool patient);
  [[nodiscard]] bool unread(const Segment& segment) const;
  void note_unread(const Segment& segment);
  void read_again();
  [[nodiscard]] bool resolved(Unread& unread);
  [[nodiscard]] bool disk_lives();
  void drop(MessageId id, Held held, DropReason reason);
  [[nodiscard]] Duration age(const PutRecord& put) const;
  [[nodiscard]] bool expired(const PutRecord& put, StoreLane lane) const;
  [[nodiscard]] StoreLane clamp_lane(StoreLane lane) const;
  [[nodiscard]] std::optional<RecordView> find_put(Segment& segment, MessageId id);
  [[nodiscard]] std::uint64_t lane_pending(StoreLane lane) const;
  [[nodiscard]] std::uint64_t lane_waiting(StoreLane lane) const;
  [[nodiscard]] std::uint64_t lane_unfetched(StoreLane lane) const;

  // store_space.cpp
  [[nodiscard]] std::uint64_t excess(StoreLane lane) const;
  [[nodiscard]] bool keep_limit(StoreLane lane, std::uint32_t bytes);
  [[nodiscard]] bool make_space(LaneIndex lane);
  std::uint64_t evict_from(StoreLane lane, std::uint64_t count, std::uint64_t bytes);
  using SegmentAt = SegmentMap::iterator;
  [[nodiscard]] bool compact();
  [[nodiscard]] std::pair<SegmentAt, SegmentAt> longest_run(SegmentAt end);
  Status carry(SegmentAt first, SegmentAt behind);
  [[nodiscard]] std::uint64_t carried_bytes(const Segment& segment) const;
  Status copy_live(Segment& from, Segment& to, std::vector<std::byte>& buffer);
  Status write_carried(Segment& to, std::vector<std::byte>& buffer);
  void replace(SegmentAt first, SegmentAt behind, Segment to);
  void move_cursors(std::uint64_t first, std::uint64_t last);

  // store_keys.cpp
  [[nodiscard]] std::uint64_t key_of(StoreLane lane, const StoredMessage& message) const;
  void note_key(StoreLane lane, const StoredMessage& message, MessageId id, std::uint32_t bytes);
  void supersede(MessageId id, Held held);
  void supersede_for(MessageId newer, MessageId id, Held held);
  void scan_keys();
  void forget_ended_keys();

  env::Clock& clock_;
  env::Random& random_;
  Options options_;
  Slots slots_;
  SegmentReader reader_;
  Seals seals_;

  StoreUuid store_{};
  std::uint32_t segment_bytes_ = 0;
  State state_;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t active_ = 0;  // sequence; 0 while nothing can be written

  std::optional<Extent> doubtful_;  // a commit that may be in the page cache only

  Mode mode_ = Mode::ok;
  bool full_ = false;
  bool closed_ = false;
  // Records not yet confirmed durable, sealed for the active segment, in plain when there is none.
  std::vector<std::byte> batch_;
  std::size_t stamped_ = 0;  // of these bytes
  std::vector<PendingPut> batch_puts_;
  std::vector<std::pair<Range, bool>> settled_;  // not yet in batch_; true: delivered
  BootTime settled_since_{};
  std::vector<MessageId> lost_;
  News news_;
  Error last_error_;
  BootTime retry_at_ = kNever;
  Duration retry_delay_ = kRetryFirst;
  BootTime make_at_{};                // no new slot is tried before
  Errc make_error_ = Errc::no_space;  // why the last one was not made
  std::uint32_t make_failing_ = 0;    // slots wanted in vain, not for lack of room
  BootTime sweep_at_{};
  BootTime prepare_at_{};
  MessageId prepare_id_ = 0;  // the next id when that was set
  std::vector<Unread> unread_;

  std::vector<StoreLane> lane_map_;  // configured lane to store lane
  std::vector<LaneRules> rules_;     // by store lane, as the next ones
  std::vector<Cursor> cursors_;
  std::vector<Cursor> oldest_;  // everything before it was fetched: no parked message there either
  std::set<std::string, std::less<>> parked_topics_;
  BootTime parked_sweep_at_{};
  std::vector<Total> totals_;
  std::vector<std::uint64_t> fetched_by_lane_;
  std::unordered_map<MessageId, Held> fetched_;  // fetched, not settled
  std::array<std::uint64_t, kRejectReasons> rejected_{};

  bool conflates_ = false;  // any lane does
  std::uint64_t key_seed_ = 0;
  BootTime forget_keys_at_{};
  std::unordered_map<std::uint64_t, Newest> newest_;             // by key
  std::vector<std::pair<MessageId, Held>> supersede_confirmed_;  // once the batch is durable
  std::uint64_t scan_place_ = kScanned;  // segments before it are known to newest_
  static constexpr std::uint64_t kScanned = ~std::uint64_t{0};
};

}  // namespace holdfast::outbox
