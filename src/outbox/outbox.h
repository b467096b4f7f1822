// The outbox: accepted means on disk. One segmented log for all lanes.
//
// Purpose:  keep durable messages until they are settled, across crash, power cut, full disk and
//           flipped bits, with every message accounted for (docs/outbox-format.md).
// Threads:  one thread at a time (the storage thread); blocks on the disk it is given.
// Promise:  after commit() has returned success every message put before it survives a power cut.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/message.h"
#include "base/time.h"
#include "env/clock.h"
#include "env/disk.h"
#include "env/key_ring.h"
#include "env/random.h"
#include "holdfast/config.h"
#include "holdfast/result.h"
#include "holdfast/types.h"
#include "outbox/view.h"

namespace holdfast::outbox {

/// A lane as the store sees it: its name, and its own limits.
struct LaneOptions {
  LaneOptions(std::string its_name, LaneRules its_rules = {})  // NOLINT(google-explicit-*)
      : name(std::move(its_name)), rules(its_rules) {}
  LaneOptions(const char* its_name) : name(its_name) {}  // NOLINT(google-explicit-*)

  std::string name;
  LaneRules rules;
};

struct Options {
  std::uint64_t max_bytes = 64 * 1024 * 1024;
  std::uint64_t segment_bytes = 0;  ///< 0: chosen from max_bytes. Fixed once the store exists.
  std::vector<LaneOptions> lanes{"urgent", "normal", "bulk"};
  Duration ack_flush = std::chrono::seconds(5);
  bool always_pad = false;   ///< Each commit ends its block, however full the outbox is.
  bool preallocate = false;  ///< tick() makes all files while nothing is put.
  /// A disk that refuses to read may do it later, so that fails the opening (Errc::io): try again
  /// for a while. With this set, what cannot be read counts as damaged, and the rest is opened.
  bool unreadable_is_damage = false;
  env::KeyRing* keys = nullptr;  ///< For encryption at rest; must outlive the outbox. Null: none.
};

[[nodiscard]] std::vector<std::string> lane_names(const Options& options);

/// What opening found, for the log and the operator.
struct RecoveryReport {
  bool created = false;       ///< A new store.
  bool clean = false;         ///< The last run closed in order.
  bool read_only = false;     ///< Opened for draining only.
  bool rebuilt = false;       ///< A checkpoint was damaged; duplicates are possible.
  std::uint64_t pending = 0;  ///< Messages found waiting.
  std::uint64_t corrupt = 0;  ///< Accepted messages lost to damage, found by this opening.
  std::uint64_t torn = 0;     ///< Records cut while being written; never accepted.
  std::uint64_t locked = 0;   ///< Of the pending: sealed with a key that is not there. They wait.
  std::uint32_t segments = 0;
  std::uint32_t set_aside = 0;   ///< Files of another store or format version, left as they are.
  std::uint32_t unreadable = 0;  ///< Of these: files that could not be read.
  std::uint32_t epoch = 0;       ///< Numbers the openings of this store; never given twice.
  MessageId last_id = 0;         ///< All found have this id or a lower one; new ones a higher.
  std::uint32_t store = 0;       ///< The first four bytes of the store's UUID.
};

/// put()'s answer: an id, or why not.
struct PutResult {
  MessageId id = 0;
  RejectReason rejected = RejectReason::none;
};

/// What the store decided by itself since it was last asked.
struct News {
  /// Messages given up: they made room, expired, were replaced, or are damaged.
  std::vector<std::pair<MessageId, DropReason>> dropped;
  /// Fetched messages that a newer one of the same key has replaced; whoever holds them decides.
  std::vector<MessageId> superseded;
  /// By lane: how many of the fetched messages should be given up to keep the lane's limits.
  std::vector<std::uint64_t> over;
};

// How long an opening that cannot read what it needs is tried again.
inline constexpr Duration kOpenRetry = std::chrono::seconds(1);
inline constexpr int kOpenTries = 30;

class Outbox {
 public:
  /// Opens or creates the store in `disk`, which must outlive it, as must clock and random.
  /// Errors: in_use; io, permission, no_space when not even reading is possible (see
  /// Options::unreadable_is_damage). Damage is no error: it is counted and reported. An opening
  /// that fails has changed nothing.
  [[nodiscard]] static Result<std::unique_ptr<Outbox>> open(env::Disk& disk, env::Clock& clock,
                                                            env::Random& random, Options options,
                                                            RecoveryReport& report);
  /// The same, but what cannot be read is tried again kOpenTries times, and then counts as damaged.
  /// `wait` is to pass kOpenRetry before the next try, or to give false to end it.
  [[nodiscard]] static Result<std::unique_ptr<Outbox>> open_patiently(
      env::Disk& disk, env::Clock& clock, env::Random& random, Options options,
      RecoveryReport& report, const std::function<bool(const Error& error)>& wait);
  virtual ~Outbox() = default;

  /// Writes one message (its id and times are ignored). Not durable, and so not accepted, until
  /// the next successful commit(). The lane's rules decide what happens when there is no room.
  /// Rejections: outbox_full, lane_full, too_large, unknown_lane, storage_failed.
  [[nodiscard]] virtual PutResult put(const StoredMessage& message) = 0;

  /// Makes all puts and settlements so far durable with one sync. On failure nothing put since the
  /// last success is accepted unless the outbox could re-write it into a fresh segment; those not
  /// saved are given in `lost`.
  [[nodiscard]] virtual Status commit(std::vector<MessageId>& lost) = 0;

  /// The oldest messages of a lane that were committed and not fetched before, at most max_count
  /// and about max_bytes. Expired ones and those found corrupt are dropped on the way (News). What
  /// cannot be read is not given up before it has failed for some time, and waits until then.
  struct Fetched {
    std::vector<MessagePtr> messages;
    bool more = false;  ///< The lane has further messages.
  };
  [[nodiscard]] virtual Fetched fetch(LaneIndex lane, std::size_t max_count,
                                      std::size_t max_bytes) = 0;

  /// Messages on these topics are parked: fetch() passes over them from now on. Those of a topic
  /// that is named no more are fetched again, the oldest first. Whoever holds one gives it back.
  virtual void park(std::vector<std::string> topics) = 0;
  /// A fetched message of a parked topic waits here again.
  virtual void give_back(MessageId id) = 0;
  /// The oldest message on a parked topic, of the first lane that has one; null if none waits. With
  /// `patience`, older ones are given up on the way, as `refused` (News).
  [[nodiscard]] virtual MessagePtr fetch_parked(const std::string& topic,
                                                std::optional<Duration> patience) = 0;
  /// Messages known to be parked. What was not looked at yet is not among them.
  [[nodiscard]] virtual std::uint64_t parked() const = 0;

  /// The end of a message: delivered, or dropped for a reason. Soft: made durable by the next
  /// commit(), or by tick() after ack_flush. Unknown or already settled ids are ignored.
  virtual void settle_delivered(MessageId id) = 0;
  virtual void settle_dropped(MessageId id, DropReason reason) = 0;

  /// Gives up the oldest `count` messages of a lane that were not fetched (News).
  virtual void evict(LaneIndex lane, std::uint64_t count) = 0;

  /// Other rules from now on, one for each lane of the options. What a lane has too much by them
  /// makes room as before, when its next message comes. Conflation stays as it was opened with.
  virtual void set_rules(const std::vector<LaneRules>& rules) = 0;

  /// What became of a durable message, as far as it is known.
  [[nodiscard]] virtual Fate fate(MessageId id) const = 0;

  /// What the store decided by itself since the last call.
  [[nodiscard]] virtual News take_news() = 0;

  /// Does what time demands (flush of soft settlements, retry after a storage failure or of what
  /// could not be read).
  virtual void tick() = 0;
  /// When tick() wants to be called; kNever if nothing is due.
  [[nodiscard]] virtual BootTime next_due() const = 0;

  /// Marks the store as closed in order and makes everything durable. No calls afterwards.
  virtual Status close() = 0;

  /// Durable messages only; `rejected` counts put()'s refusals of this run. `pending` counts
  /// committed ones.
  [[nodiscard]] virtual Ledger ledger() const = 0;
  [[nodiscard]] virtual StorageHealth health() const = 0;
  /// Pending messages of a lane that have not been fetched and can be now; parked ones cannot.
  [[nodiscard]] virtual std::uint64_t unfetched(LaneIndex lane) const = 0;

  /// What there is to see, and waiting messages page by page, fetched or not. Changes nothing.
  [[nodiscard]] virtual StoreView view() const = 0;
  [[nodiscard]] virtual Page list(const ListCursor& from, const ListQuery& query) = 0;
};

}  // namespace holdfast::outbox
